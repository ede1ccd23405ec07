"""What an answer means, and what follows from it: pure decisions, one place."""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Container
from dataclasses import dataclass
from enum import Enum
from math import inf
from typing import assert_never

from consumer.delivery.http.transport import AttemptResult
from consumer.reasons import ErrorKind, Reason


class AnswerKind(Enum):
    """An answer, as far as delivery cares."""

    SUCCESS = "success"
    RETRY = "retry"
    PERMANENT = "permanent"
    GONE = "gone"
    BLOCKED = "blocked"


_OK = range(200, 300)
_GONE = 410
_SERVER_ERRORS = 500
_RETRIED_STATUSES = frozenset({408, 425, 429})


def classify(answer: AttemptResult, retry_on: Container[int] = ()) -> AnswerKind:
    """What an answer means for its delivery (docs/reference/hooks.md#fields): 2xx is success; what
    may pass by itself is retried, and what the hook's `retry_on` lists; the rest is not.
    """
    match answer.error:
        case None:
            return _classify_status(answer.status, retry_on)
        case ErrorKind.BLOCKED:
            return AnswerKind.BLOCKED
        case ErrorKind.TIMEOUT | ErrorKind.CONNECT | ErrorKind.DNS | ErrorKind.TLS:
            return AnswerKind.RETRY
        case _:
            assert_never(answer.error)


def _classify_status(status: int, retry_on: Container[int]) -> AnswerKind:
    if status in _OK:
        return AnswerKind.SUCCESS
    if status >= _SERVER_ERRORS or status in _RETRIED_STATUSES or status in retry_on:
        return AnswerKind.RETRY
    return AnswerKind.GONE if status == _GONE else AnswerKind.PERMANENT


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver took it."""


@dataclass(slots=True)
class RetryNow:
    """Try again in this process after `delay` seconds."""

    delay: float


@dataclass(slots=True)
class Defer:
    """Hand over to retry lane number `lane`, due after `delay` seconds."""

    topic_number: int
    delay: float


@dataclass(slots=True)
class DeadLetter:
    """Hand over to the dead-letter topic."""

    reason: Reason


Decision = Delivered | RetryNow | Defer | DeadLetter
DELIVERED = Delivered()

BLOCKED_RETRIES = 3
"""Times that a delivery is deferred whose host's name has refused addresses only."""
IN_PROCESS_RETRY_BASE_SECONDS = 0.25
"""Seconds: the mean wait before the first quick repeat is half of it."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempt, quick repeats, then durable lanes (design: "Retry"). Times in seconds."""

    delays: tuple[float, ...]
    """Delays of the retry lanes, ascending."""
    max_attempts: int
    quick_attempts: int
    """Attempts before the first lane."""
    expire_after: float
    quick_window: float = 5.0
    """No quick repeat begins later than this after the pass's first attempt."""
    jitter: float = 0.2
    """A lane's delay is stretched by up to this share, so that failures do not return as one."""

    def decide(
        self,
        what: AnswerKind,
        answer: AttemptResult,
        *,
        attempts: int,
        elapsed: float,
        age: float,
        random: Callable[[], float],
        pause: float = 0.0,
        blocked_before: bool = False,
    ) -> Decision:
        """What to do after attempt number `attempts`, whose `answer` means `what`.

        `elapsed`: since this pass's first attempt. `age`: since the delivery first failed.
        `random`: uniform in [0, 1). `pause`: before it the endpoint gets no request.
        `blocked_before`: the attempt before this one was blocked.
        """
        match what:
            case AnswerKind.SUCCESS:
                return DELIVERED
            case AnswerKind.BLOCKED:
                return self._look_up_again(
                    answer, attempts, age, random, blocked_before=blocked_before
                )
            case AnswerKind.PERMANENT | AnswerKind.GONE:
                return DeadLetter(Reason.PERMANENT)
            case AnswerKind.RETRY:
                return self._retry(
                    answer, attempts=attempts, elapsed=elapsed, age=age, random=random, pause=pause
                )
            case _:
                assert_never(what)

    def _retry(
        self,
        answer: AttemptResult,
        *,
        attempts: int,
        elapsed: float,
        age: float,
        random: Callable[[], float],
        pause: float,
    ) -> Decision:
        if attempts >= self.max_attempts:
            return DeadLetter(Reason.EXHAUSTED)
        if age >= self.expire_after:
            return DeadLetter(Reason.EXPIRED)
        asked = max(0.0, answer.retry_after or 0.0, pause)
        if attempts < self.quick_attempts:
            delay = max(asked, random() * IN_PROCESS_RETRY_BASE_SECONDS * 4 ** (attempts - 1))
            if elapsed + delay <= self.quick_window:
                return RetryNow(delay)
        stage = min(max(attempts - self.quick_attempts, 0), len(self.delays) - 1)
        longer = bisect_left(self.delays, asked)
        return self._defer(max(stage, min(longer, len(self.delays) - 1)), random)

    def _look_up_again(
        self,
        answer: AttemptResult,
        attempts: int,
        age: float,
        random: Callable[[], float],
        *,
        blocked_before: bool,
    ) -> Decision:
        """A name may have other addresses soon: the first retry topics, one after the other. What
        is refused without a lookup stays so.
        """
        ended = attempts >= self.max_attempts or age >= self.expire_after
        known = blocked_before and attempts > BLOCKED_RETRIES
        if not answer.blocked_by_lookup or ended or known:
            return DeadLetter(Reason.BLOCKED)
        return self._defer(min(attempts, BLOCKED_RETRIES, len(self.delays)) - 1, random)

    def set_aside(self, delay: float, random: Callable[[], float]) -> Defer:
        """The longest lane that is no longer than `delay` seconds, else the shortest there is."""
        return self._defer(max(0, bisect_right(self.delays, delay) - 1), random)

    def defer_until_needed(self, turn: float) -> Defer:
        """The longest lane that is sure to give a delivery back before its turn, in `turn` seconds.

        The later the turn, the more the lane's delay is stretched: what was parked at once comes
        back one after the other, and in the lane's own order.
        """
        retry_topic = max(0, bisect_right(self.delays, turn / (1 + self.jitter)) - 1)
        longer = self.delays[retry_topic + 1] if retry_topic + 1 < len(self.delays) else inf
        stretched = self.delays[retry_topic] * (1 + self.jitter * min(1.0, turn / longer))
        return Defer(retry_topic, min(turn, stretched))

    def _defer(self, retry_topic: int, random: Callable[[], float]) -> Defer:
        return Defer(retry_topic, self.delays[retry_topic] * (1 + self.jitter * random()))
