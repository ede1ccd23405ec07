"""A record counts as published when the broker has acknowledged it (invariant 2)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from prometheus_client import CollectorRegistry

from consumer.metrics import Metrics
from consumer.records.header_sink import HeaderSink
from consumer.stream.outbox import Message, MessageT, Outbox
from consumer.stream.publish_errors import NoLeaderError, TooLargeError
from support.waiting import wait_until

TOPIC = "hookstream.retry.10s"


class FakeProducer:
    """A Producer whose broker answers on command."""

    def __init__(self) -> None:
        self.sent: list[tuple[Message, asyncio.Future[None]]] = []
        """Every record in order, with its acknowledgement to come: each is a batch."""
        self.refusal: BaseException | None = None
        """What `send` raises, if anything."""
        self.missing = ""
        """A topic that no broker has: its metadata is waited for."""
        self.given_up = asyncio.Event()
        """Set when the broker is not asked for that metadata any longer."""
        self.rounds = 0
        """Calls of `send`."""
        self.renewed = 0

    async def send(
        self, topic: str, messages: Sequence[MessageT]
    ) -> list[tuple[Sequence[MessageT], asyncio.Future[None]]]:
        """See `Producer.send`."""
        self.rounds += 1
        if self.refusal is not None:
            raise self.refusal
        if topic == self.missing:
            await self.given_up.wait()
            raise KafkaTimeoutError
        batches: list[tuple[Sequence[MessageT], asyncio.Future[None]]] = []
        for message in messages:
            answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self.sent.append((message, answer))
            batches.append(([message], answer))
        return batches

    async def reset(self) -> None:
        """See `Producer.reset`."""
        self.renewed += 1

    @property
    def keys(self) -> list[bytes | None]:
        """The key of each record that was sent, repeated ones included."""
        return [record.key for record, _ in self.sent]

    def acknowledge(self, *keys: bytes) -> None:
        """The broker has these."""
        for record, future in self.sent:
            if record.key in keys and not future.done():
                future.set_result(None)

    def fail(self, key: bytes, error: Exception) -> None:
        """The broker does not take this one."""
        for record, future in self.sent:
            if record.key == key and not future.done():
                future.set_exception(error)


@dataclass
class FakeRecord:
    """A record whose calls the harness notes."""

    harness: "OutboxHarness"
    key: bytes
    topic: str
    value: bytes = b"v"
    spread: bool = False
    partition: int | None = None
    is_ordered: bool = False

    def write_headers(self, sink: HeaderSink) -> None:
        """See `Message.write_headers`."""

    @property
    def wanted(self) -> bool:
        """See `PublishedRecord.wanted`."""
        return self.key not in self.harness.unwanted

    def acknowledged(self) -> None:
        """See `PublishedRecord.acknowledged`."""
        self.harness.acknowledged.append(self.key)

    def smaller(self) -> "FakeRecord | None":
        """See `PublishedRecord.smaller`."""
        if self.key in self.harness.least:
            return None
        return FakeRecord(self.harness, b"smaller " + self.key, TOPIC)


class OutboxHarness:
    """An outbox with a fake producer, and the calls of its records."""

    def __init__(
        self,
        bound: int = 100,
        bound_bytes: int = 100_000,
        send_timeout: float = 60.0,
        linger: float = 0.0,
    ) -> None:
        self.producer = FakeProducer()
        self.metrics = Metrics("0", CollectorRegistry())
        self.metrics.stream.declare_topics([TOPIC])
        self.outbox = Outbox(
            self.producer,
            self.metrics.stream,
            bound=bound,
            bound_bytes=bound_bytes,
            send_timeout=send_timeout,
            backoff=0.0,
            linger=linger,
        )
        self.acknowledged: list[bytes] = []
        self.least: set[bytes] = set()
        """Keys of what cannot be made smaller."""
        self.unwanted: set[bytes] = set()

    def send(self, *keys: bytes, topic: str = TOPIC) -> None:
        """Send one record for each key."""
        for key in keys:
            self.outbox.send(FakeRecord(self, key, topic))

    async def sees(self, *keys: bytes) -> None:
        """Wait until exactly these were sent so far."""
        await wait_until(lambda: self.producer.keys == list(keys), f"{keys} to be sent")

    @property
    def failures(self) -> float | None:
        """The metric that operators alert on."""
        name = "hookstream_handover_failures_total"
        return self.metrics.registry.get_sample_value(name, {"topic": TOPIC})

    @asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Run the outbox meanwhile."""
        task = asyncio.create_task(self.outbox.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_nothing_counts_before_the_broker_answered() -> None:
    """No record counts as published before its whole batch has its answers."""
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
        harness.producer.acknowledge(b"a")
        await asyncio.sleep(0)
        assert b"b" not in harness.acknowledged
        harness.producer.acknowledge(b"b")
        await wait_until(lambda: harness.acknowledged == [b"a", b"b"], "both")
    assert not harness.outbox.failing


async def test_what_failed_is_sent_again_first_and_with_a_new_producer() -> None:
    """Records that failed are sent again first and with a new producer, and none is lost."""
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
        harness.send(b"c")
        harness.producer.fail(b"a", KafkaConnectionError())
        harness.producer.acknowledge(b"b")
        await harness.sees(b"a", b"b", b"a", b"c")
        assert (harness.acknowledged, harness.producer.renewed) == ([b"b"], 1)
        assert harness.outbox.failing
        assert harness.outbox.at_capacity
        assert harness.failures == 1.0
        harness.producer.acknowledge(b"a", b"c")
        await wait_until(lambda: harness.acknowledged == [b"b", b"a", b"c"], "the rest")
        await wait_until(lambda: not harness.outbox.failing, "the alert to end")
        assert not harness.outbox.at_capacity


async def test_a_record_that_waits_for_a_leader_holds_up_no_other() -> None:
    """A record whose only partition has no leader is sent again, before what came after it, and
    meanwhile others are acknowledged, intake goes on and the producer stays.
    """
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
        harness.producer.fail(b"a", NoLeaderError())
        harness.producer.acknowledge(b"b")
        harness.send(b"c")
        await harness.sees(b"a", b"b", b"a", b"c")
        assert (harness.acknowledged, harness.producer.renewed) == ([b"b"], 0)
        assert not harness.outbox.at_capacity
        assert harness.failures == 1.0
        harness.producer.acknowledge(b"a", b"c")
        await wait_until(lambda: harness.acknowledged == [b"b", b"a", b"c"], "the rest")


async def test_nothing_is_sent_while_that_is_not_allowed() -> None:
    """Nothing is sent while that is not allowed: records wait in order, and what is not wanted by
    then is never sent.
    """
    harness, looks = OutboxHarness(), list[bool]()

    def allowed() -> bool:
        looks.append(False)
        return looks[-1]

    harness.outbox.allowed = allowed
    async with harness.open():
        harness.send(b"a", b"b")
        await wait_until(lambda: len(looks) > 1, "another look")
        assert harness.producer.keys == []
        harness.unwanted.add(b"a")
        harness.outbox.allowed = lambda: True
        await harness.sees(b"b")


@pytest.mark.parametrize("missing", ["", TOPIC])
async def test_no_answer_in_time_is_a_failure(missing: str) -> None:
    """A record that the broker has not acknowledged in time is sent again, even if the client waits
    for the topic itself.
    """
    harness = OutboxHarness(send_timeout=0.01)
    harness.producer.missing = missing
    async with harness.open():
        harness.send(b"a")
        await wait_until(lambda: harness.producer.rounds >= 2, "a second try")
        assert harness.outbox.failing
        assert harness.acknowledged == []


async def test_a_topic_that_takes_nothing_holds_up_no_other() -> None:
    """A topic that takes nothing holds back no record for another topic."""
    harness = OutboxHarness()
    harness.producer.missing = TOPIC
    async with harness.open():
        harness.send(b"a")
        harness.send(b"b", topic="hookstream.dead-letter")
        await harness.sees(b"b")
        harness.producer.acknowledge(b"b")
        harness.producer.given_up.set()
        await wait_until(lambda: harness.acknowledged, "the other's acknowledgement")
        await wait_until(lambda: harness.failures, "the failure")
        await wait_until(lambda: harness.outbox.at_capacity, "intake to be told")
        harness.producer.missing = ""
        await harness.sees(b"b", b"a")
        harness.producer.acknowledge(b"a")
        await wait_until(lambda: not harness.outbox.at_capacity, "room")
    assert harness.acknowledged == [b"b", b"a"]


async def test_a_producer_that_cannot_start_is_a_failure() -> None:
    """A producer that cannot start is a failure, and another one is tried until the broker is
    back.
    """
    harness = OutboxHarness()
    harness.producer.refusal = KafkaConnectionError()
    async with harness.open():
        harness.send(b"a")
        await wait_until(lambda: harness.producer.renewed >= 2, "two rounds")
        assert harness.outbox.at_capacity
        harness.producer.refusal = None
        await wait_until(lambda: harness.producer.sent, "a record")
        harness.producer.acknowledge(b"a")
        await wait_until(lambda: harness.acknowledged == [b"a"], "it")


async def test_revoked_records_are_not_sent() -> None:
    """Records of a revoked partition are not sent, even if they had failed before."""
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a")
        await harness.sees(b"a")
        harness.send(b"b", b"c")
        harness.unwanted |= {b"a", b"b"}
        harness.producer.fail(b"a", KafkaConnectionError())
        await harness.sees(b"a", b"c")
        harness.producer.acknowledge(b"c")
        await wait_until(lambda: harness.acknowledged == [b"c"], "the wanted one")
        assert not harness.outbox.failing


async def test_a_smaller_record_is_sent_in_place_of_one_too_large() -> None:
    """If the broker refuses a record's size, the smaller one is sent instead; the record itself is
    neither acknowledged nor sent again, and the others are not held back.
    """
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
        harness.producer.fail(b"a", TooLargeError())
        harness.producer.acknowledge(b"b")
        await wait_until(lambda: harness.acknowledged == [b"b"], "the other")
        assert not harness.outbox.failing
        await wait_until(lambda: harness.producer.renewed == 1, "a producer in sequence")
        await harness.sees(b"a", b"b", b"smaller a")
        harness.producer.acknowledge(b"smaller a")
        await wait_until(lambda: harness.acknowledged == [b"b", b"smaller a"], "the smaller one")


async def test_one_that_cannot_be_made_smaller_is_a_failure() -> None:
    """A record that is too large and has nothing left to leave out stays, is tried again, and
    pauses intake.
    """
    harness = OutboxHarness()
    harness.least.add(b"a")
    async with harness.open():
        harness.send(b"a")
        await harness.sees(b"a")
        harness.producer.fail(b"a", TooLargeError())
        await wait_until(lambda: harness.outbox.failing, "the failure")
        await harness.sees(b"a", b"a")
        harness.producer.acknowledge(b"a")
        await wait_until(lambda: harness.acknowledged == [b"a"], "the end")


@pytest.mark.parametrize("where", ["send", "answer"])
async def test_a_wait_that_the_client_cancelled_is_a_failure(where: str) -> None:
    """A wait that aiokafka cancelled by itself is a failure, and the record is sent again by the
    same task.
    """
    harness = OutboxHarness()
    async with harness.open():
        if where == "send":
            harness.producer.refusal = asyncio.CancelledError()
            harness.send(b"a")
            await wait_until(lambda: harness.producer.renewed >= 1, "the failure")
            harness.producer.refusal = None
        else:
            harness.send(b"a")
            await harness.sees(b"a")
            harness.producer.sent[0][1].cancel()
        await wait_until(lambda: len(harness.producer.sent) > (where == "answer"), "a second try")
        harness.producer.acknowledge(b"a")
        await wait_until(lambda: harness.acknowledged == [b"a"], "it")


async def test_a_full_queue_pauses_intake() -> None:
    """A full queue of records to publish pauses intake (backpressure)."""
    harness = OutboxHarness(bound=2)
    harness.send(b"a")
    assert not harness.outbox.at_capacity
    harness.send(b"b")
    assert harness.outbox.at_capacity


async def test_what_is_under_way_counts_until_the_broker_has_it() -> None:
    """Records under way count towards the queue until the broker has acknowledged them."""
    harness = OutboxHarness(bound=2)
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
        assert harness.outbox.at_capacity
        harness.producer.acknowledge(b"a", b"b")
        await wait_until(lambda: not harness.outbox.at_capacity, "room")


async def test_large_records_pause_intake_before_many_do() -> None:
    """The queue is bounded in bytes of keys and values too, so a few large records pause intake."""
    harness = OutboxHarness(bound_bytes=1_000)
    harness.unwanted = {b"c"}
    async with harness.open():
        harness.send(b"a" * 600)
        assert not harness.outbox.at_capacity
        harness.send(b"b" * 600, b"c")
        assert harness.outbox.at_capacity
        await harness.sees(b"a" * 600, b"b" * 600)
        harness.producer.acknowledge(b"a" * 600, b"b" * 600)
        await wait_until(lambda: len(harness.acknowledged) == 2, "both")
        await wait_until(lambda: not harness.outbox.at_capacity, "room")
    assert harness.outbox._unfinished == harness.outbox._unfinished_bytes == 0


async def test_what_was_being_sent_is_kept_when_the_task_ends() -> None:
    """When the task ends the events of what was being sent stay unsettled, and the producer is
    closed.
    """
    harness = OutboxHarness()
    async with harness.open():
        harness.send(b"a", b"b")
        await harness.sees(b"a", b"b")
    assert harness.acknowledged == []
    assert [record.key for record in harness.outbox._queue] == [b"a", b"b"]
    assert harness.producer.renewed == 1


async def test_many_are_sent_batch_by_batch() -> None:
    """Many records are sent batch by batch in order, and none is left behind."""
    harness = OutboxHarness(bound=10_000)
    keys = [str(number).encode() for number in range(1_200)]
    harness.send(*keys)

    def progress() -> bool:
        harness.producer.acknowledge(*keys)
        return len(harness.acknowledged) == len(keys)

    async with harness.open():
        await wait_until(progress, "all")
    assert harness.acknowledged == keys
    assert not harness.outbox.at_capacity


async def test_few_wait_for_others() -> None:
    """A few records wait a moment for others, since a small batch costs the broker as much as a
    large one.
    """
    harness = OutboxHarness(linger=0.02)
    async with harness.open():
        harness.send(b"a")
        await asyncio.sleep(0)  # the round begins; no timer can end it before the next lines
        harness.send(b"b", b"c")
        await harness.sees(b"a", b"b", b"c")
    assert harness.producer.rounds == 1


async def test_a_whole_batch_is_sent_at_once() -> None:
    """A whole batch is sent at once."""
    harness = OutboxHarness(bound=10_000, linger=3600.0)
    first, *others = keys = [str(number).encode() for number in range(1_000)]
    async with harness.open():
        harness.send(first)
        await asyncio.sleep(0)
        harness.send(*others)
        await harness.sees(*keys)
