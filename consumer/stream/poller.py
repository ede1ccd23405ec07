"""Polls the consumer, so that no partition holds back another and no record is passed over."""

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
from consumer.stream.kafka_errors import REFUSALS, refusal
from consumer.stream.lookahead import LookAhead
from consumer.stream.tasks import within
from consumer.stream.unreadable import UnreadablePartitions

log = get_logger(__name__)

POLL = 0.2
"""Seconds that a poll waits for records; also how often a held partition's clock is looked at."""
_BACKOFF = 1.0
"""Seconds before the next poll after one that failed."""
_CAREFUL = 30.0
"""Seconds for which partitions are polled one by one, once a failed poll has been made good."""
_UNREADABLE_RETRY_SECONDS = 30.0
"""Until a partition that cannot be read is tried again."""
_POLL_TIMEOUT_SECONDS = 5.0
"""Seconds for one answer: aiokafka waits for ever while a rebalance goes on or the broker is away,
and a stop must not."""
_MAX_RECORDS = 500
REFETCH_SECONDS = 0.5
"""A record that is too large to be kept until it is due is fetched no more often than this."""

Batches = Mapping[TopicPartition, Sequence[Any]]


class Poller:
    """What a consumer's positions and pauses are needed for.

    `next_offset` tells the offset behind the last record that was handed over, None for a
    partition that has no position yet. `out_of_range` is told of a partition whose position is
    outside its log; it must pause it.
    """

    def __init__(
        self,
        consumer: AIOKafkaConsumer,
        next_offset: Callable[[TopicPartition], int | None],
        out_of_range: Callable[[TopicPartition], None],
        clock: Clock,
        *,
        backoff: float = _BACKOFF,
        patience: float = _POLL_TIMEOUT_SECONDS,
    ) -> None:
        self._backoff = backoff
        self._patience = patience
        self._consumer = consumer
        self._next_offset = next_offset
        self._out_of_range = out_of_range
        self._clock = clock
        self._look_ahead = LookAhead()
        self._held: dict[TopicPartition, tuple[int | None, float]] = {}
        """The offset of a record that is not due, None for an unreadable one; until when."""
        self._positions_invalid = False
        self._careful_until = 0.0
        self.unreadable = UnreadablePartitions()
        self._fragile: set[TopicPartition] = set()
        """Those that failed while polled by themselves."""

    async def poll(self) -> Batches:
        """The next records of each partition; nothing after an error, which is survived.

        Raises `HookstreamError` where the broker refuses what no waiting will change.
        """
        try:
            if self._positions_invalid:
                self._rewind()
            kept = self._release()
            batches = await self._poll(0.0 if kept else POLL)
        except HookstreamError:
            raise
        except Exception as error:  # noqa: BLE001  # whatever it is, the other partitions go on
            # Records of other partitions that the same poll had drained are gone, and their
            # positions already moved: nothing may be polled before all are set back.
            self._positions_invalid = True
            self._careful_until = float("inf")  # until some time after they are
            log.warning("a poll failed; partitions are polled one by one", error=repr(error))
            await asyncio.sleep(self._backoff)
            return {}
        # Not before: an error voids them too, and a rebalance meanwhile has dropped some.
        return {**batches, **{tp: self._look_ahead.take(tp) for tp in kept}}

    async def _poll(self, wait: float) -> Batches:
        if self._clock.monotonic() < self._careful_until:
            return await self._poll_each(self._awake()) or await _rest(wait)
        self._fragile.clear()
        return await self._poll_together(wait)

    def invalidate_positions(self) -> None:
        """What was polled is void: the next poll starts behind what was handed over last."""
        self._positions_invalid = True

    async def skip_gaps(self, partitions: Mapping[TopicPartition, OffsetTracker]) -> None:
        """Let `partitions` reach the consumer's positions, once all that was polled is taken.

        Behind its last record a transaction leaves a marker, which nobody is handed: the
        committed offset would stay before it, and the lag never be 0.
        """
        if self._positions_invalid:
            return
        try:
            async with within(POLL):
                for tp, partition in list(partitions.items()):
                    if tp in self._look_ahead:
                        continue  # its position is behind records that were not taken
                    partition.skip_to(await self._consumer.position(tp))
        except (IllegalStateError, KafkaError, TimeoutError):
            return  # reassigned, or no position now: a later round tells

    def pause_until(
        self, tp: TopicPartition, records: Sequence[Record], first: int, due_at: float
    ) -> None:
        """Pause `place` until `due_at` (monotonic seconds), when the record at the index `first` of
        its polled `records` is due.

        It and the next ones are kept, as far as there is memory, so that a record that is due a
        moment after the one before it costs no fetch. The others are fetched again; if none could
        be kept, after `REFETCH_SECONDS` at the earliest.
        """
        kept = self._look_ahead.keep(tp, records, first)
        rest = records[first + kept :]
        self._consumer.pause(tp)
        # Even to where it is: that frees at once what aiokafka has fetched beyond.
        self._consumer.seek(tp, rest[0].offset if rest else records[-1].offset + 1)
        if not kept:
            due_at = max(due_at, self._clock.monotonic() + REFETCH_SECONDS)
        self._held[tp] = (records[first].offset, due_at)

    def paused_until(self, tp: TopicPartition, offset: int) -> float | None:
        """Until when `place` was last held at `offset`; None where it was not."""
        known, due_at = self._held.get(tp, (None, 0.0))
        return due_at if known == offset else None

    def is_paused(self, tp: TopicPartition) -> bool:
        """Whether `place` is held and its time has not come."""
        _, due_at = self._held.get(tp, (None, 0.0))
        return due_at > self._clock.monotonic()

    def forget(self, tp: TopicPartition) -> None:
        """The assignment ended, and its pauses with it."""
        self._look_ahead.take(tp)
        self._held.pop(tp, None)
        self.unreadable.forget(tp)

    def _release(self) -> list[TopicPartition]:
        """Resume what is held no longer; returns the partitions of which records are kept instead,
        which stay paused until all of these are taken.
        """
        if not self._held:
            return []
        now, paused = self._clock.monotonic(), self._consumer.paused()
        due = [tp for tp, (_, due_at) in self._held.items() if due_at <= now]
        kept = [tp for tp in due if tp in self._look_ahead]
        for tp in due:
            if tp in paused and tp not in self._look_ahead:
                self._consumer.resume(tp)
        return kept

    async def _fetch(self, wait: float, *partitions: TopicPartition, most: int) -> Batches:
        try:
            async with within(wait + self._patience):
                batches: Batches = await self._consumer.getmany(
                    *partitions, timeout_ms=int(wait * 1000), max_records=most
                )
        except TimeoutError:
            return {}  # a rebalance goes on: nothing was drained
        except OffsetOutOfRangeError as error:  # aiokafka raises it only when nothing was drained
            for tp in error.args[0]:
                self._out_of_range(tp)
            return {}
        except REFUSALS as error:
            raise HookstreamError(refusal(error)) from error
        return batches

    def _awake(self) -> set[TopicPartition]:
        awake: set[TopicPartition] = self._consumer.assignment() - self._consumer.paused()
        return awake

    async def _poll_together(self, wait: float) -> Batches:
        """Ask all at once, but those that could not be read by themselves: their errors would take
        the others' records with them.
        """
        awake = self._awake() if self.unreadable else set()
        alone = self.unreadable.among(awake)
        if not alone:
            return await self._fetch(wait, most=_MAX_RECORDS)
        batches = await self._poll_each(alone)
        if others := awake - alone:
            return {**batches, **await self._fetch(wait, *others, most=_MAX_RECORDS)}
        return batches or await _rest(wait)

    async def _poll_each(self, partitions: Collection[TopicPartition]) -> Batches:
        """Ask each partition by itself, so that a corrupt one holds back no other.

        An error takes with it the records that the same poll had read before it. So a partition
        that failed is read record by record, up to the one that cannot be read.
        """
        batches: dict[TopicPartition, Sequence[Any]] = {}
        for tp in partitions:
            singly = tp in self._fragile or tp in self.unreadable
            try:
                batches.update(await self._fetch(0.0, tp, most=1 if singly else _MAX_RECORDS))
            except HookstreamError:
                raise
            except Exception as error:  # noqa: BLE001  # likewise
                offset = self._next_offset(tp)
                if offset is None:
                    continue
                self._consumer.seek(tp, offset)
                if not singly:
                    self._fragile.add(tp)
                    continue
                self.unreadable.note(tp, offset, error)
                self._consumer.pause(tp)
                self._held[tp] = (None, self._clock.monotonic() + _UNREADABLE_RETRY_SECONDS)
        for tp in self.unreadable.among(batches):
            self.unreadable.passed(tp, batches[tp][-1].offset)
        return batches

    def _rewind(self) -> None:
        """Set every position back behind the last record that was handed over."""
        self._look_ahead.clear()
        for tp in self._consumer.assignment():
            offset = self._next_offset(tp)
            if offset is not None:
                self._consumer.seek(tp, offset)
        self._positions_invalid = False
        self._careful_until = min(self._careful_until, self._clock.monotonic() + _CAREFUL)


async def _rest(wait: float) -> Batches:
    await asyncio.sleep(wait / 4)
    return {}
