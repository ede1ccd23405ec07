"""The reader of a table's topic, on a real broker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.stream import table_reader
from consumer.stream.table_reader import TableReader
from support.cluster import Cluster
from support.definition_topics import QUICKLY_COMPACTED, kafka_settings
from support.waiting import wait_until


class Table:
    """What a reader gave since it began anew, in order and by key."""

    def __init__(self) -> None:
        self.taken: list[Record] = []
        self.restarts = 0

    def restarted(self) -> None:
        """Forget what was read."""
        self.taken.clear()
        self.restarts += 1

    @property
    def values(self) -> list[bytes | None]:
        """The values, in order."""
        return [record.value for record in self.taken]

    @property
    def newest(self) -> dict[bytes | None, bytes | None]:
        """The last value of each key."""
        return {record.key: record.value for record in self.taken}


@asynccontextmanager
async def _reading(cluster: Cluster, topic: str) -> AsyncIterator[tuple[TableReader, Table]]:
    table = Table()
    settings = kafka_settings(cluster.bootstrap, topic)
    reader = TableReader(settings, topic, table.taken.append, table.restarted, SystemClock())
    await reader.open()
    try:
        yield reader, table
    finally:
        await reader.close()


async def _transact(
    cluster: Cluster, topic: str, values: Sequence[bytes], *, commit: bool = True
) -> None:
    async with cluster.producer(transactional_id=f"{topic}-writer") as producer:
        await producer.begin_transaction()
        for value in values:
            await producer.send_and_wait(topic, value, key=value)
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def test_a_missing_topic_is_refused(cluster: Cluster, topic_prefix: str) -> None:
    """Opening a topic that does not exist fails with a sentence that says what makes it."""
    with pytest.raises(HookstreamError, match=r"does not exist: start a daemon with hooks\.live"):
        async with _reading(cluster, topic_prefix):
            pass


async def test_a_topic_of_several_partitions_is_refused(
    cluster: Cluster, topic_prefix: str
) -> None:
    """Opening a topic of several partitions fails, since their records have no common order."""
    await cluster.create([topic_prefix], partitions=3)
    with pytest.raises(HookstreamError, match="has 3 partitions"):
        async with _reading(cluster, topic_prefix):
            pass


async def test_a_broker_that_is_not_there_is_told() -> None:
    """Opening without a broker fails with a sentence that names the setting."""
    with pytest.raises(HookstreamError, match=r"no Kafka broker answers .*bootstrap_servers"):
        async with _reading(Cluster("127.0.0.1:9"), "t"):
            pass


async def test_an_empty_topic_is_read(cluster: Cluster, topic_prefix: str) -> None:
    """Reading an empty topic to its end gives nothing, and later records are read."""
    await cluster.create([topic_prefix], partitions=1)
    async with _reading(cluster, topic_prefix) as (reader, table):
        await reader.read_to_end()
        assert table.values == []
        await cluster.produce(topic_prefix, [b"1"], key=b"a")
        await reader.read_to_end()
        assert table.values == [b"1"]


async def test_the_end_may_be_a_marker(cluster: Cluster, topic_prefix: str) -> None:
    """Reading to the end of a topic ends although its last offsets are transaction markers, of a
    committed and of an aborted one, and aborted records are not given.
    """
    await cluster.create([topic_prefix], partitions=1)
    await _transact(cluster, topic_prefix, [b"1", b"2"])
    async with _reading(cluster, topic_prefix) as (reader, table):
        await reader.read_to_end(to_high_watermark=True)
        assert table.values == [b"1", b"2"]
        await _transact(cluster, topic_prefix, [b"3"], commit=False)
        await reader.read_to_end(to_high_watermark=True)
        [end] = (await cluster.ends([topic_prefix])).values()
        assert (reader.next_offset, table.values) == (end, [b"1", b"2"])
        await _transact(cluster, topic_prefix, [b"4"])
        await reader.read_to_end(to_high_watermark=True)
        assert table.values == [b"1", b"2", b"4"]


async def test_an_open_transaction_before_the_end(cluster: Cluster, topic_prefix: str) -> None:
    """A transaction that is open does not hold up a reader, which takes what is before it; a reader
    that must see everything waits until it is decided.
    """
    await cluster.create([topic_prefix], partitions=1)
    await cluster.produce(topic_prefix, [b"before"], key=b"a")
    async with (
        cluster.producer(transactional_id=f"{topic_prefix}-open") as producer,
        _reading(cluster, topic_prefix) as (reader, table),
    ):
        await producer.begin_transaction()
        await producer.send_and_wait(topic_prefix, b"open", key=b"b")
        await cluster.produce(topic_prefix, [b"behind"], key=b"c")
        await reader.read_to_end()
        assert table.values == [b"before"]
        everything = asyncio.ensure_future(reader.read_to_end(to_high_watermark=True))
        await producer.abort_transaction()
        await everything
        assert table.values == [b"before", b"behind"]


async def test_nothing_that_was_there_is_missing_at_the_end(
    cluster: Cluster, topic_prefix: str
) -> None:
    """When reading to the end returns, every record that was in the topic before was given, in
    order and once, also of a topic that takes many fetches.
    """
    await cluster.create([topic_prefix], partitions=1)
    values = [b"%06d" % number + bytes(500) for number in range(8_000)]
    await cluster.produce(topic_prefix, values, linger_ms=20, max_batch_size=200_000)
    async with _reading(cluster, topic_prefix) as (reader, table):
        await reader.read_to_end()
        assert table.values == values
        for number in range(20):
            await cluster.produce(topic_prefix, [b"%d" % number])
            await reader.read_to_end()
            assert table.values[-1] == b"%d" % number


async def test_large_records_are_read(cluster: Cluster, topic_prefix: str) -> None:
    """A record that is larger than the reader's fetches is given like any other."""
    await cluster.create([topic_prefix], partitions=1, configs={"max.message.bytes": "4000000"})
    large = bytes(2_000_000)
    await cluster.produce(topic_prefix, [b"1", large, b"2"], max_request_size=4_000_000)
    async with _reading(cluster, topic_prefix) as (reader, table):
        await reader.read_to_end()
        assert table.values == [b"1", large, b"2"]


