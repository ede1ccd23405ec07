"""The one map from results to what follows: delivered, retried now, deferred or dead-lettered."""

from bisect import bisect_left
from collections.abc import Callable, Container
from dataclasses import dataclass, field
from enum import Enum
from typing import Final, assert_never

from consumer.delivery.http.transport import AttemptResult
from consumer.reasons import ErrorKind, Reason


class AnswerKind(Enum):
    """The kinds of results that are treated alike."""

    SUCCESS = "success"
    RETRY = "retry"
    PERMANENT = "permanent"
    GONE = "gone"
    BLOCKED = "blocked"


_OK = range(200, 300)
_GONE = 410
_SERVER_ERRORS = 500
_TOO_MANY_REQUESTS = 429
_RETRIED_STATUSES = frozenset({408, 425, 429})


def classify(result: AttemptResult, retry_on: Container[int] = ()) -> AnswerKind:
    """The kind of a result (docs/reference/hooks.md#fields): 2xx is success; what may pass by
    itself is retried, and what the hook's `retry_on` lists; the rest is not.
    """
    match result.error:
        case None:
            return _classify_status(result.status, retry_on)
        case ErrorKind.BLOCKED:
            return AnswerKind.BLOCKED
        case ErrorKind.TIMEOUT | ErrorKind.CONNECT | ErrorKind.DNS | ErrorKind.TLS:
            return AnswerKind.RETRY
        case _:
            assert_never(result.error)


def _classify_status(status: int, retry_on: Container[int]) -> AnswerKind:
    if status in _OK:
        return AnswerKind.SUCCESS
    if status >= _SERVER_ERRORS or status in _RETRIED_STATUSES or status in retry_on:
        return AnswerKind.RETRY
    return AnswerKind.GONE if status == _GONE else AnswerKind.PERMANENT


def is_limited(result: AttemptResult) -> bool:
    """Whether the receiver would take the request later, and says when: it did not fail."""
    return result.status == _TOO_MANY_REQUESTS and result.retry_after is not None


@dataclass(frozen=True, slots=True)
class Delivered:
    """The receiver answered 2xx."""


@dataclass(slots=True)
class RetryNow:
    """Try again in this process after `delay` seconds."""

    delay: float


@dataclass(frozen=True, slots=True)
class Requeue:
    """Wait in the endpoint's queue, where it was; no attempt is spent."""


@dataclass(slots=True)
class Defer:
    """Publish to retry topic number `topic_number`, due after `delay` seconds."""

    topic_number: int
    delay: float
    cause: str = field(default="", compare=False)
    """One word; the last status or kind of error after an attempt."""


@dataclass(slots=True)
class Overflow:
    """Wait in the overflow topic until the endpoint can take more; no attempt is spent."""

    cause: str = field(default="", compare=False)
    """One word."""


@dataclass(slots=True)
class DeadLetter:
    """Publish to the dead-letter topic."""

    reason: Reason
    detail: str = field(default="", compare=False)
    """For people."""


Outcome = Delivered | Defer | Overflow | DeadLetter
"""The end of a delivery, as far as this process is concerned."""
Decision = Outcome | RetryNow | Requeue
DELIVERED = Delivered()
REQUEUE: Final = Requeue()

# Causes of an overflow, and of a deferral without an attempt.
CIRCUIT_OPEN: Final = "circuit_open"
"""The receiver fails."""
REFUSING: Final = "refusing"
"""The receiver rejects what it took a moment ago."""
RETRY_AFTER: Final = "retry_after"
"""The receiver asked for a pause."""
CROWDED: Final = "crowded"
"""The queue is too long for its endpoint."""
BEHIND: Final = "behind"
"""Earlier deliveries of the hook wait in the overflow topic."""
STOPPED: Final = "stopped"
"""The assignment or the process ends."""
CAUSES: Final = (CIRCUIT_OPEN, REFUSING, RETRY_AFTER, CROWDED, BEHIND, STOPPED)

