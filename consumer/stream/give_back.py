"""Gives partitions back to the group: what is in flight there ends first."""

import asyncio
from collections.abc import Callable, Collection

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.records.tracker import OffsetTracker
from consumer.stream.assignment import Assignment, partition_names
from consumer.stream.commits import Commits
from consumer.stream.handler import Handler
from consumer.stream.membership import Membership

log = get_logger(__name__)

DRAIN_BUDGET_SECONDS = 3.0
"""How long partitions that are given back wait for in-flight records, then deferred: long enough
for answers of two seconds, so that none arrives twice."""
_BEGIN_BUDGET_SECONDS = 0.5
"""How long they wait for deliveries to begin; the next owner sends the others at once."""
_DRAIN_POLL_SECONDS = 0.01
"""Interval of checks whether all records are settled."""
DEFER_BUDGET_SECONDS = 5.0
"""How long they wait for the acknowledgement of deferred records."""


class GiveBack:
    """Ends the ownership of partitions, of one group member."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        handler: Handler,
        assignment: Assignment,
        commits: Commits,
        membership: Membership,
        *,
        drop_fetched: Callable[[TopicPartition], None],
        step_timeout: Callable[[], float],
        clock: Clock,
    ) -> None:
        """`step_timeout`: seconds that a commit may take now."""
        self._consumer = consumer
        self._handler = handler
        self._assignment = assignment
        self._commits = commits
        self._membership = membership
        self._drop_fetched = drop_fetched
        self._step_timeout = step_timeout
        self._clock = clock
        self._must_give_back = asyncio.Event()

    def check(self) -> None:
        """Begin to give back the partitions that are to move to other members."""
        if self._assignment.leaving:
            self._must_give_back.set()

    async def run(self) -> None:
        """Give back the partitions that are to move to other members, until cancelled."""
        while True:
            await self._must_give_back.wait()
            self._must_give_back.clear()
            leaving = dict(self._assignment.leaving)
            await self._finish(leaving, may_return=True)
            # During a rebalance a rejoin would be lost, and one may have returned some.
            await self._commits.wait_for_assignment()
            still = self._assignment.leaving
            if gone := [tp for tp, each in leaving.items() if still.get(tp) == each]:
                self._forget(gone)
                self._membership.rejoin()

    async def all(self) -> None:
        """Give back all partitions."""
        self.forget_if_expelled()
        await self._finish(self._assignment.owned)
        self._forget(self._assignment.owned)

    def forget_if_expelled(self) -> None:
        """Forget all partitions after an expulsion: other members have these records by now, and
        the group refuses a commit.
        """
        if not self._membership.is_expelled:
            return
        if void := self._assignment.unsettled:
            log.warning("expelled from the group; in-flight records are void", records=void)
        self._forget(self._assignment.owned)

    async def settled(
        self, budget: float, partitions: Collection[OffsetTracker] | None = None
    ) -> bool:
        """Wait up to `budget` seconds for all records of `partitions` (None: all) to be settled."""
        deadline = self._clock.monotonic() + budget
        while (
            sum(p.unsettled for p in partitions)
            if partitions is not None
            else self._assignment.unsettled
        ):
            if self._clock.monotonic() >= deadline:
                return False
            await asyncio.sleep(_DRAIN_POLL_SECONDS)
        return True

    async def _finish(self, tps: Collection[TopicPartition], *, may_return: bool = False) -> None:
        """Let in-flight records finish, let overflow what does not begin soon, defer the rest, and
        commit. `may_return`: what is assigned again meanwhile goes on.
        """
        existing = self._consumer.partitions_for_topic
        # In-flight records of a deleted topic continue: they cannot be read again.
        trackers = self._assignment.trackers_of(tp for tp in tps if existing(tp.topic))

        def assigned_again() -> set[OffsetTracker]:
            return set(self._assignment.trackers.values()) if may_return else set()

        if not await self.settled(_BEGIN_BUDGET_SECONDS, trackers):
            trackers -= assigned_again()
            self._handler.release(lambda pending: pending.tracker in trackers)
        if not await self.settled(DRAIN_BUDGET_SECONDS - _BEGIN_BUDGET_SECONDS, trackers):
            trackers -= assigned_again()
            self._handler.defer(lambda pending: pending.tracker in trackers)
            await self.settled(DEFER_BUDGET_SECONDS, trackers)
        await self._commits.commit(self._step_timeout())

    def _forget(self, tps: Collection[TopicPartition]) -> None:
        """Forget partitions that other members may have from now on."""
        self._assignment.revoke(tps)
        for tp in tps:
            self._drop_fetched(tp)
            self._commits.forget(tp)
        if tps:
            log.info("partitions revoked", partitions=partition_names(tps))
