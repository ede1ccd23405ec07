"""Records of several topics are written all or none, and once, whatever becomes of a commit."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import cast

import pytest
from aiokafka import TopicPartition

from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.batch_builder import LogRecord, TimedBatch
from consumer.stream.log_producer import LogProducer, UnwritableError
from consumer.stream.transaction_errors import CommitUnknownError
from consumer.stream.transaction_requests import ProducerId
from support.cluster import Cluster
from support.definition_topics import committed
from support.waiting import wait_until

AT = int(time.time()) * 1_000 - 60_000


def records(prefix: str, *names: str) -> list[LogRecord]:
    """A record of the log and one of the reports for each name."""
    return [
        LogRecord(f"{prefix}.{topic}", f"k{number % 3}".encode(), name.encode(), AT + number)
        for topic in ("deliveries", "reports")
        for number, name in enumerate(names)
    ]


@asynccontextmanager
async def producing(
    cluster: Cluster, prefix: str, *, max_bytes: int = 1_000_000
) -> AsyncIterator[LogProducer]:
    """Both topics and a producer."""
    topics = [f"{prefix}.deliveries", f"{prefix}.reports"]
    await cluster.create(topics, configs={"max.message.bytes": str(max_bytes)})
    settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), topic_prefix=prefix)
    producer = LogProducer(settings, f"{prefix}.journal.r1")
    try:
        yield producer
    finally:
        await producer.close()
        await cluster.delete(topics)


async def write(producer: LogProducer, wanted: list[LogRecord]) -> None:
    """Write as the journal does: again, until the cluster takes the records. A topic that was just
    made has no leader at first.
    """

    async def tried() -> bool:
        try:
            await producer.write(wanted)
        except HookstreamError:
            return False
        return True

    await wait_until(tried, "the cluster to take the records")


async def written(cluster: Cluster, prefix: str) -> tuple[list[bytes], list[bytes]]:
    """The committed values of both topics, sorted."""
    log = await committed(cluster, f"{prefix}.deliveries")
    reports = await committed(cluster, f"{prefix}.reports")
    return sorted(r.value or b"" for r in log), sorted(r.value or b"" for r in reports)


async def test_writes_follow_each_other(cluster: Cluster, topic_prefix: str) -> None:
    """Each write is a transaction of the same producer, and a record has its key's partition, and
    its own time.
    """
    async with producing(cluster, topic_prefix) as producer:
        for names in (("a", "b"), ("c",), ("d", "e", "f", "g")):
            await write(producer, records(topic_prefix, *names))
        log = await committed(cluster, f"{topic_prefix}.deliveries")
        assert {r.value: r.timestamp - AT for r in log} == {
            b"a": 0, b"b": 1, b"c": 0, b"d": 0, b"e": 1, b"f": 2, b"g": 3,
        }  # fmt: skip
        assert len({(r.key, r.partition) for r in log}) == 3
        assert await written(cluster, topic_prefix) == ([*map(str.encode, "abcdefg")],) * 2


@pytest.mark.parametrize("was_committed", [True, False])
async def test_a_commit_without_confirmation_is_found_out(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, was_committed: bool
) -> None:
    """If the answer to a commit is lost, the same records written again are there once, whether the
    commit was made or not.
    """
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "a"))
        requests = producer._requests
        commit = requests.commit

        async def lose(seconds: float) -> None:
            if was_committed:
                await commit(seconds)
            raise CommitUnknownError("the answer was lost")

        unsure = records(topic_prefix, "b", "c")
        monkeypatch.setattr(requests, "commit", lose)
        with pytest.raises(CommitUnknownError):
            await producer.write(unsure)
        monkeypatch.setattr(requests, "commit", commit)
        await producer.write(unsure)
        await producer.write(records(topic_prefix, "d"))
        assert await written(cluster, topic_prefix) == ([b"a", b"b", b"c", b"d"],) * 2


async def test_a_commit_in_doubt_stands_for_its_own_records_only(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If the records of an unconfirmed commit are given up, the next, other ones are written."""
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "a"))
        requests = producer._requests
        commit = requests.commit

        async def lose(seconds: float) -> None:
            await commit(seconds)
            raise CommitUnknownError("the answer was lost")

        monkeypatch.setattr(requests, "commit", lose)
        with pytest.raises(CommitUnknownError):
            await producer.write(records(topic_prefix, "b"))
        monkeypatch.setattr(requests, "commit", commit)
        await producer.write(records(topic_prefix, "c"))
        assert await written(cluster, topic_prefix) == ([b"a", b"b", b"c"],) * 2


async def test_sequence_numbers_begin_anew(cluster: Cluster, topic_prefix: str) -> None:
    """Behind the last sequence number of 31 bits a partition's records go on with 0."""
    last = 2**31 - 1
    batches = list[tuple[int, bytes]]()

    class Batch:
        count = 3

        def build(self, _id: int, _epoch: int, sequence: int) -> bytes:
            batches.append((sequence, b""))
            return b""

    async with producing(cluster, topic_prefix) as producer:
        producer._producer = ProducerId(1, 1)
        tp = TopicPartition(f"{topic_prefix}.deliveries", 0)
        producer._sequences[tp] = last - 1
        for _ in range(2):
            producer._build(tp, cast("TimedBatch", Batch()))
    assert [sequence for sequence, _ in batches] == [last - 1, 1]


