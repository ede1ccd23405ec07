"""The overflow topic as this replica uses it: which partition each hook's deliveries wait in."""

from collections import Counter, defaultdict
from collections.abc import Iterable

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.records.order_line import Line
from consumer.records.order_lines import OrderLines
from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream.catch_up import CatchUp

log = get_logger(__name__)

_FORGET_SECONDS = 60.0
"""A written record that was not read after this time is not expected any more: it went to another
partition, or was never written."""


class OverflowTopic:
    """Counts each hook's deliveries that wait in this replica's partitions or are on the way there.

    A replica writes to partitions that it is assigned, so it reads its own overflow, at its own
    share of a rate limit; after a rebalance the next owner does. A hook keeps its partition as long
    as deliveries of it wait there, which keeps them in order; otherwise it gets the one with the
    fewest.
    """

    def __init__(self, name: str, clock: Clock, metrics: StreamMetrics) -> None:
        self.name = name
        """The topic."""
        self.behind: Counter[str] = Counter()
        """By hook, its deliveries that wait: a later one goes behind them. Hooks without any are
        not in it."""
        self.lines = OrderLines(clock)
        """Of deliveries that keep an order; they are counted there, and not in `behind`."""
        self.catch_up = CatchUp()
        self.taken_records = 0
        """Deliveries that were taken out of the topic since the start."""
        self._clock = clock
        self._metrics = metrics
        self._trackers: dict[int, OverflowTracker] = {}
        self._homes: dict[str, int] = {}
        """By hook, the partition that its deliveries are written to."""
        self._expected: defaultdict[int, Counter[str]] = defaultdict(Counter)
        """By partition and hook, deliveries that were handed to the outbox and not yet read."""
        self._sent_at: dict[int, float] = {}

    def assigned(self, tracker: OverflowTracker) -> None:
        """Use a partition, which is read by `tracker`."""
        self.leaves(tracker.number)
        self._trackers[tracker.number] = tracker
        self.lines.begun(tracker)
        for hook, queue in tracker.queues.items():
            if queue.waiting:
                self.behind[hook] += queue.waiting
                self._homes.setdefault(hook, tracker.number)

    def assign(self, numbers: Iterable[int], partitions: int) -> None:
        """Note which partitions, of so many, are assigned; those that are new have no position."""
        self.lines.assign(set(numbers), partitions)

    def revoked(self, partition: int) -> None:
        """Forget the partition: its next owner sends what waits there."""
        self.leaves(partition)
        self.lines.revoke(partition)

    def leaves(self, partition: int) -> None:
        """Write to the partition no more; another member will own it."""
        tracker = self._trackers.pop(partition, None)
        if tracker is None:
            return
        for hook, queue in tracker.queues.items():
            self._leave(hook, queue.waiting)
        self._forget(partition)
        self._homes = {hook: home for hook, home in self._homes.items() if home != partition}

    def write(self, hook: str) -> int | None:
        """Count a delivery that is about to be written. Returns the partition that it goes to; None
        for any, if this replica has none.
        """
        if not self._trackers:
            return None
        partition = self._homes.get(hook)
        if partition is None:
            partition = self._homes[hook] = self._choose(hook)
        self.behind[hook] += 1
        self._expected[partition][hook] += 1
        self._sent_at[partition] = self._clock.monotonic()
        return partition

    def read(self, tracker: OverflowTracker, hook: str) -> None:
        """Note that `tracker` has indexed a delivery: it waits."""
        expected = self._expected[tracker.number]
        if expected[hook] > 0:
            expected[hook] -= 1
        elif self._trackers.get(tracker.number) is tracker:
            self.behind[hook] += 1
            self._homes.setdefault(hook, tracker.number)

    def write_in_line(self, partition: int) -> None:
        """Note that a delivery is about to be written to the home of its line."""
        self._sent_at[partition] = self._clock.monotonic()

    def taken(self, hook: str, *, is_ordered: bool = False) -> None:
        """Note that a delivery waits no more."""
        if not is_ordered:
            self._leave(hook, 1)
        self.taken_records += 1
        self.catch_up.taken(self._clock.monotonic())

    def put_back(self, tracker: OverflowTracker, hook: str, line: Line | None = None) -> None:
        """Note that a delivery that was taken waits again, in its `line` if it has one."""
        if line is not None:
            self.lines.put_back(line, tracker)
        elif self._trackers.get(tracker.number) is tracker:
            self.behind[hook] += 1
            self._homes.setdefault(hook, tracker.number)

    def lose(self, tracker: OverflowTracker, start: int, end: int) -> int:
        """Settle, and tell, what waits from `start` to `end` (exclusive): the log no longer holds
        it. Returns the number of records.
        """
        before = {hook: queue.waiting for hook, queue in tracker.queues.items()}
        count = tracker.lose(start, end)
        if not count:
            return 0
        self.lines.lose(tracker.number)
        for hook, waiting in before.items():
            queue = tracker.queues.get(hook)
            self._leave(hook, waiting - (queue.waiting if queue is not None else 0))
        self._metrics.offsets_lost(tracker.topic, tracker.number, count)
        log.error(
            "deliveries that waited in the overflow topic are lost: it no longer holds them",
            topic=tracker.topic,
            partition=tracker.number,
            records=count,
        )
        return count

    def forget_lost(self, partition: int) -> None:
        """Expect no record any more in a partition that was read to its end, if none was written
        for long.
        """
        sent_at = self._sent_at.get(partition)
        if sent_at is not None and self._clock.monotonic() >= sent_at + _FORGET_SECONDS:
            self._forget(partition)
            self.lines.expect_nothing(partition)

    def _choose(self, hook: str) -> int:
        for partition, tracker in self._trackers.items():
            queue = tracker.queues.get(hook)
            if queue is not None and queue.waiting:
                return partition
        return min(self._trackers, key=self._load)

    def _load(self, partition: int) -> tuple[int, int]:
        """Deliveries that wait in a partition or are on the way there, and its number."""
        waiting = self._trackers[partition].waiting
        return waiting + self._expected[partition].total(), partition

    def _forget(self, partition: int) -> None:
        self._sent_at.pop(partition, None)
        for hook, count in self._expected.pop(partition, {}).items():
            self._leave(hook, count)

    def _leave(self, hook: str, count: int) -> None:
        self.behind[hook] -= count
        if self.behind[hook] <= 0:
            del self.behind[hook]
            self._homes.pop(hook, None)
