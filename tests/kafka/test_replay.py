"""Replay on a real broker: what is sent, what is remembered, and what a crash may repeat."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.records.delivery_metadata import read_delivery_metadata
from consumer.records.record import Headers
from consumer.settings import KafkaSettings
from consumer.stream.dead_letters import DeadLetterReader, Selection
from consumer.stream.outbox import MessageT, Producer
from consumer.stream.producer import KafkaProducer
from consumer.stream.replay import BATCH_RECORDS, Plan, Replayer, make_plan
from consumer.stream.replay_route import Route
from support.cluster import Cluster
from support.dead_letters import (
    WrittenDeadLetter,
    exhausted,
    metadata,
    without_a_lock,
    write_dead_letters,
)
from support.pipeline_harness import headers_of

CLOCK = SystemClock()
EVERYTHING = Selection()


class ReplayHarness:
    """A person with a dead-letter topic, a retry topic and a source that are this test's own."""

    def __init__(self, cluster: Cluster, prefix: str) -> None:
        self.cluster = cluster
        self.topic = f"{prefix}.dead-letter"
        self.retry_topic = f"{prefix}.retry"
        self.source = f"{prefix}.source"
        self.settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), group_id=prefix)
        self.route = Route(self.retry_topic, {self.source}, prefix)

    def group(self, selection: Selection) -> str:
        """Where progress is kept."""
        return f"{self.settings.group_id}.replay.{selection.name}"

    def reader(self, selection: Selection) -> DeadLetterReader:
        """A look at the topic."""
        return DeadLetterReader(self.settings, topic=self.topic, group=self.group(selection))

    async def plan(
        self, selection: Selection = EVERYTHING, limit: int | None = None, *, again: bool = False
    ) -> Plan:
        """What a replay would do now."""
        async with self.reader(selection) as reader:
            return await make_plan(reader, selection, self.route, limit=limit, again=again)

    async def execute(
        self,
        plan: Plan,
        *,
        producer: Producer | None = None,
        stopped: Callable[[], bool] = lambda: False,
        batches: list[int] | None = None,
    ) -> int:
        """How many were sent."""
        producer = producer or KafkaProducer(self.settings, CLOCK)
        try:
            async with self.reader(plan.selection) as reader:
                replayer = Replayer(
                    plan,
                    self.route,
                    reader,
                    producer,
                    while_held=without_a_lock,
                    settings=self.settings,
                    clock=CLOCK,
                )
                told = [] if batches is None else batches
                await replayer.run(stopped=stopped, advanced=told.append)
                return replayer.sent
        finally:
            await producer.reset()

    async def replay(
        self, selection: Selection = EVERYTHING, limit: int | None = None, *, again: bool = False
    ) -> int:
        """Plan and carry out; how many were sent, which is what was planned."""
        plan = await self.plan(selection, limit, again=again)
        sent = await self.execute(plan)
        assert sent == plan.total
        return sent

    async def takes_at_most(self, size: int) -> None:
        """Make the retry topic anew: it takes batches of so many bytes."""
        await self.cluster.delete([self.retry_topic])
        await self.cluster.create(
            [self.retry_topic], partitions=1, configs={"max.message.bytes": str(size)}
        )

    async def sent(self) -> list[str]:
        """Delivery ids on the retry topic, in order."""
        return [
            one.facts["hookstream-delivery-id"] for one in await self.cluster.read(self.retry_topic)
        ]


@pytest.fixture
async def desk(cluster: Cluster, topic_prefix: str) -> ReplayHarness:
    """With empty topics: two partitions of dead letters."""
    desk = ReplayHarness(cluster, topic_prefix)
    await cluster.create([desk.topic], partitions=2)
    await cluster.create([desk.retry_topic, desk.source], partitions=1)
    return desk


