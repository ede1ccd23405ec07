"""Polls the consumer without head-of-line blocking between partitions, and skips no record."""

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import IllegalStateError, KafkaError, OffsetOutOfRangeError

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.records.record import Record
from consumer.records.tracker import OffsetTracker
from consumer.stream.awaiting_schema import AwaitingSchema
from consumer.stream.kafka_errors import REFUSALS, refusal
from consumer.stream.lookahead import LookAhead
from consumer.stream.tasks import timeout
from consumer.stream.unreadable import UnreadablePartitions

log = get_logger(__name__)

POLL_SECONDS = 0.2
"""How long a poll waits for records; also the interval of checks of paused partitions."""
_BACKOFF_SECONDS = 1.0
"""Pause after a failed poll."""
_SINGLE_POLL_SECONDS = 30.0
"""How long partitions are polled one by one after recovery from a failed poll."""
_UNREADABLE_RETRY_SECONDS = 30.0
"""Time until an unreadable partition is retried."""
_POLL_TIMEOUT_SECONDS = 5.0
"""For one answer: aiokafka waits for ever during a rebalance or while the broker is unreachable,
but a stop must not."""
_MAX_POLL_RECORDS = 500
REFETCH_SECONDS = 0.5
"""Minimum interval in which a record too large for the look-ahead buffer is fetched again."""

Batches = Mapping[TopicPartition, Sequence[Any]]


