"""Reading the dead-letter topic on a real broker: all of it, in order, and to its end."""

from collections.abc import Iterator
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports in silence
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.dead_letters import DeadLetterReader, DeadLetterRecord, Selection
from consumer.stream.producer import KafkaProducer
from consumer.stream.replay import Replayer, make_plan
from consumer.stream.replay_route import Route
from support.broker import KafkaServer
from support.cluster import Cluster
from support.dead_letters import (
    WrittenDeadLetter,
    exhausted,
    metadata,
    without_a_lock,
    write_dead_letters,
)
from support.waiting import wait_until

DEAD_LETTER_TOPIC = KafkaSettings().own_topics.dead_letter
START = 1_795_514_400_000


async def _read(cluster: Cluster, topic: str, since: int | None = None) -> list[DeadLetterRecord]:
    settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,))
    async with DeadLetterReader(settings, topic=topic) as reader:
        dead_letters = reader.read(await reader.starts(since), reader.ends)
        async with aclosing(dead_letters):
            return [dead_letter async for dead_letter in dead_letters]


async def test_dead_letters_come_whole_and_by_age(cluster: Cluster, topic_prefix: str) -> None:
    """All dead letters of three partitions of unequal length are read, the oldest first, with all
    that the daemon wrote; another program's record is among them.
    """
    await cluster.create([topic_prefix])
    dead_letters = [
        WrittenDeadLetter(
            metadata(n), partition=n % 7 % 3, timestamp_ms=START + n, key=str(n).encode()
        )
        for n in range(1_000)
    ]
    await write_dead_letters(
        cluster,
        topic_prefix,
        [
            *dead_letters,
            WrittenDeadLetter(None, timestamp_ms=START + 1_000, headers=[("other", b"\xff")]),
        ],
    )
    *read, foreign = await _read(cluster, topic_prefix)
    assert [(one.metadata, one.key, one.timestamp, one.value) for one in read] == [
        (one.metadata, one.key, one.timestamp_ms, one.value) for one in dead_letters
    ]
    assert foreign.metadata is None


async def test_what_cannot_be_read_ends_its_own_partition_only(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A dead letter that cannot be read ends its own partition only, and a later replay goes on
    with it.

    1. In one partition of two, the third record of five cannot be read. 2. What is before it and in
    the other partition is read and replayed. 3. When it can be read again, a replay goes on with it
    and with what follows.
    """
    source, retry = f"{topic_prefix}.event", f"{topic_prefix}.retry"
    await cluster.create([topic_prefix], partitions=2)
    await cluster.create([source, retry], partitions=1)
    dead_letters = [
        WrittenDeadLetter(metadata(n, topic=source), partition=n % 2, value=b"%d" % n)
        for n in range(10)
    ]
    await write_dead_letters(cluster, topic_prefix, dead_letters)
    consumer_record = fetcher.PartitionRecords._consumer_record

    def damaged(self: Any, tp: TopicPartition, record: Any) -> Any:
        if record.value == b"4" and tp.topic == topic_prefix:
            raise ValueError("damaged")
        return consumer_record(self, tp, record)

    with monkeypatch.context() as patch:
        patch.setattr(fetcher.PartitionRecords, "_consumer_record", damaged)
        sent, unreadable = await _replay(cluster, topic_prefix, retry)
        assert (sent, unreadable) == (7, {0: 2})
    assert await _replay(cluster, topic_prefix, retry) == (3, {})
    values = [record.value or b"" for record in await cluster.read(retry)]
    assert sorted(values[:7]) == [b"0", b"1", b"2", b"3", b"5", b"7", b"9"]
    assert values[7:] == [b"4", b"6", b"8"]


async def _replay(cluster: Cluster, topic: str, retry: str) -> tuple[int, dict[int, int]]:
    """Send everything back; how many that were, and where a partition could not be read."""
    settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,))
    route = Route(retry, (), settings.group_id)
    group, clock = f"{topic}-replay", SystemClock()
    producer = KafkaProducer(settings, clock)
    async with DeadLetterReader(settings, topic=topic, group=group) as reader:
        plan = await make_plan(reader, Selection(), route, limit=None, again=False)
    async with DeadLetterReader(settings, topic=topic, group=group) as reader:
        replayer = Replayer(
            plan, route, reader, producer, while_held=without_a_lock, settings=settings, clock=clock
        )
        await replayer.run(stopped=lambda: False, advanced=lambda _count: None)
    await producer.reset()
    return replayer.sent, reader.unreadable


async def test_since_skips_what_is_older(cluster: Cluster, topic_prefix: str) -> None:
    """With `since` reading starts in each partition at the first record of that time, which may lie
    behind the last one.
    """
    await cluster.create([topic_prefix])
    dead_letters = [
        WrittenDeadLetter(metadata(n), partition=n % 2, timestamp_ms=START + n * 1_000)
        for n in range(10)
    ]
    await write_dead_letters(cluster, topic_prefix, dead_letters)
    found = await _read(cluster, topic_prefix, START + 7_000)
    assert [one.metadata.offset for one in found if one.metadata] == [7, 8, 9]
    assert await _read(cluster, topic_prefix, START + 60_000) == []


async def test_records_that_never_happened_are_passed(cluster: Cluster, topic_prefix: str) -> None:
    """Records of an aborted transaction are not dead letters, and reading ends behind the
    transaction's marker.
    """
    await cluster.create([topic_prefix], partitions=1)
    await write_dead_letters(cluster, topic_prefix, exhausted([1]))
    async with cluster.producer(transactional_id=topic_prefix) as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(topic_prefix, b"never", headers=metadata(2).headers())
        await producer.abort_transaction()
    [dead_letter] = await _read(cluster, topic_prefix)
    assert dead_letter.metadata == metadata(1)


@pytest.fixture(scope="module")
def guarded(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A broker of this file's own that knows permissions, and makes topics by use as many do."""
    extra = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        "auto.create.topics.enable": "true",
    }
    with KafkaServer(kafka_lib, tmp_path_factory.mktemp("guarded"), extra=extra) as server:
        yield Cluster(server.bootstrap)


