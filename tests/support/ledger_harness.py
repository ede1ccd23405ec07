"""The expected outcome of each event and the actual one: the oracle of the fault tests."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from functools import partial
from http import HTTPStatus
from types import TracebackType
from typing import Any, Self

from aiokafka import AIOKafkaProducer

from support.cluster import Offsets
from support.receiver import Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event

USERS = 97
"""Each event has one of so many users: few of a user fail, who waits for each of them."""
_LONG = 120.0
"""Seconds: a fault may take its time."""


@dataclass(frozen=True, slots=True)
class Owed:
    """One written event and the deliveries that it must cause."""

    record_ref: tuple[str, int]
    offset: int
    deliveries: frozenset[str]
    user: str


@dataclass(frozen=True, slots=True)
class _Held:
    """An answer that is noted when it is sent; never, if the client has left."""

    released: asyncio.Event
    note: Callable[[], None]

    async def wait(self) -> None:
        await self.released.wait()
        self.note()


class LedgerHarness:
    """The events of one test, written to its `event` topic, and the answers of its receiver.

    As the receiver's `otherwise` it answers with the status that `decide` names for a delivery's id
    and its number of attempts so far, and notes each 2xx before it is sent. While `held` is set,
    answers wait for it.
    """

    def __init__(
        self,
        workspace: Workspace,
        hooks: Iterable[str],
        decide: Callable[[str, int], int] = lambda _delivery, _attempt: HTTPStatus.OK,
    ) -> None:
        """`hooks`: the ids of those that want every event."""
        self.workspace = workspace
        self.owed: list[Owed] = []
        self.attempts: Counter[str] = Counter()
        self.answered: Counter[str] = Counter()
        """2xx by delivery, in the order of the first ones."""
        self.times: list[float] = []
        """Monotonic seconds of each request."""
        self.held: asyncio.Event | None = None
        self._hooks = tuple(hooks)
        self._decide = decide
        # Idempotent: a record that is written twice would look like a delivery sent twice.
        self._producer = AIOKafkaProducer(
            bootstrap_servers=workspace.cluster.bootstrap, acks="all", enable_idempotence=True
        )

    async def __aenter__(self) -> Self:
        await self._producer.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self._producer.stop()

    def __call__(self, head: bytes) -> Reply:
        """The receiver's answer to a request."""
        delivery = webhook_id(head)
        self.attempts[delivery] += 1
        self.times.append(time.monotonic())
        status = self._decide(delivery, self.attempts[delivery])
        note = partial(self._note, delivery, status)
        if self.held is not None:
            return replace(response(status), after=_Held(self.held, note))
        note()
        return response(status)

    def _note(self, delivery: str, status: int) -> None:
        if status < HTTPStatus.MULTIPLE_CHOICES:
            self.answered[delivery] += 1

    async def write(self, number: int, **data: Any) -> None:
        """Write `number` events, numbered on from the last; returns when all are acknowledged."""
        first, topic = len(self.owed), self.workspace.topic("event")
        users = [f"u{serial % USERS}" for serial in range(first, first + number)]
        values = [event(f"e{first + at}", user=user, **data) for at, user in enumerate(users)]
        sent = [await self._producer.send(topic, value) for value in values]
        for serial, place in enumerate(await asyncio.gather(*sent), first):
            deliveries = frozenset(f"e{serial}:{hook}" for hook in self._hooks)
            ref, user = (topic, place.partition), users[serial - first]
            self.owed.append(Owed(ref, place.offset, deliveries, user))

    @asynccontextmanager
    async def load(self, batch: int, ahead: int = 1_000) -> AsyncIterator[None]:
        """Write batch after batch meanwhile, at most so many deliveries ahead of the daemon."""
        over = asyncio.Event()

        async def write() -> None:
            while not over.is_set():
                await self.write(batch)
                await wait_until(
                    lambda: over.is_set() or self.untried < ahead, "room", patience=_LONG
                )

        writing = asyncio.create_task(write())
        try:
            yield
        finally:
            over.set()
            await writing

    @property
    def untried(self) -> int:
        """Deliveries without a request so far."""
        return len(self.owed) * len(self._hooks) - len(self.attempts)

    @property
    def expected(self) -> set[str]:
        """All deliveries that the events must cause."""
        return {delivery for owed in self.owed for delivery in owed.deliveries}

    async def not_committed(self, committed: Offsets | None = None) -> set[str]:
        """The deliveries whose record, on the source or one of our own topics, is at or above the
        `committed` offset (the group's): those that a crash at this moment may repeat.
        """
        workspace = self.workspace
        if committed is None:
            committed = await workspace.cluster.committed(workspace.group)
        deferred = [
            r
            for topic in (*workspace.retry_topics, workspace.overflow_topic)
            for r in await workspace.cluster.read(topic)
        ]
        return {
            delivery
            for owed in self.owed
            if owed.offset >= committed.get(owed.record_ref, 0)
            for delivery in owed.deliveries
        } | {
            record.facts["hookstream-delivery-id"]
            for record in deferred
            if record.offset >= committed.get((record.topic, record.partition), 0)
        }

    async def check(self) -> None:
        """Each delivery was answered 2xx or is a dead letter, nothing else was sent, and a hook
        with an order has its first 2xx of each user in the order of the partition.
        """
        dead_lettered = {
            dead_letter.facts["hookstream-delivery-id"]
            for dead_letter in await self.workspace.dead_letters()
        }
        lost = self.expected - self.answered.keys() - dead_lettered
        assert not lost, f"{len(lost)} of {len(self.expected)} lost, as {sorted(lost)[:5]}"
        assert self.attempts.keys() <= self.expected
        for hook in self.workspace.hooks:
            if hook.get("order") == "user":
                self._check_order(hook["id"])

    def _check_order(self, hook: str) -> None:
        numbers = {delivery: number for number, delivery in enumerate(self.answered)}
        last: dict[tuple[tuple[str, int], str], tuple[int, str]] = {}
        for owed in sorted(self.owed, key=lambda each: (each.record_ref, each.offset)):
            delivery = next(each for each in owed.deliveries if each.endswith(f":{hook}"))
            if delivery in numbers:
                here = (numbers[delivery], delivery)
                before = last.get((owed.record_ref, owed.user))
                assert before is None or before < here, f"{delivery} came before {before}"
                last[owed.record_ref, owed.user] = here
        assert last

    @property
    def repeated(self) -> set[str]:
        """The deliveries that were answered 2xx more than once."""
        return {delivery for delivery, times in self.answered.items() if times > 1}


def webhook_id(head: bytes) -> str:
    """The delivery that a request is for."""
    return head.partition(b"webhook-id: ")[2].partition(b"\r\n")[0].decode()
