"""Reads partitions forwards, without a group: to their end, or for ever."""

import asyncio
import sys
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from consumer.cancellation import end_tasks
from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.stream.backward_merge import Place, Reached, Span
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partitions_reader import PartitionsReader
from consumer.stream.skimming import Skim

ENDLESS: Final = sys.maxsize
"""The end of a span that is followed for ever."""
_FETCH_WAIT_SECONDS: Final = 0.5
_QUEUED_RECORDS: Final = 1_000
"""Records of all partitions that may wait for the one that follows (backpressure)."""
_TIME_SLICE_SECONDS: Final = 0.005
"""Work after which other tasks get their turn."""


async def read_forwards(
    partitions: PartitionsReader,
    place: Place,
    span: Span,
    clock: Clock,
    may_match: Callable[[bytes], bool] | None = None,
) -> AsyncGenerator[Record, None]:
    """Yield the committed records of a span, in the order of their offsets.

    `may_match`: whether the bytes of a batch may hold a wanted record; others are left out.

    Raises:
        HookstreamError: the broker does not answer, or refuses, or a record cannot be read.
    """
    log, at = partitions.logs[place], span.low
    skim = Skim(may_match, lambda *_: None, at, span.high) if may_match is not None else None
    while at < span.high:
        try:
            fetched = await partitions.ask(log.fetch, at, _FETCH_WAIT_SECONDS, skim)
            if fetched is None:
                continue
            slice_end = clock.monotonic() + _TIME_SLICE_SECONDS
            for record in fetched:
                if record.offset >= span.high:
                    return
                yield record
                if clock.monotonic() >= slice_end:
                    await asyncio.sleep(0)
                    slice_end = clock.monotonic() + _TIME_SLICE_SECONDS
            at = fetched.next_offset
        except OffsetOutOfRangeError:
            start = await partitions.ask(log.start)
            if start <= at and span.high != ENDLESS:
                return  # the topic was made anew
            at = start
        except UnreadableBatchError as error:
            raise HookstreamError(
                f"{error}: repair the broker's log, or move the partition's start behind the "
                "record with kafka-delete-records"
            ) from error


async def follow(
    partitions: PartitionsReader, since: int | None, clock: Clock
) -> AsyncGenerator[Record, None]:
    """Yield the committed records that are written from now on, or that are not older than `since`
    (epoch milliseconds), as they come, for ever.

    Raises:
        HookstreamError: as `read_forwards`.
    """
    queue: asyncio.Queue[Record | HookstreamError] = asyncio.Queue(_QUEUED_RECORDS)

    async def pump(place: Place, first: int) -> None:
        endless = Span(first, ENDLESS, Reached.SINCE)
        try:
            async with aclosing(read_forwards(partitions, place, endless, clock)) as records:
                async for record in records:
                    await queue.put(record)
        except HookstreamError as error:
            await queue.put(error)

    spans = await partitions.spans(since, None)
    firsts = {place: span.high if since is None else span.low for place, span in spans.items()}
    tasks = [asyncio.ensure_future(pump(*one)) for one in firsts.items()]
    try:
        while True:
            found = await queue.get()
            if isinstance(found, HookstreamError):
                raise found
            yield found
    finally:
        await end_tasks(tasks)