async def _rule(
    cluster: Cluster,
    operation: AclOperation,
    probe_result: AclPermissionType,
    *,
    kind: ResourceType = ResourceType.TOPIC,
    name: str = DEAD_LETTER_TOPIC,
) -> None:
    """From the first rule on, what no rule allows is denied for what is named."""
    rule = AclBinding(
        kind,
        name,
        ResourcePatternType.LITERAL,
        "User:ANONYMOUS",
        "*",
        operation,
        probe_result,
    )
    admin = AdminClient({"bootstrap.servers": cluster.bootstrap})
    admin.create_acls([rule])[rule].result(10)
    one = AclBindingFilter(
        kind, name, ResourcePatternType.LITERAL, "User:ANONYMOUS", "*", operation, probe_result
    )
    # The broker learns it from the controller: what it answers is what it goes by.
    await wait_until(lambda: admin.describe_acls(one).result(10), "the rule to hold")


async def _denial(cluster: Cluster) -> str:
    """What a reader is told; empty where it can read."""
    try:
        await _read(cluster, DEAD_LETTER_TOPIC)
    except HookstreamError as error:
        return str(error)
    return ""


async def test_looking_makes_no_topic_and_needs_the_right(guarded: Cluster) -> None:
    """Reading dead letters creates no topic, and a missing right is one sentence.

    1. No topic: that is reported, and looking for it creates none. 2. It exists, but may not be
    read: a sentence. 3. It may not be described either: the same sentence, not "there are none".
    """
    settings = KafkaSettings(bootstrap_servers=(guarded.bootstrap,))
    async with DeadLetterReader(settings) as reader:
        assert not reader.exists
    async with guarded.admin() as admin:
        assert DEAD_LETTER_TOPIC not in await admin.list_topics()
    await guarded.create([DEAD_LETTER_TOPIC], partitions=1)
    await write_dead_letters(guarded, DEAD_LETTER_TOPIC, exhausted([1]))
    assert await _denial(guarded) == ""
    await _rule(guarded, AclOperation.DESCRIBE, AclPermissionType.ALLOW)
    told = f"Kafka refuses the topic {DEAD_LETTER_TOPIC}: ask for access to it"
    assert await _denial(guarded) == told
    await _rule(guarded, AclOperation.DESCRIBE, AclPermissionType.DENY)
    assert await _denial(guarded) == told


async def test_without_the_right_to_commit_nothing_is_sent(guarded: Cluster) -> None:
    """A user who may not commit the replay's progress is told so before the first dead letter is
    sent.
    """
    topic, retry_topic, group = "kept.dead-letter", "kept.retry", "kept.replay.all"
    await guarded.create([topic, retry_topic], partitions=1)
    await write_dead_letters(guarded, topic, exhausted([1]))
    await _rule(
        guarded,
        AclOperation.DESCRIBE,
        AclPermissionType.ALLOW,
        kind=ResourceType.GROUP,
        name=group,
    )
    settings = KafkaSettings(bootstrap_servers=(guarded.bootstrap,))
    route, clock = Route(retry_topic, (), settings.group_id), SystemClock()
    producer = KafkaProducer(settings, clock)
    try:
        async with DeadLetterReader(settings, topic=topic, group=group) as reader:
            plan = await make_plan(reader, Selection(), route, limit=None, again=False)
        assert plan.total == 1
        async with DeadLetterReader(settings, topic=topic, group=group) as reader:
            replayer = Replayer(
                plan,
                route,
                reader,
                producer,
                while_held=without_a_lock,
                settings=settings,
                clock=clock,
            )
            with pytest.raises(HookstreamError, match=r"refuses the group .*ask for access"):
                await replayer.run(stopped=lambda: False, advanced=int)
    finally:
        await producer.reset()
    assert await guarded.read(retry_topic) == []


async def test_no_broker_is_a_sentence() -> None:
    """A broker that refuses connections is one sentence with its address and what to do."""
    settings = KafkaSettings(bootstrap_servers=("127.0.0.1:1",))
    with pytest.raises(HookstreamError, match=r"no Kafka broker answers at 127\.0\.0\.1:1"):
        async with DeadLetterReader(settings):
            pass
