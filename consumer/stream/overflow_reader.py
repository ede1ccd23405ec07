"""Reads the overflow topic: from each partition what an endpoint can take now.

A partition is indexed once from its position to its end. Whenever an endpoint has room, its first
record that waits is read again, by its offset: neither a dead endpoint's records before it nor
their number hold it up, and nothing is written again.
"""

import asyncio
from collections.abc import Callable, Iterator, Sequence

from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.clock import Clock
from consumer.records.headers import HOOK, ORDER, last_value
from consumer.records.line_table import Home
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.record import Record
from consumer.stream.assignment import Assignment
from consumer.stream.handler import Handler
from consumer.stream.overflow_lines import OverflowLines, first_failed_at
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.take_one import take_one

MAX_INDEXED_RECORDS = 4_000_000
"""Offsets in the indexes of all partitions together; the rest of a longer partition is indexed as
its beginning is settled."""
_LOOK_SECONDS = 0.01
_HOOK_LOOK_SECONDS = 1e-4
"""The time between two looks for endpoints with room, and what each hook that waits adds to it."""
_SOON_SECONDS = 0.1
"""An endpoint that is asked within this time takes what it gets: its records are read soon."""
_READ_ON_RECORDS = 200
"""So many records before the wanted one are read: it takes less than another fetch."""
_SLICE_RECORDS = 50
"""Records between two yields to the event loop."""


