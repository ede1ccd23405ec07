"""Senders with a `LearnedRate` and receivers with limits, in virtual time."""

from collections import deque
from collections.abc import Callable
from heapq import heappop, heappush
from itertools import count
from math import ceil, inf
from random import Random
from typing import Protocol

from consumer.delivery.scheduling.learned_rate import LearnedRate

SLOTS = 64
"""Requests that one sender has under way at most, as by default."""
_TIMER_SECONDS = 0.002
"""A timer is up to so late."""


class RequestLimit(Protocol):
    """A receiver with a limit. Times and pauses are seconds."""

    def refuses(self, now: float) -> float | None:
        """The pause that a 429 to a request of `now` asks for, 0.0 without a `Retry-After`; None if
        the request is taken.
        """
        ...

    def answered(self) -> None:
        """A request that was taken has its answer."""
        ...


class Bucket:
    """A token bucket; `per_second` may change with the time."""

    def __init__(
        self, per_second: float | Callable[[float], float], burst: float, pause: float
    ) -> None:
        self._per_second, self._burst, self._pause = per_second, burst, pause
        self._tokens, self._at = burst, 0.0

    def refuses(self, now: float) -> float | None:
        """See `RequestLimit`."""
        rate = self._per_second(now) if callable(self._per_second) else self._per_second
        self._tokens = min(self._burst, self._tokens + (now - self._at) * rate)
        self._at = now
        if self._tokens < 1:
            return self._pause
        self._tokens -= 1
        return None

    def answered(self) -> None:
        """See `RequestLimit`."""


class Window:
    """A fixed window; without a `pause` its 429 names the begin of the next one, in whole seconds.
    A receiver that takes no `requests` refuses all.
    """

    def __init__(self, requests: int, seconds: float, pause: float | None = None) -> None:
        self._requests, self._seconds, self._pause = requests, seconds, pause
        self._number = self._taken = 0

    def refuses(self, now: float) -> float | None:
        """See `RequestLimit`."""
        number = int(now // self._seconds)
        if number != self._number:
            self._number, self._taken = number, 0
        if self._taken < self._requests:
            self._taken += 1
            return None
        if self._pause is not None:
            return self._pause
        return float(ceil((number + 1) * self._seconds - now))

    def answered(self) -> None:
        """See `RequestLimit`."""


class SlidingWindow:
    """At most so many `requests` in any so many `seconds`."""

    def __init__(self, requests: int, seconds: float, pause: float) -> None:
        self._requests, self._seconds, self._pause = requests, seconds, pause
        self._taken: deque[float] = deque()

    def refuses(self, now: float) -> float | None:
        """See `RequestLimit`."""
        while self._taken and self._taken[0] <= now - self._seconds:
            self._taken.popleft()
        if len(self._taken) >= self._requests:
            return self._pause
        self._taken.append(now)
        return None

    def answered(self) -> None:
        """See `RequestLimit`."""


class Concurrency:
    """At most so many requests at once."""

    def __init__(self, requests: int, pause: float) -> None:
        self._requests, self._pause = requests, pause
        self._open = 0

    def refuses(self, now: float) -> float | None:  # noqa: ARG002  # of the protocol
        """See `RequestLimit`."""
        if self._open >= self._requests:
            return self._pause
        self._open += 1
        return None

    def answered(self) -> None:
        """See `RequestLimit`."""
        self._open -= 1


class _Sender:
    def __init__(self, waiting: int) -> None:
        self.waiting = waiting
        self.under_way = 0
        self.paused_until = -inf
        self.learned: LearnedRate | None = None
        self.has_timer = False


class RateHarness:
    """Replicas that send as the scheduler does, to one receiver; from one seed."""

    def __init__(
        self,
        receiver: RequestLimit,
        *,
        deliveries: int,
        latency: float = 0.005,
        replicas: int = 1,
        seed: int = 1,
        per_second: float = inf,
    ) -> None:
        """`latency`: mean seconds from a request to its answer, which vary by half. `per_second`:
        the deliveries come at random at this rate; all at once by default.
        """
        self.receiver = receiver
        self.taken: list[float] = []
        """Times at which deliveries were answered with 2xx."""
        self.refused: list[float] = []
        """Times of the refusals."""
        self._latency = latency
        self._random = Random(seed)  # noqa: S311  # the same each time
        self._events: list[tuple[float, int, Callable[[float], None]]] = []
        self._numbers = count()
        self.senders = [_Sender(0) for _ in range(replicas)]
        at = 0.0
        for number in range(deliveries):
            at += self._random.expovariate(per_second) if per_second < inf else 0.0
            self._at(at, self._arrival(self.senders[number % replicas]))

    def run(self, seconds: float = 1e5) -> None:
        """Let so much time pass, or less if everything is delivered before."""
        while self._events and self._events[0][0] <= seconds:
            now, _, event = heappop(self._events)
            event(now)

    @property
    def attempts(self) -> int:
        """Requests that were answered."""
        return len(self.taken) + len(self.refused)

    def rate(self, begin: float, end: float) -> float:
        """Deliveries a second between two times."""
        return sum(begin <= at < end for at in self.taken) / (end - begin)

    def _at(self, time: float, event: Callable[[float], None]) -> None:
        heappush(self._events, (time, next(self._numbers), event))

    def _arrival(self, sender: _Sender) -> Callable[[float], None]:
        def arrive(now: float) -> None:
            sender.waiting += 1
            self._send(sender, now)

        return arrive

    def _send(self, sender: _Sender, now: float) -> None:
        while sender.waiting and sender.under_way < SLOTS:
            wait, learned = sender.paused_until - now, sender.learned
            if wait <= 0.0 and learned is not None:
                wait = learned.wait(now)
            if wait > 0.0:
                self._set_timer(sender, now + wait)
                return
            if learned is not None:
                learned.take(now)
                if learned.is_over(now):
                    sender.learned = None
            sender.waiting -= 1
            sender.under_way += 1
            way = self._latency * (0.5 + self._random.random()) / 2
            self._at(now + way, self._reach(sender, now, way))

    def _set_timer(self, sender: _Sender, due: float) -> None:
        if sender.has_timer:
            return
        sender.has_timer = True

        def wake(now: float) -> None:
            sender.has_timer = False
            self._send(sender, now)

        self._at(due + self._random.random() * _TIMER_SECONDS, wake)

    def _reach(self, sender: _Sender, began: float, way: float) -> Callable[[float], None]:
        def reach(now: float) -> None:
            pause = self.receiver.refuses(now)
            self._at(now + way, self._answer(sender, began, pause))

        return reach

    def _answer(
        self, sender: _Sender, began: float, pause: float | None
    ) -> Callable[[float], None]:
        def answer(now: float) -> None:
            sender.under_way -= 1
            if pause is None:
                self.taken.append(now)
                self.receiver.answered()
                if sender.learned is not None:
                    sender.learned.accepted()
            else:
                self.refused.append(now)
                sender.waiting += 1
                if pause:
                    sender.paused_until = max(sender.paused_until, now + pause)
                if sender.learned is None:
                    sender.learned = LearnedRate(now)
                sender.learned.refused(began, now, pause)
            self._send(sender, now)

        return answer
