"""Searches the delivery log backwards, and follows it."""

from collections.abc import AsyncGenerator, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from enum import StrEnum
from math import inf, isinf
from typing import Final, Generic, NamedTuple, TypeVar

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.journal.cursor import Cursor, parse_cursor
from consumer.journal.log_filter import LogFilter, Matcher
from consumer.journal.records import DeliveryRecord
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.backward_merge import CHUNK_BYTES, Item, Place, Reached, Span
from consumer.stream.backward_reader import BackwardReader
from consumer.stream.forward_reader import follow
from consumer.stream.partitioner import partition_of
from consumer.stream.partitions_reader import PartitionsReader

LATE_MS: Final = 60 * 60 * 1000
"""How much later than its time a record may come into the log: a replica that is cut off from Kafka
writes what it kept once it is back. With `until`, the search begins so much later."""


class SearchEnd(StrEnum):
    """What ended a search."""

    SINCE = "since"
    """It came to the time that was asked for."""
    LOG_START = "log_start"
    """It came to the log's first record; retention has deleted earlier ones."""
    BEGINNING = "beginning"
    """It came to the first record that there ever was."""
    LIMIT = "limit"
    """As many were found as were wanted."""
    BOUND = "bound"
    """It took as long, or read as many records, as it may."""
    NO_LOG = "no_log"
    """There is no topic yet."""


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """What a search may cost; infinity: no bound."""

    seconds: float = inf
    records: float = inf

    @property
    def chunk_bytes(self) -> int:
        """Of what is read in one go. The time is looked at between two chunks, so one has to take a
        small part of it: 16 MiB take a tenth of a second or two.
        """
        return int(min(1.0, self.seconds) * CHUNK_BYTES)


UNBOUNDED: Final = SearchBounds()


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a search has come."""

    records: int
    """Records that were read."""
    searched_to: float | None
    """Epoch seconds: all that is wanted and newer was found. None: nothing is certain."""


@dataclass(frozen=True, slots=True)
class Horizon:
    """What a search looked at, told at its end."""

    end: SearchEnd
    searched_to: float | None
    """Epoch seconds: all that is wanted and newer was found, and retention has deleted none of it.
    None: nothing was searched, or everything there ever was."""
    records: int
    """Records that were read."""
    passed_over: int
    """Records of the topic that are no records of the log, of those that had to be read."""
    unreadable: Mapping[int, tuple[int, int]] = field(default_factory=dict)
    """By partition, the first and last offset of damaged records."""
    cursor: str | None = None
    """Where the search goes on; None: there is nothing more."""


class FoundDelivery(NamedTuple):
    """A record of the log and its place."""

    record: DeliveryRecord
    timestamp: int
    """Epoch milliseconds."""
    partition: int
    offset: int


SearchStep = FoundDelivery | Progress | Horizon

FoundT = TypeVar("FoundT")


@dataclass(frozen=True, slots=True)
class TopicSearch(Generic[FoundT]):
    """What is looked for in a topic, backwards."""

    topic: str
    digest: str
    """Of the filter: a cursor goes on with the same one only."""
    take: Callable[[Record], FoundT | None]
    """See `BackwardReader`, as `may_match`."""
    may_match: Callable[[bytes], bool] | None
    passed_over: Callable[[], int]
    """How many records were none of those that the topic is for."""
    since: int | None = None
    """Epoch milliseconds."""
    until: int | None = None
    hook: str | None = None
    """Whose records alone are wanted, of a topic whose keys are hooks."""


async def search_topic(
    settings: KafkaSettings,
    wanted: TopicSearch[FoundT],
    clock: Clock,
    *,
    limit: int | None,
    cursor: str | None,
    bounds: SearchBounds,
) -> AsyncGenerator[Item[FoundT] | Progress | Horizon, None]:
    """Yield what is found, newest first, `Progress` between, and one `Horizon` at the end.

    Raises:
        HookstreamError: the broker does not answer, or refuses.
        ConfigError: the cursor is none of a search by this filter.
    """
    deadline = clock.monotonic() + bounds.seconds
    async with PartitionsReader(settings, [wanted.topic], clock) as partitions:
        if not partitions.logs:
            yield Horizon(SearchEnd.NO_LOG, None, 0, 0)
            return
        topic_id = str(partitions.topic_ids[wanted.topic])
        _keep_only(partitions, wanted.topic, wanted.hook)
        spans = await partitions.spans(wanted.since, wanted.until)
        if cursor is not None:
            offsets = parse_cursor(cursor, topic_id, wanted.digest).offsets
            spans = {place: _cut(one, offsets, place) for place, one in spans.items()}
        reader = BackwardReader(
            partitions,
            spans,
            wanted.take,
            clock,
            may_match=wanted.may_match,
            wanted_items=limit,
            chunk_bytes=bounds.chunk_bytes,
        )
        found, end = 0, None
        async with aclosing(reader.read()) as items:
            async for item in items:
                if item is None:
                    yield Progress(reader.records, _seconds(reader.merge.searched_to()))
                else:
                    found += 1
                    yield item
                if found == limit:
                    end = SearchEnd.LIMIT
                elif clock.monotonic() >= deadline or reader.records >= bounds.records:
                    end = SearchEnd.BOUND
                if end is not None:
                    break
        yield _horizon(reader, wanted, topic_id, end)


class LogSearch:
    """Searches the topic of the delivery log, without a group. It holds no state of its own."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self.topic = settings.own_topics.deliveries
        self._settings = settings
        self._clock = clock

    async def search(
        self,
        wanted: LogFilter,
        *,
        limit: int | None = None,
        cursor: str | None = None,
        bounds: SearchBounds = SearchBounds(),  # immutable
    ) -> AsyncGenerator[SearchStep, None]:
        """Yield what is found, newest first, `Progress` between, and one `Horizon` at the end.

        Raises:
            HookstreamError: the broker does not answer, or refuses.
            ConfigError: the cursor is none of a search by this filter.
        """
        matcher = Matcher(wanted, self._settings.group_id)
        search = TopicSearch(
            self.topic,
            wanted.digest,
            matcher,
            matcher.may_match if matcher.is_selective else None,
            lambda: matcher.passed_over,
            wanted.since,
            None if wanted.until is None else wanted.until + LATE_MS,
            wanted.hook,
        )
        steps = search_topic(
            self._settings, search, self._clock, limit=limit, cursor=cursor, bounds=bounds
        )
        async with aclosing(steps):
            async for step in steps:
                if isinstance(step, Item):
                    yield FoundDelivery(step.value, step.timestamp, step.place[1], step.offset)
                else:
                    yield step

    async def follow(self, wanted: LogFilter) -> AsyncGenerator[FoundDelivery, None]:
        """Yield what is wanted and written from now on, or from the filter's `since` on, for ever.

        Raises:
            HookstreamError: the broker does not answer, or refuses, or there is no topic.
        """
        async with PartitionsReader(self._settings, [self.topic], self._clock) as partitions:
            if not partitions.logs:
                raise HookstreamError(f"there is no topic {self.topic} yet: start a daemon")
            _keep_only(partitions, self.topic, wanted.hook)
            matcher = Matcher(wanted, self._settings.group_id)
            async with aclosing(follow(partitions, wanted.since, self._clock)) as records:
                async for record in records:
                    found = matcher(record)
                    if found is not None:
                        yield FoundDelivery(
                            found, record.timestamp, record.partition, record.offset
                        )


