"""Models of receivers, and the transport that leads to them."""

import asyncio
from collections.abc import Callable
from random import Random
from typing import Any, Protocol

from consumer.delivery.http.transport import AttemptResult, Request
from consumer.reasons import ErrorKind
from support.fakes import FakeTransport
from support.scheduler_harness import id_of

POISON_ONE_IN = 15
"""Of the events of a world with poison, one in so many is rejected by each receiver."""


Answer = Callable[["Receiver", Random], tuple[AttemptResult, float]]
"""What a receiver says to one request: a result, and the seconds until it comes."""


class Receiver:
    """The receiver of one hook, shared by all replicas."""

    def __init__(self, time: Callable[[], float], random: Random, *, poison: bool) -> None:
        self.requests: list[float] = []
        """Seconds at which those requests came that were within the limit."""
        self.number = 0
        """A number that the behaviour has."""
        self.answered = 0
        """Requests since the behaviour began."""
        self.is_well = True
        self.time = time
        self._random = random
        self._poison = poison
        self._behaviour: Answer = well
        self._until = 0.0

    def behave(self, name: str, number: int, seconds: float) -> None:
        """Behave like that for some seconds, and well after them."""
        self._behaviour, self.number, self.answered = BEHAVIOURS[name], number, 0
        self._until = self.time() + seconds

    def heal(self) -> None:
        """Be well for ever."""
        self._until = 0.0

    def answer(self, id: str) -> tuple[AttemptResult, float]:
        """What follows from a request, and after how many seconds."""
        if self._poison and is_poison(id):
            return AttemptResult(status=400), 0.01
        behaviour = self._behaviour if self.time() < self._until else well
        self.answered += 1
        return behaviour(self, self._random)


def is_poison(id: str) -> bool:
    """Whether a delivery is rejected in a world with poison: by its event's number."""
    number = int(id.removeprefix("e").partition(":")[0])
    return number % POISON_ONE_IN == POISON_ONE_IN - 1


def well(_receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    """Take everything, soon."""
    return AttemptResult(status=200), random.uniform(0.005, 0.05)


def _down(_receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    if random.random() < 0.5:
        return AttemptResult(error=ErrorKind.CONNECT, detail="refused"), 0.002
    return AttemptResult(status=503), 0.01


def _hang(_receiver: Receiver, _random: Random) -> tuple[AttemptResult, float]:
    return AttemptResult(status=200), 1e9


def _limit(receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    now = receiver.time()
    receiver.requests = [at for at in receiver.requests if at > now - 1.0]
    if len(receiver.requests) >= receiver.number:
        return AttemptResult(status=429, retry_after=1.0), 0.01
    receiver.requests.append(now)
    return well(receiver, random)


def _flaky(receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    if random.random() < receiver.number / 25:
        return AttemptResult(status=random.choice((500, 502, 503))), 0.02
    return well(receiver, random)


def _slow(receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    """A slow start: the first requests take seconds."""
    return AttemptResult(status=200), 0.05 + random.uniform(0.0, 40.0) / (10 + receiver.answered)


def _pause(receiver: Receiver, _random: Random) -> tuple[AttemptResult, float]:
    return AttemptResult(status=503, retry_after=receiver.number / 2), 0.01


def _refuse(_receiver: Receiver, _random: Random) -> tuple[AttemptResult, float]:
    return AttemptResult(status=404), 0.01


def _reset(receiver: Receiver, random: Random) -> tuple[AttemptResult, float]:
    if random.random() < 0.5:
        return AttemptResult(error=ErrorKind.CONNECT, detail="reset"), random.uniform(0.0, 1.0)
    return well(receiver, random)


BEHAVIOURS: dict[str, Answer] = {
    "well": well,
    "down": _down,
    "hang": _hang,
    "limit": _limit,
    "flaky": _flaky,
    "slow": _slow,
    "pause": _pause,
    "refuse": _refuse,
    "reset": _reset,
}


class Watcher(Protocol):
    """Who is told of attempts."""

    def attempted(self, replica: Any, id: str) -> None:
        """An attempt of a delivery begins."""
        ...

    def answered(self, replica: Any, id: str, result: AttemptResult) -> None:
        """A receiver has answered, whether its sender is there or not."""
        ...


class ModelTransport(FakeTransport):
    """One replica's way to all receivers."""

    def __init__(self, replica: Any, receivers: dict[str, Receiver], watcher: Watcher) -> None:
        self.alive = True
        self.under_way: dict[str, int] = {}
        """By delivery, attempts under way."""
        self._replica = replica
        self._receivers = receivers
        self._watcher = watcher

    def send(self, request: Request, done: Callable[[AttemptResult], None]) -> None:
        """See `Transport.send`."""
        delivery, hook = id_of(request.headers), request.target.rpartition("/")[2]
        result, after = self._receivers[hook].answer(delivery)
        if after >= request.timeout:
            result, after = AttemptResult(error=ErrorKind.TIMEOUT), request.timeout
        result.duration = after
        self.under_way[delivery] = self.under_way.get(delivery, 0) + 1
        self._watcher.attempted(self._replica, delivery)
        asyncio.get_running_loop().call_later(after, self._answer, delivery, result, done)

    def _answer(
        self, id: str, result: AttemptResult, done: Callable[[AttemptResult], None]
    ) -> None:
        self._watcher.answered(self._replica, id, result)
        self.under_way[id] -= 1
        if not self.under_way[id]:
            del self.under_way[id]
        if self.alive:
            done(result)