class OverflowReader:
    """Steers the consumer's positions in the overflow topic, and feeds the handler."""

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        handler: Handler,
        assignment: Assignment,
        topic: OverflowTopic,
        *,
        is_held: Callable[[TopicPartition], bool],
        clock: Clock,
    ) -> None:
        """`is_held`: whether a partition is paused for another reason."""
        self._consumer = consumer
        self._handler = handler
        self._assignment = assignment
        self._topic = topic
        self._lines = OverflowLines(topic.lines)
        self._is_held = is_held
        self._clock = clock
        self._room: dict[str, int] = {}
        """By hook, the deliveries that it takes until it is asked again, if any."""
        self._ask_at: dict[str, float] = {}
        """By hook, monotonic seconds before which its room is not asked again."""
        self._look_at = 0.0
        self._full: set[TopicPartition] = set()

    def is_full(self, tp: TopicPartition) -> bool:
        """Whether a partition is not read on because its index is as large as it may be."""
        return tp in self._full

    def steer(self) -> None:
        """Set the position of each partition to what is read next, and pause those without."""
        trackers = list(self._trackers())
        if not trackers:
            self._consumer.is_urgent = False
            return
        now = self._clock.monotonic()
        if now >= self._look_at:
            self._look_at = now + _LOOK_SECONDS + self._ask(trackers, now) * _HOOK_LOOK_SECONDS
            soon = now + _SOON_SECONDS
            self._consumer.is_urgent = self._lines.move or any(
                at < soon for at in self._ask_at.values()
            )
        may_index, paused = MAX_INDEXED_RECORDS // len(trackers), self._consumer.paused()
        for tp, tracker in trackers:
            if not self._is_held(tp):
                self._steer_one(tp, tracker, may_index, is_paused=tp in paused)

    def _trackers(self) -> Iterator[tuple[TopicPartition, OverflowTracker]]:
        for tp, tracker in self._assignment.trackers.items():
            if isinstance(tracker, OverflowTracker) and tp not in self._assignment.waiting:
                yield tp, tracker

    def _ask(self, trackers: Sequence[tuple[TopicPartition, OverflowTracker]], now: float) -> int:
        """Ask for the room of each hook that waits, if it is time. Returns the number of hooks."""
        oldest: dict[str, float] = {}
        for _, tracker in trackers:
            for hook, queue in tracker.queues.items():
                if queue.waiting:
                    known = oldest.get(hook, queue.first_failed_at)
                    oldest[hook] = min(known, queue.first_failed_at)
        ready = self._lines.advance(oldest)
        self._room = {hook: room for hook, room in self._room.items() if hook in oldest}
        self._ask_at = {hook: at for hook, at in self._ask_at.items() if hook in oldest}
        for hook, oldest_at in oldest.items():
            if now >= self._ask_at.get(hook, now):
                self._ask_one(hook, oldest_at, now)
                if hook in ready:
                    self._lines.note_room(hook, has_room=hook in self._room)
        return len(oldest)

    def _ask_one(self, hook: str, failed_at: float, now: float) -> None:
        room, again_in = self._handler.room(hook, failed_at)
        self._ask_at[hook] = now + again_in
        if room:
            self._room[hook] = room
        else:
            self._room.pop(hook, None)

    def _steer_one(
        self, tp: TopicPartition, tracker: OverflowTracker, may_index: int, *, is_paused: bool
    ) -> None:
        self._full.discard(tp)
        queues = [queue for hook in self._room if (queue := tracker.queues.get(hook))]
        target = min((tracker.next_of(queue) for queue in queues if queue.waiting), default=None)
        target = self._lines.target(tracker, self._room, target)
        if target is None:
            is_long = tracker.span >= may_index or self._topic.lines.is_full
            if tracker.is_full or (is_long and not self._lines.must_index(tracker)):
                self._full.add(tp)
                self._consumer.pause(tp)
                return
            tracker.skip_settled()
            target = tracker.next_offset
            if target >= self._assignment.ends.get(tp, target + 1):
                self._topic.forget_lost(tp.partition)
        if is_paused or not tracker.position <= target <= tracker.position + _READ_ON_RECORDS:
            self._consumer.seek(tp, target)
            tracker.position = target
        if is_paused:
            self._consumer.resume(tp)

    async def take(
        self, tracker: OverflowTracker, records: Sequence[Record], goes_on: Callable[[], bool]
    ) -> None:
        """Index or deliver `records`, polled for `tracker`, while its assignment `goes_on`."""
        for number, record in enumerate(records):
            if number % _SLICE_RECORDS == _SLICE_RECORDS - 1:
                await asyncio.sleep(0)
            while self._handler.at_capacity and goes_on():
                await self._handler.wait_for_capacity()
            if not goes_on():
                return
            if not self._take_or_index(tracker, record):
                self._consumer.seek(TopicPartition(tracker.topic, tracker.number), record.offset)
                return

    def _take_or_index(self, tracker: OverflowTracker, record: Record) -> bool:
        """Index a record, and deliver it if it is its turn. Returns False if the index is full."""
        hook, headers = _hook(record), record.headers
        if record.offset >= tracker.next_offset:
            order = last_value(headers, ORDER)
            if not tracker.may_add(hook, is_ordered=order is not None):
                return False
            self._index(tracker, record, hook, order)
        elif tracker.position < record.offset:
            self._topic.lose(tracker, tracker.position, record.offset)
        tracker.position = record.offset + 1
        queue = tracker.queues.get(hook)
        if (
            queue is not None
            and queue.waiting
            and self._has_room(hook, queue.first_failed_at)
            and tracker.next_of(queue) == record.offset
        ):
            self._topic.taken(hook)
            self._take_one(record, tracker, hook, queue.first_failed_at)
            return True
        home = self._lines.home(tracker)
        if home is not None and home.hooks:
            self._take_in_line(record, tracker, hook, home)
        return True

    def _index(
        self, tracker: OverflowTracker, record: Record, hook: str, order: bytes | None
    ) -> None:
        tracker.skip_settled()
        if record.offset < tracker.next_offset:
            return
        if self._handler.is_foreign(record):
            tracker.skip(record.offset)
            return
        if order is not None and self._lines.index(tracker, record, hook, order):
            return
        tracker.add(record.offset, hook, first_failed_at(record))
        self._topic.read(tracker, hook)

    def _has_room(self, hook: str, failed_at: float) -> bool:
        if hook not in self._ask_at:  # the first that waits
            self._ask_one(hook, failed_at, self._clock.monotonic())
        return hook in self._room

    def _take_in_line(
        self, record: Record, tracker: OverflowTracker, hook: str, home: Home
    ) -> None:
        lines = home.hooks.get(hook)
        if lines is None or record.offset not in lines.ready or not home.is_sure:
            return
        if not self._has_room(hook, lines.first_failed_at):
            return
        tracker.taking = self._topic.lines.take(home, hook, record.offset)
        self._topic.taken(hook, is_ordered=True)
        self._take_one(record, tracker, hook, lines.first_failed_at)

    def _take_one(
        self, record: Record, tracker: OverflowTracker, hook: str, failed_at: float
    ) -> None:
        self._room[hook] -= 1
        wanted = take_one(self._handler, record, tracker, self._clock)
        if wanted is not None:  # it is the hook's next one still, and read again by then
            self._topic.put_back(tracker, hook, tracker.taking)
            tracker.taking = None
            self._room.pop(hook)
            self._ask_at[hook] = self._clock.monotonic() + wanted.seconds
            return
        if not self._room[hook]:  # a quick endpoint may have begun all that it took
            self._ask_one(hook, failed_at, self._clock.monotonic())


def _hook(record: Record) -> str:
    """The hook of a record; "" if it has none, which is another program's."""
    return (last_value(record.headers, HOOK) or b"").decode(errors="replace")