class Poller:
    """Polls, pauses and repositions a consumer.

    `next_offset` returns the offset after the last record taken, None for a partition without a
    position. `out_of_range` is called with a partition whose position is outside its log, and must
    pause it.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        next_offset: Callable[[TopicPartition], int | None],
        out_of_range: Callable[[TopicPartition], None],
        clock: Clock,
        *,
        backoff: float = _BACKOFF_SECONDS,
        poll_timeout: float = _POLL_TIMEOUT_SECONDS,
    ) -> None:
        self._backoff = backoff
        self._poll_timeout = poll_timeout
        self._consumer = consumer
        self._next_offset = next_offset
        self._out_of_range = out_of_range
        self._clock = clock
        self._look_ahead = LookAhead()
        self._paused: dict[TopicPartition, tuple[int | None, float]] = {}
        """The offset of a record that is not due, None if unreadable; until when (monotonic)."""
        self._positions_invalid = False
        self._single_polls_until = 0.0
        self.unreadable = UnreadablePartitions()
        self.awaiting_schema = AwaitingSchema()
        self._fragile: set[TopicPartition] = set()
        """Partitions that failed when polled alone."""

    async def poll(self, held: Collection[TopicPartition] = ()) -> Batches:
        """Return the next records of each partition that is not `held`; none after an error, which
        is logged.

        Raises `HookstreamError` for a refusal that no retry can fix.
        """
        try:
            if self._positions_invalid:
                self._rewind()
            kept = self._release()
            batches = await self._poll(0.0 if kept else POLL_SECONDS, held)
        except HookstreamError:
            raise
        except Exception as error:  # noqa: BLE001  # no error may stop the other partitions
            # Records of other partitions in the same poll are lost, but their positions have moved:
            # reset all positions before the next poll.
            self._positions_invalid = True
            self._single_polls_until = float("inf")  # `_rewind` ends it
            log.warning("a poll failed; partitions are polled one by one", error=repr(error))
            await asyncio.sleep(self._backoff)
            return {}
        # Take them only now: an error or a rebalance meanwhile makes them void.
        return {**batches, **{tp: self._look_ahead.take(tp) for tp in kept}}

    async def _poll(self, wait: float, held: Collection[TopicPartition]) -> Batches:
        if self._clock.monotonic() < self._single_polls_until:
            return await self._poll_each(self._active().difference(held)) or await _rest(wait)
        self._fragile.clear()
        return await self._poll_together(wait, held)

    def invalidate_positions(self) -> None:
        """Drop what was polled: the next poll starts after the last record taken."""
        self._positions_invalid = True

    async def skip_gaps(self, partitions: Mapping[TopicPartition, OffsetTracker]) -> None:
        """Advance `partitions` to the consumer's positions, after all polled records are taken.

        A transaction ends with a marker that is never returned as a record: without this the
        committed offset would stay before it, and the lag above 0.
        """
        if self._positions_invalid:
            return
        try:
            async with timeout(POLL_SECONDS):
                for tp, partition in list(partitions.items()):
                    if tp in self._look_ahead:
                        continue  # its position is after records that were not taken
                    partition.skip_to(await self._consumer.position(tp))
        except (IllegalStateError, KafkaError, TimeoutError):
            return  # reassigned, or without a position: a later call advances them

    def pause_until(
        self, tp: TopicPartition, records: Sequence[Record], first: int, due_at: float
    ) -> None:
        """Pause `tp` until `due_at` (monotonic seconds), when the record at the index `first` of
        its polled `records` is due.

        This record and the next ones are buffered as far as memory allows, so a record that is due
        soon after another costs no fetch. The others are fetched again; if none could be buffered,
        after `REFETCH_SECONDS` at the earliest.
        """
        kept = self._look_ahead.keep(tp, records, first)
        rest = records[first + kept :]
        self._consumer.pause(tp)
        # Seek even if the position is right: this frees what aiokafka has fetched beyond it.
        self._consumer.seek(tp, rest[0].offset if rest else records[-1].offset + 1)
        if not kept:
            due_at = max(due_at, self._clock.monotonic() + REFETCH_SECONDS)
        self._paused[tp] = (records[first].offset, due_at)

    def paused_until(self, tp: TopicPartition, offset: int) -> float | None:
        """Until when `tp` was last paused at `offset` (monotonic seconds); None if it was not."""
        known, due_at = self._paused.get(tp, (None, 0.0))
        return due_at if known == offset else None

    def is_paused(self, tp: TopicPartition) -> bool:
        """Whether `tp` is paused and its time has not come."""
        _, due_at = self._paused.get(tp, (None, 0.0))
        return due_at > self._clock.monotonic()

    def forget(self, tp: TopicPartition) -> None:
        """Forget a partition whose assignment or position has ended."""
        self._look_ahead.take(tp)
        self._paused.pop(tp, None)
        self.unreadable.forget(tp)
        self.awaiting_schema.forget(tp)

    def _release(self) -> list[TopicPartition]:
        """Resume due partitions; return those that stay paused until their buffer is taken."""
        if not self._paused:
            return []
        now, paused = self._clock.monotonic(), self._consumer.paused()
        due = [tp for tp, (_, due_at) in self._paused.items() if due_at <= now]
        kept = [tp for tp in due if tp in self._look_ahead]
        for tp in due:
            if tp in paused and tp not in self._look_ahead:
                self._consumer.resume(tp)
        return kept

    async def _fetch(self, wait: float, *partitions: TopicPartition, most: int) -> Batches:
        try:
            async with timeout(wait + self._poll_timeout):
                batches: Batches = await self._consumer.getmany(
                    *partitions, timeout_ms=int(wait * 1000), max_records=most
                )
        except TimeoutError:
            return {}  # a rebalance is in progress: nothing was drained
        except OffsetOutOfRangeError as error:  # aiokafka raises it only when nothing was drained
            for tp in error.args[0]:
                self._out_of_range(tp)
            return {}
        except REFUSALS as error:
            raise HookstreamError(refusal(error)) from error
        return batches

    def _active(self) -> set[TopicPartition]:
        active: set[TopicPartition] = self._consumer.assignment() - self._consumer.paused()
        return active

    async def _poll_together(self, wait: float, held: Collection[TopicPartition]) -> Batches:
        """Poll unreadable partitions alone, the others together: errors drop a poll's records."""
        if not self.unreadable and not held:
            return await self._fetch(wait, most=_MAX_POLL_RECORDS)
        active = self._active().difference(held)
        alone = self.unreadable.among(active)
        batches = await self._poll_each(alone)
        if others := active - alone:
            return {**batches, **await self._fetch(wait, *others, most=_MAX_POLL_RECORDS)}
        return batches or await _rest(wait)

    async def _poll_each(self, partitions: Collection[TopicPartition]) -> Batches:
        """Poll each partition alone, so that a corrupt one does not block the others.

        An error drops the records read before it in the same poll. So a partition that failed is
        read record by record up to the unreadable one.
        """
        batches: dict[TopicPartition, Sequence[Any]] = {}
        for tp in partitions:
            singly = tp in self._fragile or tp in self.unreadable
            try:
                batches.update(await self._fetch(0.0, tp, most=1 if singly else _MAX_POLL_RECORDS))
            except HookstreamError:
                raise
            except Exception as error:  # noqa: BLE001  # as in `poll`
                offset = self._next_offset(tp)
                if offset is None:
                    continue
                self._consumer.seek(tp, offset)
                if not singly:
                    self._fragile.add(tp)
                    continue
                self.unreadable.note(tp, offset, error)
                self._consumer.pause(tp)
                self._paused[tp] = (None, self._clock.monotonic() + _UNREADABLE_RETRY_SECONDS)
        for tp in self.unreadable.among(batches):
            self.unreadable.passed(tp, batches[tp][-1].offset)
        return batches

    def _rewind(self) -> None:
        """Reset every position to the offset after the last record taken."""
        self._look_ahead.clear()
        for tp in self._consumer.assignment():
            offset = self._next_offset(tp)
            if offset is not None:
                self._consumer.seek(tp, offset)
        self._positions_invalid = False
        until = self._clock.monotonic() + _SINGLE_POLL_SECONDS
        self._single_polls_until = min(self._single_polls_until, until)


async def _rest(wait: float) -> Batches:
    await asyncio.sleep(wait / 4)
    return {}