@dataclass
class Breaking:
    """A producer whose broker goes away after so many acknowledgements."""

    inner: Producer
    acknowledgements: int
    acknowledged: list[str] = field(default_factory=list)

    async def send(
        self, topic: str, messages: Sequence[MessageT]
    ) -> list[tuple[Sequence[MessageT], asyncio.Future[None]]]:
        """As long as there is a broker."""
        taken = messages[: self.acknowledgements - len(self.acknowledged)]
        ids = [read_delivery_metadata(headers_of(message)).delivery_id for message in taken]
        self.acknowledged += ids
        batches = await self.inner.send(topic, taken)
        if len(taken) < len(messages):
            await asyncio.gather(*(answer for _, answer in batches))
            raise TimeoutError
        return batches

    async def reset(self) -> None:
        """As it does."""
        await self.inner.reset()


async def test_a_replayed_dead_letter_is_its_delivery_begun_anew(desk: ReplayHarness) -> None:
    """A replayed record keeps key, value, delivery id, source and source time, its attempts begin
    at zero, and its headers name the replay.
    """
    dead_letter = WrittenDeadLetter(metadata(7), value=b'{"id": "e7"}')
    await write_dead_letters(desk.cluster, desk.topic, [dead_letter])
    before = CLOCK.now()
    assert await desk.replay() == 1
    [sent] = await desk.cluster.read(desk.retry_topic)
    facts = sent.facts
    assert (sent.key, sent.value) == (dead_letter.key, dead_letter.value)
    moments = [float(facts.pop(f"hookstream-{name}")) for name in ("not-before", "replayed-at")]
    assert all(before - 0.001 <= moment <= CLOCK.now() + 0.001 for moment in moments)
    assert facts == {
        "hookstream-delivery-id": "e7:a",
        "hookstream-hook": "a",
        "hookstream-reason": "replay",
        "hookstream-attempts": "0",
        "hookstream-source": "source/2/7",
        "hookstream-source-timestamp": "1795514400123",
        "hookstream-trigger": "event",
        "hookstream-group": desk.settings.group_id,
        "hookstream-replayed-from": f"{desk.topic}/0/0",
    }


async def test_an_undecodable_record_goes_back_to_its_source(desk: ReplayHarness) -> None:
    """A replayed undecodable record goes back to its source with its raw bytes, its key and its
    original headers, and with headers that name the replay and its time.
    """
    raw = b"\xff not JSON"
    lost = metadata(1, hook="", reason="undecodable", topic=desk.source)
    headers: Headers = [("ce_type", b"a"), ("ce_type", b"\xff"), ("", None)]
    await write_dead_letters(
        desk.cluster, desk.topic, [WrittenDeadLetter(lost, raw, b"key", headers=headers)]
    )
    assert await desk.replay() == 1
    [sent] = await desk.cluster.read(desk.source)
    assert (sent.key, sent.value) == (b"key", raw)
    *own, first, second, third = sent.headers
    assert [first, second, third] == headers
    assert {name: value for name, value in own if name != "hookstream-replayed-at"} == {
        "hookstream-replayed-from": f"{desk.topic}/0/0".encode(),
        "hookstream-replayed-by": desk.settings.group_id.encode(),
    }
    assert await desk.sent() == []


async def test_what_cannot_be_sent_is_told_and_left(desk: ReplayHarness) -> None:
    """Dead letters that cannot be replayed are reported and left: other programs' records, those
    without a value, and undecodable ones whose source is no more.
    """
    gone = metadata(1, hook="", reason="undecodable", topic="gone")
    dead_letters = [
        WrittenDeadLetter(None),
        WrittenDeadLetter(metadata(2), b""),
        WrittenDeadLetter(gone),
        WrittenDeadLetter(metadata(3)),
    ]
    await write_dead_letters(desk.cluster, desk.topic, dead_letters)
    plan = await desk.plan()
    assert plan.counts == {("a", "exhausted", desk.retry_topic): 1}
    assert sorted(plan.not_replayable.values()) == [1, 1, 1]
    assert await desk.execute(plan) == 1
    assert await desk.sent() == ["e3:a"]