async def test_a_deletion_may_come_first(cluster: Cluster, topic_prefix: str) -> None:
    """A topic that begins with a deletion is read."""
    await cluster.create([topic_prefix], partitions=1, configs={"cleanup.policy": "compact"})
    await cluster.produce(topic_prefix, [None], key=b"a")
    await cluster.produce(topic_prefix, [b"1"], key=b"b")
    async with _reading(cluster, topic_prefix) as (reader, table):
        await reader.read_to_end()
        assert table.newest == {b"a": None, b"b": b"1"}


async def test_compaction_between_changes(cluster: Cluster, topic_prefix: str) -> None:
    """A reader that was there before a compaction and one that comes after it end with the same
    value of each key, however often the topic is compacted between changes.

    1. Keys are changed again and again, until the broker has compacted the topic. 2. A late reader
    gets fewer records, and the same last values.
    """
    await cluster.create([topic_prefix], partitions=1, configs=QUICKLY_COMPACTED)
    async with _reading(cluster, topic_prefix) as (early, seen):
        rounds = 0

        async def is_compacted() -> bool:
            nonlocal rounds
            rounds += 1
            await _transact(cluster, topic_prefix, [b"%d" % (rounds % 3)])
            await cluster.produce(topic_prefix, [b"%d" % rounds], key=b"k")
            await early.read_to_end()
            return len(await cluster.read(topic_prefix)) < rounds

        await wait_until(is_compacted, "the topic to be compacted", patience=90)
        await early.read_to_end(to_high_watermark=True)
        async with _reading(cluster, topic_prefix) as (late, found):
            await late.read_to_end(to_high_watermark=True)
            assert found.newest == seen.newest
            assert len(found.taken) < len(seen.taken)
            assert late.next_offset == early.next_offset


async def test_a_topic_that_is_made_anew(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A reader that follows a topic which is deleted and made anew keeps what it has until the new
    topic is there, and then reads that one from its beginning.
    """
    monkeypatch.setattr(table_reader, "CHECK_INTERVAL_SECONDS", 0.5)
    await cluster.create([topic_prefix], partitions=1)
    await cluster.produce(topic_prefix, [b"old 1", b"old 2"], key=b"a")
    async with _reading(cluster, topic_prefix) as (reader, table):
        following = asyncio.ensure_future(reader.follow())
        await wait_until(lambda: len(table.taken) == 2, "the old records")
        await cluster.delete([topic_prefix])
        assert table.restarts == 0
        await cluster.create([topic_prefix], partitions=1)
        await cluster.produce(topic_prefix, [b"new 1", b"new 2", b"new 3"], key=b"a")
        await wait_until(lambda: table.values == [b"new 1", b"new 2", b"new 3"], "the new records")
        assert table.restarts == 1
        await wait_until(lambda: reader.is_at_end, "the reader to say that it is at the end")
        following.cancel()


async def test_records_are_given_as_they_come(cluster: Cluster, topic_prefix: str) -> None:
    """A reader that follows gives committed records as they come, and none of an open
    transaction.
    """
    await cluster.create([topic_prefix], partitions=1)
    async with _reading(cluster, topic_prefix) as (reader, table):
        following = asyncio.ensure_future(reader.follow())
        await _transact(cluster, topic_prefix, [b"1", b"2"])
        await wait_until(lambda: table.values == [b"1", b"2"], "the transaction")
        await _transact(cluster, topic_prefix, [b"3"], commit=False)
        await _transact(cluster, topic_prefix, [b"4"])
        await wait_until(lambda: table.values == [b"1", b"2", b"4"], "the next one")
        following.cancel()
