"""Reads partitions forwards, without a group: to their end, or for ever."""

import asyncio
import sys
from collections.abc import Callable, Mapping
from typing import Final

from aiokafka.errors import OffsetOutOfRangeError

from consumer.clock import Clock
from consumer.errors import HookstreamError, first_error
from consumer.records.record import Record
from consumer.stream.backward_merge import Place, Reached, Span
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partitions_reader import PartitionsReader

_FETCH_WAIT_SECONDS: Final = 0.5
_TIME_SLICE_SECONDS: Final = 0.005
"""Work after which other tasks get their turn."""


async def read_forwards(
    partitions: PartitionsReader,
    spans: Mapping[Place, Span],
    take: Callable[[Record], object],
    clock: Clock,
) -> None:
    """Give the committed records of each span to `take`, in the order of a partition's offsets.

    Raises:
        HookstreamError: the broker does not answer, or refuses, or a record cannot be read.
    """
    for place, span in spans.items():
        log, at = partitions.logs[place], span.low
        while at < span.high:
            try:
                fetched = await partitions.ask(log.fetch, at, _FETCH_WAIT_SECONDS)
                if fetched is None:
                    continue
                slice_end = clock.monotonic() + _TIME_SLICE_SECONDS
                for record in fetched:
                    take(record)
                    if clock.monotonic() >= slice_end:
                        await asyncio.sleep(0)
                        slice_end = clock.monotonic() + _TIME_SLICE_SECONDS
                at = fetched.next_offset
            except OffsetOutOfRangeError:  # retention deleted it meanwhile
                start = await partitions.ask(log.start)
                at = start if at < start else span.high
            except UnreadableBatchError as error:
                raise _unreadable(error) from error


async def follow(
    partitions: PartitionsReader, take: Callable[[Record], object], clock: Clock
) -> None:
    """Give the committed records that are written from now on to `take`, as they come, for ever.

    Raises:
        HookstreamError: as `read_forwards`.
    """
    ends = {place: await partitions.ask(log.stable_end) for place, log in partitions.logs.items()}
    try:
        async with asyncio.TaskGroup() as tasks:
            for place, end in ends.items():
                endless = {place: Span(end, sys.maxsize, Reached.SINCE)}
                tasks.create_task(read_forwards(partitions, endless, take, clock))
    except* HookstreamError as errors:
        raise first_error(errors) from None


def _unreadable(error: UnreadableBatchError) -> HookstreamError:
    return HookstreamError(
        f"{error}: repair the broker's log, or move the partition's start behind the record with "
        "kafka-delete-records"
    )
