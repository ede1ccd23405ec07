"""A watch over a group's committed offsets while faults happen: no commit may pass an unsettled
event.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from contextlib import suppress
from types import TracebackType
from typing import Generic, NamedTuple, Protocol, Self, TypeVar

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.errors import KafkaError

from consumer.records.settled_runs import Run, parse_runs
from consumer.stream.positions import Committed
from support.cluster import Offsets
from support.ledger_harness import LedgerHarness, Owed
from support.workspace import Workspace

_INTERVAL = 0.1
_ANSWER = 3.0
"""Seconds for the broker to answer; while it is away there is nothing to see."""


class _OnPartition(Protocol):
    @property
    def record_ref(self) -> tuple[str, int]: ...
    @property
    def offset(self) -> int: ...


OnPartitionT = TypeVar("OnPartitionT", bound=_OnPartition)


class DeferredRecord(NamedTuple):
    """A delivery on one of our own topics."""

    record_ref: tuple[str, int]
    offset: int
    timestamp: int
    delivery: str


class PublishedRecords:
    """The records on our own topics, read on from the last position."""

    def __init__(self, workspace: Workspace) -> None:
        self.records: list[DeferredRecord] = []
        self.by_delivery: defaultdict[str, list[DeferredRecord]] = defaultdict(list)
        self._workspace = workspace
        self._consumer = AIOKafkaConsumer(
            bootstrap_servers=workspace.cluster.bootstrap, auto_offset_reset="earliest"
        )

    async def start(self) -> None:
        """Connect; the topics must exist."""
        await self._consumer.start()
        workspace = self._workspace
        ends = await workspace.cluster.ends(workspace.own_topics)
        self._consumer.assign([TopicPartition(*place) for place in ends])

    async def stop(self) -> None:
        """Disconnect."""
        await self._consumer.stop()

    async def catch_up(self) -> None:
        """Read all that is acknowledged by now. Raises `KafkaError`."""
        ends = await self._consumer.end_offsets(self._consumer.assignment())
        while any([await self._consumer.position(place) < end for place, end in ends.items()]):
            for place, records in (await self._consumer.getmany(timeout_ms=50)).items():
                for record in records:
                    delivery = dict(record.headers).get("hookstream-delivery-id", b"").decode()
                    deferred = DeferredRecord(
                        tuple(place), record.offset, record.timestamp, delivery
                    )
                    self.records.append(deferred)
                    self.by_delivery[delivery].append(deferred)

    def follows(self, deferred: DeferredRecord) -> bool:
        """Whether the delivery was published once more after `deferred`."""
        others = (other for other in self.by_delivery[deferred.delivery] if other is not deferred)
        return any(other.timestamp >= deferred.timestamp for other in others)


class CommitsHarness:
    """Samples the group's commits until its block ends, and then raises for what it saw.

    Each sample reads the committed offsets first and looks afterwards what is settled: the receiver
    notes an answer before the daemon can know of it, and a published record counts only when it can
    be read.
    """

    def __init__(self, ledger: LedgerHarness) -> None:
        self.samples = 0
        """Those that the broker answered."""
        self.committed: Offsets = {}
        """The last ones."""
        workspace = ledger.workspace
        self._group = workspace.group
        self._ledger = ledger
        self._published = PublishedRecords(workspace)
        self._admin = AIOKafkaAdminClient(bootstrap_servers=workspace.cluster.bootstrap)
        self._events: _Above[Owed] = _Above()
        self._deferred: _Above[DeferredRecord] = _Above()
        self._over = asyncio.Event()
        self._task: asyncio.Task[None]

    async def __aenter__(self) -> Self:
        """Start; our own topics must exist."""
        await self._admin.start()
        await self._published.start()
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        try:
            await self._task
        finally:
            await self._published.stop()
            await self._admin.close()

    async def _run(self) -> None:
        while not self._over.is_set():
            with suppress(KafkaError, TimeoutError):
                await asyncio.wait_for(self._sample(), _ANSWER)
            with suppress(TimeoutError):
                await asyncio.wait_for(self._over.wait(), _INTERVAL)
        await asyncio.wait_for(self._sample(), _ANSWER)  # what is in the end is always seen

    async def _sample(self) -> None:
        found = await self._admin.list_consumer_group_offsets(self._group)
        committed = {tuple(place): at.offset for place, at in found.items()}
        runs = {
            tuple(place): parse_runs(Committed.read(at.offset, at.metadata).settled, at.offset)
            for place, at in found.items()
        }
        for place, before in self.committed.items():
            assert committed.get(place, before) >= before, f"{place} went back from {before}"
        await self._published.catch_up()
        events = self._events.now_below(self._ledger.owed, committed, runs)
        deliveries = {delivery for event in events for delivery in event.deliveries}
        missing = deliveries - self._ledger.answered.keys() - self._published.by_delivery.keys()
        missing |= {
            deferred.delivery
            for deferred in self._deferred.now_below(self._published.records, committed, runs)
            if deferred.delivery not in self._ledger.answered
            and not self._published.follows(deferred)
        }
        assert not missing, f"committed {committed}, but without outcome: {sorted(missing)[:5]}"
        self.committed = self.committed | committed
        self.samples += 1


class _Above(Generic[OnPartitionT]):
    """The records of a growing list that no commit has passed yet."""

    def __init__(self) -> None:
        self._read = 0
        self._above: list[OnPartitionT] = []

    def now_below(
        self,
        records: Sequence[OnPartitionT],
        committed: Offsets,
        runs: Mapping[tuple[str, int], Sequence[Run]],
    ) -> list[OnPartitionT]:
        """The records that these commits call settled and earlier ones did not."""
        known = [*self._above, *records[self._read :]]
        self._read = len(records)
        below: list[OnPartitionT] = []
        self._above = []
        for record in known:
            at, place = record.offset, record.record_ref
            settled = at < committed.get(place, 0) or any(
                start <= at < end for start, end in runs.get(place, ())
            )
            (below if settled else self._above).append(record)
        return below