BLOCKED_RETRIES = 3
"""Times that a delivery is deferred whose host's name has refused addresses only."""
IN_PROCESS_RETRY_BASE_SECONDS = 0.25
"""Twice the mean wait before the first in-process retry."""


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """Attempt, in-process retries with exponential backoff, then retry topics. Times in seconds."""

    delays: tuple[float, ...]
    """Delays of the retry topics, ascending."""
    max_attempts: int
    quick_attempts: int
    """Attempts before the first retry topic."""
    expire_after: float
    quick_window: float = 5.0
    """No in-process retry begins later than this after the first attempt."""
    jitter: float = 0.2
    """A retry topic's delay is stretched by up to this share, so that failures do not return as
    one."""

    def decide(
        self,
        kind: AnswerKind,
        result: AttemptResult,
        *,
        attempts: int,
        elapsed: float,
        age: float,
        random: Callable[[], float],
        pause: float = 0.0,
        blocked_before: bool = False,
        refused: bool = False,
        may_retry_now: bool = True,
        disabled: bool = False,
    ) -> Decision:
        """Decide what follows from attempt number `attempts`, whose `result` is of `kind`.

        `elapsed`: since the first attempt in this process. `age`: since the delivery first failed.
        `random`: uniform in [0, 1). `pause`: before it the endpoint gets no request.
        `blocked_before`: the attempt before this one was blocked. `refused`: the receiver rejects
        everything since a moment ago. `may_retry_now`: there is capacity for an in-process retry.
        `disabled`: several answers of 410 disabled the hook.
        """
        decision: RetryNow | Defer | Overflow | DeadLetter
        match kind:
            case AnswerKind.SUCCESS:
                return DELIVERED
            case AnswerKind.BLOCKED:
                decision = self._look_up_again(
                    result, attempts, age, random, blocked_before=blocked_before
                )
            case AnswerKind.PERMANENT if refused:
                decision = Overflow(REFUSING)
            case AnswerKind.PERMANENT | AnswerKind.GONE:
                decision = DeadLetter(Reason.PERMANENT)
            case AnswerKind.RETRY if is_limited(result) and age < self.expire_after:
                return REQUEUE
            case AnswerKind.RETRY:
                asked = max(0.0, result.retry_after or 0.0, pause)
                decision = self._retry(attempts, elapsed, age, asked, random)
                if isinstance(decision, RetryNow) and not may_retry_now:
                    decision = self._defer(0, random)
            case _:
                assert_never(kind)
        status = str(result.error or result.status)
        if isinstance(decision, Defer | Overflow):
            decision.cause = decision.cause or status
            return self.unless_over(decision, age=age, disabled=disabled)
        if isinstance(decision, DeadLetter):
            decision.detail = result.detail or f"status {status}"
        return decision

    def _retry(
        self, attempts: int, elapsed: float, age: float, asked: float, random: Callable[[], float]
    ) -> RetryNow | Defer | DeadLetter:
        if attempts >= self.max_attempts:
            return DeadLetter(Reason.EXHAUSTED)
        if age >= self.expire_after:
            return DeadLetter(Reason.EXPIRED)
        if attempts < self.quick_attempts:
            delay = max(asked, random() * IN_PROCESS_RETRY_BASE_SECONDS * 4 ** (attempts - 1))
            if elapsed + delay <= self.quick_window:
                return RetryNow(delay)
        stage = min(max(attempts - self.quick_attempts, 0), len(self.delays) - 1)
        long_enough = min(bisect_left(self.delays, asked), len(self.delays) - 1)
        return self._defer(max(stage, long_enough), random)

    def _look_up_again(
        self,
        result: AttemptResult,
        attempts: int,
        age: float,
        random: Callable[[], float],
        *,
        blocked_before: bool,
    ) -> Defer | DeadLetter:
        """A name may have other addresses soon: the first retry topics, one after the other. A
        refusal without a lookup is final.
        """
        ended = attempts >= self.max_attempts or age >= self.expire_after
        known = blocked_before and attempts > BLOCKED_RETRIES
        if not result.blocked_by_lookup or ended or known:
            return DeadLetter(Reason.BLOCKED)
        return self._defer(min(attempts, BLOCKED_RETRIES, len(self.delays)) - 1, random)

    def stop(self, random: Callable[[], float]) -> Defer:
        """Defer a delivery whose attempt is under way when the assignment or the process ends."""
        return self._defer(0, random, STOPPED)

    def unless_over(
        self, deferral: Defer | Overflow, *, age: float, disabled: bool
    ) -> Defer | Overflow | DeadLetter:
        """`deferral`, or a dead letter if no later attempt would be made."""
        if disabled:
            return DeadLetter(Reason.DISABLED, "its receiver answered 410 several times in a row")
        if age >= self.expire_after:
            return DeadLetter(Reason.EXPIRED, deferral.cause)
        return deferral

    def _defer(self, topic_number: int, random: Callable[[], float], cause: str = "") -> Defer:
        delay = self.delays[topic_number] * (1 + self.jitter * random())
        return Defer(topic_number, delay, cause)