def _keep_only(partitions: PartitionsReader, topic: str, hook: str | None) -> None:
    """Read only the partitions that may have the hook's records.

    Its id is their key, and partitions are never taken away: they are where today's count has them,
    or where a smaller one had them.
    """
    if hook is not None:
        key, counts = hook.encode(), range(1, len(partitions.logs) + 1)
        partitions.keep({(topic, partition_of(key, count)) for count in counts})


def _cut(whole: Span, offsets: Mapping[int, int], place: Place) -> Span:
    high = min(whole.high, offsets.get(place[1], whole.high))
    return replace(whole, low=min(whole.low, high), high=high)


def _horizon(
    reader: BackwardReader[FoundT],
    wanted: TopicSearch[FoundT],
    topic_id: str,
    end: SearchEnd | None,
) -> Horizon:
    merge = reader.merge
    more = merge.has_more
    if end is None or not more:
        end = _natural_end(merge.reached)
        searched_to = max(
            merge.complete_from(), -inf if wanted.since is None else float(wanted.since)
        )
    else:
        searched_to = merge.searched_to()
    offsets = {number: offset for (_, number), offset in merge.next_offsets().items()}
    return Horizon(
        end,
        _seconds(searched_to),
        reader.records,
        wanted.passed_over(),
        {number: span for (_, number), span in reader.unreadable.items()},
        str(Cursor(topic_id, wanted.digest, offsets)) if more else None,
    )


def _natural_end(reached: frozenset[Reached]) -> SearchEnd:
    """What ended a search that read everything."""
    if Reached.LOG_START in reached:
        return SearchEnd.LOG_START
    return SearchEnd.SINCE if Reached.SINCE in reached else SearchEnd.BEGINNING


def _seconds(timestamp: float) -> float | None:
    return None if isinf(timestamp) else timestamp / 1000
