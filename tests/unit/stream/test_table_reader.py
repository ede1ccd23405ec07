"""The reader of a table's topic: what it does with each answer of the broker."""

import asyncio
from collections.abc import Callable

import pytest
from aiokafka.errors import (
    KafkaConnectionError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
)

from consumer.clock import Clock, SystemClock
from consumer.control.records import Written
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream import table_reader
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.table_reader import TableReader
from consumer.stream.topic_log import TopicError
from support.fake_topic_log import FakeFetched, FakeTopicLog
from support.fakes import FakeClock
from support.waiting import wait_until


class Taken(list[bytes | None]):
    """The keys of the records that a reader gave, since it began anew."""

    def take(self, record: Record) -> None:
        """Keep the key."""
        self.append(record.key)


def _reader(
    log: FakeTopicLog,
    take: Callable[[Record], object],
    taken: Taken,
    clock: Clock | None = None,
) -> TableReader:
    """A reader that is open already."""
    clock = clock or SystemClock()
    reader = TableReader(KafkaSettings(), "hookstream.hooks", take, taken.clear, clock)
    reader._log, reader._topic_id = log, log.topic_id
    return reader


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> FakeTopicLog:
    """A topic that is tried again without a pause."""
    monkeypatch.setattr(table_reader, "pause_after", lambda *_: 0.0)
    return FakeTopicLog()


@pytest.fixture
def taken() -> Taken:
    """Nothing yet."""
    return Taken()


def _written(*keys: bytes) -> list[Written]:
    return [(key, b"", []) for key in keys]


async def test_everything_is_read_to_a_marker_at_the_end(log: FakeTopicLog, taken: Taken) -> None:
    """Reading to the end takes all records in order and ends behind the marker of the last
    transaction.
    """
    log.append(_written(b"a", b"b", b"c", b"d", b"e"))
    log.append(_written(b"f"))
    reader = _reader(log, taken.take, taken)
    await reader.read_to_end()
    assert taken == [b"a", b"b", b"c", b"d", b"e", b"f"]
    assert reader.next_offset == log.last
    assert reader.is_at_end


async def test_an_empty_topic_is_at_its_end(log: FakeTopicLog, taken: Taken) -> None:
    """Reading an empty topic to its end takes nothing and ends."""
    await _reader(log, taken.take, taken).read_to_end()
    assert taken == []
    assert log.fetches == 0


