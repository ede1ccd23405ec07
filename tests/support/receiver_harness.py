"""The endpoints of a test: how they behave, and what reached them."""

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Collection
from typing import NamedTuple

from support.received import parse
from support.receiver import Reply, response


class Arrival(NamedTuple):
    """One request at a receiver."""

    hook: str
    delivery: str
    attempt: int
    """Which request of its delivery this is, from 1."""
    at: float
    """Monotonic seconds."""


class ReceiverHarness:
    """A receiver's `otherwise` that tells hooks apart by their path, `/h/<id>`."""

    def __init__(self, answer: Callable[[Arrival], Reply] = lambda _arrival: response()) -> None:
        """`answer` decides for each request."""
        self.answer = answer
        self.arrivals: list[Arrival] = []
        self.attempts: Counter[str] = Counter()
        """Requests by delivery."""

    def __call__(self, head: bytes) -> Reply:
        """The receiver's answer to a request."""
        request = parse(head)
        delivery = request.webhook_id
        self.attempts[delivery] += 1
        arrival = Arrival(request.hook, delivery, self.attempts[delivery], time.monotonic())
        self.arrivals.append(arrival)
        return self.answer(arrival)

    def of(self, *hooks: str) -> list[Arrival]:
        """The requests for these hooks, in order."""
        return [arrival for arrival in self.arrivals if arrival.hook in hooks]

    def reached(self, deliveries: Collection[str]) -> bool:
        """Whether each of these deliveries has arrived."""
        return self.attempts.keys() >= set(deliveries)


class Latency:
    """An answer of 200 after a while, with a count of how many wait for it at once.

    Hooks are named `<host>-<hook>` by the host that they share.
    """

    def __init__(self, seconds: float) -> None:
        self.most: Counter[str] = Counter()
        """The most requests that were open at once: by hook, by host, and under "" in all."""
        self._seconds = seconds
        self._open: Counter[str] = Counter()

    def __call__(self, arrival: Arrival) -> Reply:
        """Answer for a `ReceiverHarness`."""
        names = (arrival.hook, arrival.hook.partition("-")[0], "")
        self._open.update(names)
        for name in names:
            self.most[name] = max(self.most[name], self._open[name])
        over = asyncio.Event()
        asyncio.get_running_loop().call_later(self._seconds, self._end, names, over)
        return Reply(response().data, after=over)

    def _end(self, names: tuple[str, ...], over: asyncio.Event) -> None:
        self._open.subtract(names)
        over.set()
