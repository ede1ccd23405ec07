"""The reader of partitions backwards, on logs in memory: what a broker may answer."""

from collections import deque
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

import pytest
from aiokafka.errors import (
    NotLeaderForPartitionError,
    OffsetOutOfRangeError,
    TopicAuthorizationFailedError,
)

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.stream import backward_reader
from consumer.stream.backward_merge import Place, Reached, Span
from consumer.stream.backward_reader import BackwardReader
from consumer.stream.forward_reader import read_forwards
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.partitions_reader import STALL_TIMEOUT_SECONDS, PartitionsReader
from consumer.stream.skimming import Skim
from support.definition_topics import kafka_settings
from support.fakes import FakeClock, FakeRecord

PLACE: Place = ("t", 0)
_FETCH_RECORDS = 3


class Answer:
    """The answer to a fetch."""

    def __init__(
        self, records: Sequence[FakeRecord], next_offset: int, damaged: int | None
    ) -> None:
        self.size = 100 * len(records)
        self.next_offset = next_offset
        self._records = records
        self._damaged = damaged

    def __iter__(self) -> Iterator[FakeRecord]:
        for record in self._records:
            if record.offset == self._damaged:
                error = UnreadableBatchError("damaged")
                error.offset = record.offset
                raise error
            yield record


@dataclass
class Log:
    """One partition, as `PartitionLog` answers for it."""

    end: int
    first: int = 0
    damaged: int | None = None
    throttled: deque[None] = field(default_factory=deque)
    """One for each fetch that is not answered."""

    async def start(self) -> int:
        """See `PartitionLog.start`."""
        return self.first

    async def fetch(
        self, offset: int, _wait_seconds: float, _skim: Skim | None = None
    ) -> Answer | None:
        """See `PartitionLog.fetch`."""
        if self.throttled:
            self.throttled.pop()
            return None
        if not self.first <= offset <= self.end:
            raise OffsetOutOfRangeError
        last = min(offset + _FETCH_RECORDS, self.end)
        records = [FakeRecord(offset=at, timestamp=1000 * at) for at in range(offset, last)]
        return Answer(records, last, self.damaged)


class Partitions:
    """In the place of `PartitionsReader`."""

    def __init__(self, log: Log) -> None:
        self.logs = {PLACE: log}

    async def ask(self, question: Callable[..., Awaitable[Any]], *arguments: Any) -> Any:
        """See `PartitionsReader.ask`."""
        return await question(*arguments)


def _reader(log: Log, low: int = 0, high: int | None = None) -> BackwardReader[int]:
    def even(record: Record) -> int | None:
        return record.offset if record.offset % 2 == 0 else None

    span = Span(low, log.end if high is None else high, Reached.BEGINNING)
    partitions = cast("PartitionsReader", Partitions(log))
    return BackwardReader(partitions, {PLACE: span}, even, SystemClock(), first_offsets=4)


async def _read(reader: BackwardReader[int]) -> list[int]:
    return [item.value async for item in reader.read() if item is not None]


async def test_everything_is_read_backwards() -> None:
    """Each record of the span is looked at once, and what is wanted comes newest first."""
    reader = _reader(Log(end=50), low=5, high=41)
    assert await _read(reader) == list(range(40, 5, -2))
    assert (reader.records, reader.merge.has_more) == (36, False)


async def test_a_broker_that_throttles_is_asked_again() -> None:
    """A fetch that the broker does not answer, to throttle the client, is made again."""
    assert await _read(_reader(Log(end=10, throttled=deque([None] * 3)))) == [8, 6, 4, 2, 0]


async def test_damaged_records_are_told() -> None:
    """Records that cannot be read, and those behind them in their chunk, are left out and told; all
    others are found.
    """
    reader = _reader(Log(end=50, damaged=30))
    found = await _read(reader)
    [(first, last)] = [reader.unreadable[PLACE]]
    assert first == 30
    assert found == [at for at in range(48, -1, -2) if not first <= at <= last]
    assert last < 46


async def test_a_log_that_lost_its_start_ends_there() -> None:
    """If retention deletes what a chunk begins with, the reading ends at the new start, and says
    that the log begins there.
    """
    log = Log(end=50)
    reader, found = _reader(log), list[int]()
    async for item in reader.read():
        if item is not None:
            found.append(item.value)
            log.first = 21
    assert found == list(range(48, 21, -2))
    assert reader.merge.reached == {Reached.LOG_START}
    assert reader.merge.complete_from() == 21_000


async def test_a_log_that_was_made_anew_ends() -> None:
    """If the topic is made anew with fewer records, the reading of the old one ends."""
    log = Log(end=50)
    reader, found = _reader(log), list[int]()
    async for item in reader.read():
        if item is not None:
            found.append(item.value)
            log.end = 3
    assert found == [48, 46]
    assert not reader.merge.has_more


async def test_memory_is_bounded_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than a bound of bytes is kept at once, and yet each record is found once."""
    monkeypatch.setattr(backward_reader, "KEPT_BYTES", 3 * len(FakeRecord().value or b""))
    reader = _reader(Log(end=200))
    assert await _read(reader) == list(range(198, -1, -2))
    assert reader.records == 200


async def test_reading_forwards_skips_what_is_deleted() -> None:
    """A reader that goes forwards goes on at the log's new start, and ends if there is nothing
    left of its span.
    """
    log = Log(end=20)
    partitions, found = cast("PartitionsReader", Partitions(log)), list[int]()
    span = Span(0, 20, Reached.BEGINNING)
    async for record in read_forwards(partitions, PLACE, span, SystemClock()):
        found.append(record.offset)
        log.first = 10
    assert found == [0, 1, 2, *range(10, 20)]
    log.first, log.end = 0, 2
    ended = read_forwards(partitions, PLACE, Span(5, 20, Reached.BEGINNING), SystemClock())
    assert [record.offset async for record in ended] == []


async def test_a_broker_that_stays_away_is_given_up() -> None:
    """A question that fails again and again is given up with a sentence, and a refusal at once."""
    clock, asked = FakeClock(), list[Exception]()
    partitions = PartitionsReader(kafka_settings("127.0.0.1:9", "p"), ["t"], clock)

    async def fail(error: Exception) -> None:
        asked.append(error)
        clock.advance(STALL_TIMEOUT_SECONDS * 0.6)
        raise error

    with pytest.raises(HookstreamError, match=r"broker at 127\.0\.0\.1:9 failed: NotLeader"):
        await partitions.ask(fail, NotLeaderForPartitionError())
    assert len(asked) == 2
    with pytest.raises(HookstreamError, match="Kafka refuses the topic t"):
        await partitions.ask(fail, TopicAuthorizationFailedError("t"))
    assert len(asked) == 3