async def test_what_comes_while_it_is_read_is_no_loss(
    log: FakeTopicLog, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that are written while a topic is read to its end are no reason to read it again:
    each is taken once.
    """
    log.append(_written(b"a"))
    fetch = log.fetch

    async def fetch_later(offset: int, wait_seconds: float) -> FakeFetched:
        log.append(_written(b"b"))
        return await fetch(offset, wait_seconds)

    monkeypatch.setattr(log, "fetch", fetch_later)
    await _reader(log, taken.take, taken).read_to_end()
    assert taken == [b"a", b"b"]
    assert log.fetches == 1


async def test_an_open_transaction_does_not_hold_up_a_reader(
    log: FakeTopicLog, taken: Taken
) -> None:
    """Reading to the end does not wait for a transaction that a dead writer left open."""
    log.append(_written(b"a"))
    log.leave_open(2)
    reader = _reader(log, taken.take, taken)
    await reader.read_to_end()
    assert taken == [b"a"]


async def test_a_writer_waits_for_an_open_transaction(log: FakeTopicLog, taken: Taken) -> None:
    """Reading to the high watermark waits until an open transaction is decided, since records
    behind it may follow.
    """
    log.append(_written(b"a"))
    log.leave_open(2)
    reader = _reader(log, taken.take, taken)
    reading = asyncio.ensure_future(reader.read_to_end(to_high_watermark=True))
    await wait_until(lambda: log.fetches > 3, "fetches at the open transaction")
    assert not reading.done()
    log.append(_written(b"b"))
    await reading
    await reader.read_to_end()
    assert taken == [b"a", b"b"]


async def test_a_transaction_that_stays_open_is_told(
    log: FakeTopicLog, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading to the high watermark ends with a sentence if a transaction stays open too long."""
    monkeypatch.setattr(table_reader, "STALL_TIMEOUT_SECONDS", 0.1)
    log.leave_open(1)
    with pytest.raises(HookstreamError, match="has had a transaction open"):
        await _reader(log, taken.take, taken).read_to_end(to_high_watermark=True)


async def test_a_topic_made_anew_is_read_from_its_beginning(
    log: FakeTopicLog, taken: Taken
) -> None:
    """A topic that was deleted and made anew is read from its beginning, also if it is longer than
    the old one was, and what the old one said is void.
    """
    log.append(_written(b"a"))
    reader = _reader(log, taken.take, taken)
    await reader.read_to_end()
    log.remake()
    log.append(_written(b"x", b"y", b"z", b"w"))
    await reader.read_to_end()
    assert taken == [b"x", b"y", b"z", b"w"]


async def test_a_topic_that_lost_its_end_is_read_again(log: FakeTopicLog, taken: Taken) -> None:
    """A topic whose last records are gone, as after an unclean election, is read again from its
    beginning, by a reader that reads to the end and by one that follows.
    """
    log.append(_written(b"a", b"b", b"c"))
    reading, following = _reader(log, taken.take, taken), Taken()
    follower = _reader(log, following.take, following)
    await reading.read_to_end()
    await follower.read_to_end()
    log.records, log.last = log.records[:1], 1
    log.append(_written(b"d"))
    await reading.read_to_end()
    assert taken == [b"a", b"d"]
    task = asyncio.ensure_future(follower.follow())
    await wait_until(lambda: following == [b"a", b"d"], "the records again")
    task.cancel()


async def test_a_topic_that_lost_its_beginning_is_read_again(
    log: FakeTopicLog, taken: Taken
) -> None:
    """A reader whose next record was deleted begins anew at the first one that is left."""
    log.append(_written(b"a", b"b", b"c", b"d"))
    reader = _reader(log, taken.take, taken)
    log.drop_before(2)
    await reader.read_to_end()
    assert taken == [b"c", b"d"]


async def test_a_reader_that_was_away_for_long_reads_everything_again(
    log: FakeTopicLog, taken: Taken
) -> None:
    """A reader that was not at the end for an hour begins anew, since a deletion that it missed may
    be compacted away; one that was there reads on.
    """
    clock = FakeClock()
    log.append(_written(b"a", b"b"))
    reader = _reader(log, taken.take, taken, clock)
    await reader.read_to_end()
    clock.advance(3_500.0)
    log.append(_written(b"c"))
    await reader.read_to_end()
    assert taken == [b"a", b"b", b"c"]
    clock.advance(3_601.0)
    log.drop_before(1)
    await reader.read_to_end()
    assert taken == [b"b", b"c"]


async def test_a_broker_that_is_away_is_waited_for(log: FakeTopicLog, taken: Taken) -> None:
    """A reader that follows goes on after a broker was away, its leader moved and its topic was
    missing, and takes each record once.
    """
    log.append(_written(b"a"))
    reader = _reader(log, taken.take, taken)
    following = asyncio.ensure_future(reader.follow())
    await wait_until(lambda: taken == [b"a"], "the first record")
    log.failures.extend(
        [
            KafkaConnectionError("gone"),
            NotLeaderForPartitionError(),
            TopicError("the topic does not exist"),
            TopicAuthorizationFailedError("hookstream.hooks"),
        ]
    )
    await wait_until(lambda: not log.failures, "all failures to be met")
    log.append(_written(b"b"))
    await wait_until(lambda: len(taken) > 1, "the second record")
    assert taken == [b"a", b"b"]
    assert not following.done()
    following.cancel()


async def test_a_broker_that_stays_away_ends_the_reading(
    log: FakeTopicLog, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading to the end gives up with a sentence if the broker stays away."""
    monkeypatch.setattr(table_reader, "STALL_TIMEOUT_SECONDS", 0.0)
    log.append(_written(b"a"))
    log.failures.extend([KafkaConnectionError("gone")] * 50)
    with pytest.raises(HookstreamError, match="the connection to the Kafka broker"):
        await _reader(log, taken.take, taken).read_to_end()


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (TopicAuthorizationFailedError("hookstream.hooks"), "refuses the topic hookstream.hooks"),
        (TopicError("the topic x does not exist"), "the topic x does not exist"),
    ],
)
async def test_a_refusal_ends_the_reading_at_once(
    log: FakeTopicLog, taken: Taken, error: Exception, told: str
) -> None:
    """Reading to the end gives up at once if no waiting helps, with a sentence that says why."""
    log.failures.append(error)
    with pytest.raises(HookstreamError, match=told):
        await _reader(log, taken.take, taken).read_to_end()


async def test_a_damaged_batch_ends_the_reading(log: FakeTopicLog, taken: Taken) -> None:
    """Reading to the end does not pass a batch that cannot be read, and names its offset."""
    log.append(_written(b"a"))
    damaged = UnreadableBatchError("a checksum is wrong")
    damaged.offset = 17
    reader = _reader(log, taken.take, taken)
    await reader.read_to_end()
    log.append(_written(b"b"))

    async def fetch(_offset: int, _wait_seconds: float) -> None:
        raise damaged

    log.fetch = fetch  # type: ignore[assignment,method-assign]
    with pytest.raises(HookstreamError, match="cannot be read at offset 17"):
        await reader.read_to_end()


async def test_a_table_that_fails_ends_the_reader_and_loses_no_record(
    log: FakeTopicLog, taken: Taken
) -> None:
    """An error of the table ends the reader that follows, with that error, and the next reading
    begins with the same record.
    """
    log.append(_written(b"a", b"b", b"c"))
    broken = True

    def take(record: Record) -> None:
        if broken and record.key == b"b":
            raise HookstreamError("a bug")
        taken.take(record)

    reader = _reader(log, take, taken)
    with pytest.raises(HookstreamError, match="a bug"):
        await reader.follow()
    broken = False
    await reader.read_to_end()
    assert taken == [b"a", b"b", b"c"]


async def test_a_long_topic_leaves_time_to_other_tasks(
    log: FakeTopicLog, taken: Taken, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While many records are taken, other tasks of the loop run in between."""
    monkeypatch.setattr(table_reader, "_TIME_SLICE_SECONDS", 0.0)
    monkeypatch.setattr("support.fake_topic_log._FETCH_RECORDS", 1000)
    log.append(_written(*[b"%d" % number for number in range(100)]))
    seen: list[int] = []

    async def other() -> None:
        while len(taken) < 100:
            seen.append(len(taken))
            await asyncio.sleep(0)

    reader = _reader(log, taken.take, taken)
    await asyncio.gather(reader.read_to_end(), other())
    assert len(set(seen)) > 50