async def test_filters_choose(desk: ReplayHarness) -> None:
    """A filter by hook and reason selects dead letters that fit both, and the others stay for
    another replay.
    """
    dead_letters = [
        WrittenDeadLetter(metadata(1, hook="a", reason="exhausted")),
        WrittenDeadLetter(metadata(2, hook="a", reason="permanent"), partition=1),
        WrittenDeadLetter(metadata(3, hook="b", reason="exhausted")),
        WrittenDeadLetter(None),
    ]
    await write_dead_letters(desk.cluster, desk.topic, dead_letters)
    assert await desk.replay(Selection(hook="a", reason="permanent")) == 1
    assert await desk.sent() == ["e2:a"]
    assert await desk.replay(Selection(hook="b")) == 1
    assert await desk.replay(Selection(reason="expired")) == 0
    assert await desk.sent() == ["e2:a", "e3:b"]
    assert await desk.replay(Selection(reason="exhausted")) == 2


async def test_the_oldest_of_all_partitions_go_first(desk: ReplayHarness) -> None:
    """Each replay takes the oldest dead letters that are left, whatever their partition.

    1. Dead letters of both partitions, alternating in time. 2. Each run takes the oldest that are
    left, whatever their partition, and a run after the last finds nothing.
    """
    dead_letters = [
        WrittenDeadLetter(metadata(n), partition=n % 2, timestamp_ms=1_795_514_400_000 + n)
        for n in range(9)
    ]
    await write_dead_letters(
        desk.cluster, desk.topic, sorted(dead_letters, key=lambda one: one.partition)
    )
    assert [await desk.replay(limit=4) for _ in range(4)] == [4, 4, 1, 0]
    assert await desk.sent() == [f"e{n}:a" for n in range(9)]
    assert (await desk.plan()).sent_before == 9


async def test_a_second_replay_finds_only_newer_dead_letters(desk: ReplayHarness) -> None:
    """A second replay sends only dead letters that came after the first, unless it starts over.

    1. Three go. 2. Nothing is left. 3. Two more come, and only they go. 4. Starting over takes all
    five.
    """
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(3)))
    assert await desk.replay() == 3
    assert await desk.replay() == 0
    await write_dead_letters(desk.cluster, desk.topic, exhausted([3, 4], partition=1))
    assert await desk.replay() == 2
    assert await desk.sent() == [f"e{n}:a" for n in range(5)]
    assert await desk.replay(again=True) == 5


async def test_a_stopped_replay_goes_on_with_the_rest(desk: ReplayHarness) -> None:
    """A replay that a signal stopped goes on with the rest and sends nothing twice.

    1. A signal comes after the second batch. 2. What was acknowledged until then is committed. 3.
    The same command sends the rest, and nothing twice.
    """
    total = 3 * BATCH_RECORDS + 20
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(total)))
    plan, batches = await desk.plan(), list[int]()
    assert plan.total == total
    sent = await desk.execute(plan, stopped=lambda: len(batches) == 2, batches=batches)
    assert sent == 2 * BATCH_RECORDS
    assert len(await desk.sent()) == sent
    rest = await desk.plan()
    assert (rest.total, rest.sent_before) == (total - sent, sent)
    assert await desk.execute(rest) == total - sent
    assert await desk.sent() == [f"e{n}:a" for n in range(total)]


async def test_a_broken_replay_repeats_no_more_than_a_batch(desk: ReplayHarness) -> None:
    """A replay that broke repeats at most one batch and leaves nothing out.

    1. The broker stops acknowledging within the second batch. 2. The replay ends with a sentence,
    and has committed the first batch only. 3. The same command sends everything behind it: what the
    broken batch had brought twice, and nothing not at all.
    """
    total, brought = 2 * BATCH_RECORDS + 10, BATCH_RECORDS + BATCH_RECORDS // 2
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(total)))
    breaking = Breaking(KafkaProducer(desk.settings, CLOCK), brought)
    with pytest.raises(HookstreamError, match="did not answer"):
        await desk.execute(await desk.plan(), producer=breaking)
    committed = await desk.cluster.committed(desk.group(EVERYTHING))
    assert committed[desk.topic, 0] == BATCH_RECORDS
    assert await desk.replay() == total - BATCH_RECORDS
    sent = await desk.sent()
    assert set(sent) == {f"e{n}:a" for n in range(total)}
    assert len(sent) == total + brought - BATCH_RECORDS


