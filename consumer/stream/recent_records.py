"""The newest records of topics, newest first, and single ones, without a group."""

from collections.abc import AsyncGenerator, Collection
from contextlib import aclosing
from typing import Final

from consumer.clock import Clock
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.backward_merge import Place, Reached, Span
from consumer.stream.backward_reader import BackwardReader
from consumer.stream.forward_reader import read_forwards
from consumer.stream.partitions_reader import PartitionsReader

_FIRST_CHUNK_OFFSETS: Final = 16
"""Of each partition: events may be as large as a megabyte."""


async def recent_records(
    settings: KafkaSettings, topics: Collection[str], count: int, clock: Clock
) -> AsyncGenerator[Record, None]:
    """Yield the newest `count` committed records of those `topics` that exist, newest first.

    Raises:
        HookstreamError: the broker does not answer, or refuses.
    """
    async with PartitionsReader(settings, topics, clock) as partitions:
        spans = await partitions.spans(None, None)
        reader = BackwardReader(
            partitions,
            spans,
            _whole,
            clock,
            wanted_items=count,
            first_offsets=_FIRST_CHUNK_OFFSETS,
        )
        found = 0
        async with aclosing(reader.read()) as items:
            async for item in items:
                if item is not None:
                    yield item.value
                    found += 1
                if found == count:
                    return


async def record_at(
    settings: KafkaSettings, place: Place, offset: int, clock: Clock
) -> Record | None:
    """The committed record at an offset; None: there is none, or none any more.

    Raises:
        HookstreamError: the broker does not answer, or refuses, or the record cannot be read.
    """
    async with PartitionsReader(settings, [place[0]], clock) as partitions:
        partitions.keep([place])
        span = (await partitions.spans(None, None)).get(place)
        if span is None or not span.low <= offset < span.high:
            return None
        one = Span(offset, offset + 1, Reached.SINCE)
        async with aclosing(read_forwards(partitions, place, one, clock)) as records:
            return await anext(records, None)


def _whole(record: Record) -> Record:
    return record