async def test_a_write_that_broke_off_is_undone(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Records that were sent before a write broke off are not committed by the next write."""
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "0"))
        send = producer._send

        async def break_off(packed: object) -> None:
            await send(packed)  # type: ignore[arg-type]
            raise HookstreamError("broken off")

        monkeypatch.setattr(producer, "_send", break_off)
        again = records(topic_prefix, "a", "b")
        with pytest.raises(HookstreamError):
            await producer.write(again)
        monkeypatch.setattr(producer, "_send", send)
        await producer.write(again)
        assert await written(cluster, topic_prefix) == ([b"0", b"a", b"b"],) * 2


async def test_a_fenced_producer_begins_anew(cluster: Cluster, topic_prefix: str) -> None:
    """A producer whose transaction the broker ended, as after a standstill, fails once and then
    writes the same records.
    """
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "a"))
        settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), topic_prefix=topic_prefix)
        other = LogProducer(settings, f"{topic_prefix}.journal.r1")
        await other.write(records(topic_prefix, "b"))
        await other.close()
        with pytest.raises(HookstreamError):
            await producer.write(records(topic_prefix, "c"))
        await producer.write(records(topic_prefix, "c"))
        assert await written(cluster, topic_prefix) == ([b"a", b"b", b"c"],) * 2


async def test_a_topic_with_small_batches_gets_small_ones(
    cluster: Cluster, topic_prefix: str
) -> None:
    """A topic that takes small batches only gets its records after a few tries."""
    names = [f"{number:0300d}" for number in range(200)]
    async with producing(cluster, topic_prefix, max_bytes=20_000) as producer:
        wanted = records(topic_prefix, *names)
        await write(producer, wanted)
        assert await written(cluster, topic_prefix) == ([name.encode() for name in names],) * 2


async def test_without_a_topic_nothing_can_be_written(cluster: Cluster, topic_prefix: str) -> None:
    """A missing topic is told as such, and the same producer writes once it is there."""
    settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), topic_prefix=topic_prefix)
    producer = LogProducer(settings, f"{topic_prefix}.journal.r2")
    with pytest.raises(UnwritableError, match=r"deliveries does not exist"):
        await producer.write(records(topic_prefix, "a"))
    async with producing(cluster, topic_prefix):
        await write(producer, records(topic_prefix, "a"))
        assert await written(cluster, topic_prefix) == ([b"a"], [b"a"])
    await producer.close()


async def test_plain_writes_need_no_transactions(cluster: Cluster, topic_prefix: str) -> None:
    """A producer without transactions writes the same records plainly."""
    async with producing(cluster, topic_prefix) as producer:
        producer.has_transactions = False
        assert await written(cluster, topic_prefix) == ([], [])  # every partition has a leader
        await write(producer, records(topic_prefix, "a", "b"))
        await producer.write(records(topic_prefix, "c"))
        assert await written(cluster, topic_prefix) == ([b"a", b"b", b"c"],) * 2


async def test_a_clock_that_is_hours_ahead_is_told(cluster: Cluster, topic_prefix: str) -> None:
    """Records that are later than the broker's clock by more than it allows cannot be written, and
    later ones can.
    """
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "a"))
        early = records(topic_prefix, "b")
        for record in early:
            record.timestamp += 7_200_000
        with pytest.raises(UnwritableError):
            await producer.write(early)
        await producer.write(records(topic_prefix, "c"))
        assert await written(cluster, topic_prefix) == ([b"a", b"c"],) * 2


async def test_a_topic_may_be_needed_later(cluster: Cluster, topic_prefix: str) -> None:
    """A write may have records of a topic that the writes before it had none of."""
    async with producing(cluster, topic_prefix) as producer:
        log, report = records(topic_prefix, "a")
        await write(producer, [report])
        await producer.write([log, report])
        assert await written(cluster, topic_prefix) == ([b"a"], [b"a", b"a"])


async def test_what_a_killed_writer_leaves_open_ends_by_itself(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A writer that is killed within a transaction holds up readers for some seconds only: then the
    broker aborts it, and what others wrote behind it is read.
    """
    async with producing(cluster, topic_prefix) as producer:
        await write(producer, records(topic_prefix, "a"))
        began = time.monotonic()

        async def die(*_: object) -> None:
            await asyncio.sleep(0)
            raise HookstreamError("killed")

        monkeypatch.setattr(producer, "_commit", die)
        with pytest.raises(HookstreamError, match="killed"):
            await producer.write(records(topic_prefix, "b"))
        await producer.close()
        settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), topic_prefix=topic_prefix)
        other = LogProducer(settings, f"{topic_prefix}.journal.r9")
        await write(other, records(topic_prefix, "c"))
        await other.close()
        assert await written(cluster, topic_prefix) == ([b"a", b"c"],) * 2
        assert time.monotonic() - began < 40.0