async def test_a_dead_letter_too_large_for_the_retry_topic_is_not_passed(
    desk: ReplayHarness,
) -> None:
    """A dead letter that is too large for the retry topic ends the replay with a sentence, and
    nothing behind it is committed.
    """
    await desk.takes_at_most(2000)
    large = WrittenDeadLetter(metadata(1), value=bytes(2_000))
    await write_dead_letters(desk.cluster, desk.topic, [*exhausted([0]), large])
    with pytest.raises(
        HookstreamError, match=rf"{desk.topic}/0/1 is too large for {desk.retry_topic}"
    ):
        await desk.execute(await desk.plan())
    assert (await desk.plan()).total == 2


async def test_a_retry_topic_that_takes_small_batches_gets_every_dead_letter(
    desk: ReplayHarness,
) -> None:
    """Every dead letter is replayed even if a batch of them is too large for the topic."""
    total = BATCH_RECORDS + 10
    await desk.takes_at_most(4000)
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(total)))
    assert await desk.replay() == total
    assert sorted(await desk.sent()) == sorted(f"e{number}:a" for number in range(total))


async def test_a_replay_since_a_time_leaves_what_is_older(desk: ReplayHarness) -> None:
    """A replay since a time leaves older dead letters for a later replay.

    1. Only what is young enough goes. 2. A replay without a time then takes the older ones, and not
    the younger ones again. 3. Newer ones go as ever.
    """
    start = 1_795_514_400_000
    dead_letters = [
        WrittenDeadLetter(metadata(n), partition=n % 2, timestamp_ms=start + n * 1000)
        for n in range(10)
    ]
    await write_dead_letters(desk.cluster, desk.topic, dead_letters)
    assert await desk.replay(Selection(since=start + 6_000)) == 4
    assert await desk.replay(limit=2) == 2
    await write_dead_letters(desk.cluster, desk.topic, exhausted([10]))
    assert await desk.replay() == 5
    assert sorted(await desk.sent()) == sorted(f"e{n}:a" for n in range(11))


async def test_a_dead_letter_that_comes_later_waits_for_the_next_replay(
    desk: ReplayHarness,
) -> None:
    """A dead letter that comes between plan and execution waits for the next replay."""
    await write_dead_letters(desk.cluster, desk.topic, exhausted([1, 2]))
    plan = await desk.plan()
    await write_dead_letters(desk.cluster, desk.topic, exhausted([3]))
    assert await desk.execute(plan) == 2
    assert await desk.replay() == 1


async def _set_offset(desk: ReplayHarness, offset: int) -> None:
    """As `kafka-consumer-groups --reset-offsets` does."""
    place = TopicPartition(desk.topic, 0)
    tool = AIOKafkaConsumer(
        bootstrap_servers=desk.cluster.bootstrap,
        group_id=desk.group(EVERYTHING),
        enable_auto_commit=False,
    )
    await tool.start()
    try:
        tool.assign([place])
        await tool.commit({place: offset})
    finally:
        await tool.stop()


async def test_an_offset_set_with_kafkas_tools_counts(desk: ReplayHarness) -> None:
    """An offset that Kafka's tools set for the group is where the next replay begins."""
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(5)))
    assert await desk.replay(limit=1) == 1
    await _set_offset(desk, 3)
    assert await desk.replay() == 2
    assert await desk.sent() == ["e0:a", "e3:a", "e4:a"]


async def test_progress_behind_the_end_is_of_another_log(desk: ReplayHarness) -> None:
    """If the saved progress lies behind the end of the log, every dead letter in the log is
    replayed.
    """
    await write_dead_letters(desk.cluster, desk.topic, exhausted(range(5)))
    await _set_offset(desk, 99)
    assert await desk.replay() == 5
