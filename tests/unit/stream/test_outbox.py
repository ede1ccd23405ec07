"""A record counts as published when the broker has acknowledged it (invariant 2)."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest
from aiokafka.errors import KafkaConnectionError, KafkaTimeoutError
from prometheus_client import CollectorRegistry

from consumer.metrics import Metrics
from consumer.records.record import Headers
from consumer.stream.outbox import Message, MessageT, Outbox, TooLargeError
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
class FakeLetter:
    """A letter that the office hears of."""

    office: "OutboxHarness"
    key: bytes
    topic: str
    value: bytes = b"v"
    headers: Headers = field(default_factory=list)
    spread: bool = False

    @property
    def wanted(self) -> bool:
        """See `ModelRecord.wanted`."""
        return self.key not in self.office.unwanted

    def acknowledged(self) -> None:
        """See `ModelRecord.acknowledged`."""
        self.office.acknowledged.append(self.key)

    def smaller(self) -> "FakeLetter | None":
        """See `PublishedRecord.smaller`."""
        if self.key in self.office.least:
            return None
        return FakeLetter(self.office, b"smaller " + self.key, TOPIC)


class OutboxHarness:
    """A hand-over on a fake producer, and what it told."""

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
        """Hand over one record for each key."""
        for key in keys:
            self.outbox.send(FakeLetter(self, key, topic))

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
        """Run the hand-over meanwhile."""
        task = asyncio.create_task(self.outbox.run())
        try:
            yield
        finally:
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


async def test_nothing_counts_before_the_broker_answered() -> None:
    """No record counts as published before its whole batch has its answers."""
    office = OutboxHarness()
    async with office.open():
        office.send(b"a", b"b")
        await office.sees(b"a", b"b")
        office.producer.acknowledge(b"a")
        await asyncio.sleep(0)
        assert b"b" not in office.acknowledged
        office.producer.acknowledge(b"b")
        await wait_until(lambda: office.acknowledged == [b"a", b"b"], "both")
    assert not office.outbox.failing


async def test_what_failed_is_sent_again_first_and_with_a_new_producer() -> None:
    """Records that failed are sent again first and with a new producer, and none is lost."""
    office = OutboxHarness()
    async with office.open():
        office.send(b"a", b"b")
        await office.sees(b"a", b"b")
        office.send(b"c")
        office.producer.fail(b"a", KafkaConnectionError())
        office.producer.acknowledge(b"b")
        await office.sees(b"a", b"b", b"a", b"c")
        assert (office.acknowledged, office.producer.renewed) == ([b"b"], 1)
        assert office.outbox.failing
        assert office.outbox.at_capacity
        assert office.failures == 1.0
        office.producer.acknowledge(b"a", b"c")
        await wait_until(lambda: office.acknowledged == [b"b", b"a", b"c"], "the rest")
        await wait_until(lambda: not office.outbox.failing, "the alert to end")
        assert not office.outbox.at_capacity


async def test_nothing_is_sent_while_that_is_not_allowed() -> None:
    """Nothing is sent while that is not allowed: records wait in order, and what is not wanted by
    then is never sent.
    """
    office, looks = OutboxHarness(), list[bool]()

    def allowed() -> bool:
        looks.append(False)
        return looks[-1]

    office.outbox.allowed = allowed
    async with office.open():
        office.send(b"a", b"b")
        await wait_until(lambda: len(looks) > 1, "another look")
        assert office.producer.keys == []
        office.unwanted.add(b"a")
        office.outbox.allowed = lambda: True
        await office.sees(b"b")


@pytest.mark.parametrize("missing", ["", TOPIC])
async def test_no_answer_in_time_is_a_failure(missing: str) -> None:
    """A record that the broker has not acknowledged in time is sent again, even if the client waits
    for the topic itself.
    """
    office = OutboxHarness(send_timeout=0.01)
    office.producer.missing = missing
    async with office.open():
        office.send(b"a")
        await wait_until(lambda: office.producer.rounds >= 2, "a second try")
        assert office.outbox.failing
        assert office.acknowledged == []


async def test_a_topic_that_takes_nothing_holds_up_no_other() -> None:
    """A topic that takes nothing holds back no record for another topic."""
    office = OutboxHarness()
    office.producer.missing = TOPIC
    async with office.open():
        office.send(b"a")
        office.send(b"b", topic="hookstream.dead-letter")
        await office.sees(b"b")
        office.producer.acknowledge(b"b")
        office.producer.given_up.set()
        await wait_until(lambda: office.acknowledged, "the other's acknowledgement")
        await wait_until(lambda: office.failures, "the failure")
        await wait_until(lambda: office.outbox.at_capacity, "intake to be told")
        office.producer.missing = ""
        await office.sees(b"b", b"a")
        office.producer.acknowledge(b"a")
        await wait_until(lambda: not office.outbox.at_capacity, "room")
    assert office.acknowledged == [b"b", b"a"]


async def test_a_producer_that_cannot_start_is_a_failure() -> None:
    """A producer that cannot start is a failure, and another one is tried until the broker is
    back.
    """
    office = OutboxHarness()
    office.producer.refusal = KafkaConnectionError()
    async with office.open():
        office.send(b"a")
        await wait_until(lambda: office.producer.renewed >= 2, "two rounds")
        assert office.outbox.at_capacity
        office.producer.refusal = None
        await wait_until(lambda: office.producer.sent, "a record")
        office.producer.acknowledge(b"a")
        await wait_until(lambda: office.acknowledged == [b"a"], "it")


async def test_revoked_records_are_not_sent() -> None:
    """Records of a revoked partition are not sent, even if they had failed before."""
    office = OutboxHarness()
    async with office.open():
        office.send(b"a")
        await office.sees(b"a")
        office.send(b"b", b"c")
        office.unwanted |= {b"a", b"b"}
        office.producer.fail(b"a", KafkaConnectionError())
        await office.sees(b"a", b"c")
        office.producer.acknowledge(b"c")
        await wait_until(lambda: office.acknowledged == [b"c"], "the wanted one")
        assert not office.outbox.failing


async def test_a_smaller_record_is_sent_in_place_of_one_too_large() -> None:
    """If the broker refuses a record's size, the smaller one is sent instead; the record itself is
    neither acknowledged nor sent again, and the others are not held back.
    """
    office = OutboxHarness()
    async with office.open():
        office.send(b"a", b"b")
        await office.sees(b"a", b"b")
        office.producer.fail(b"a", TooLargeError())
        office.producer.acknowledge(b"b")
        await wait_until(lambda: office.acknowledged == [b"b"], "the other")
        assert not office.outbox.failing
        await wait_until(lambda: office.producer.renewed == 1, "a producer in sequence")
        await office.sees(b"a", b"b", b"smaller a")
        office.producer.acknowledge(b"smaller a")
        await wait_until(lambda: office.acknowledged == [b"b", b"smaller a"], "the smaller one")


async def test_one_that_cannot_be_made_smaller_is_a_failure() -> None:
    """A record that is too large and has nothing left to leave out stays, is tried again, and
    pauses intake.
    """
    office = OutboxHarness()
    office.least.add(b"a")
    async with office.open():
        office.send(b"a")
        await office.sees(b"a")
        office.producer.fail(b"a", TooLargeError())
        await wait_until(lambda: office.outbox.failing, "the failure")
        await office.sees(b"a", b"a")
        office.producer.acknowledge(b"a")
        await wait_until(lambda: office.acknowledged == [b"a"], "the end")


@pytest.mark.parametrize("where", ["send", "answer"])
async def test_a_wait_that_the_client_cancelled_is_a_failure(where: str) -> None:
    """A wait that aiokafka cancelled by itself is a failure, and the record is sent again by the
    same task.
    """
    office = OutboxHarness()
    async with office.open():
        if where == "send":
            office.producer.refusal = asyncio.CancelledError()
            office.send(b"a")
            await wait_until(lambda: office.producer.renewed >= 1, "the failure")
            office.producer.refusal = None
        else:
            office.send(b"a")
            await office.sees(b"a")
            office.producer.sent[0][1].cancel()
        await wait_until(lambda: len(office.producer.sent) > (where == "answer"), "a second try")
        office.producer.acknowledge(b"a")
        await wait_until(lambda: office.acknowledged == [b"a"], "it")


async def test_a_full_queue_pauses_intake() -> None:
    """A full queue of records to publish pauses intake (backpressure)."""
    office = OutboxHarness(bound=2)
    office.send(b"a")
    assert not office.outbox.at_capacity
    office.send(b"b")
    assert office.outbox.at_capacity


async def test_what_is_under_way_counts_until_the_broker_has_it() -> None:
    """Records under way count towards the queue until the broker has acknowledged them."""
    office = OutboxHarness(bound=2)
    async with office.open():
        office.send(b"a", b"b")
        await office.sees(b"a", b"b")
        assert office.outbox.at_capacity
        office.producer.acknowledge(b"a", b"b")
        await wait_until(lambda: not office.outbox.at_capacity, "room")


async def test_large_records_pause_intake_before_many_do() -> None:
    """The queue is bounded in bytes of keys and values too, so a few large records pause intake."""
    office = OutboxHarness(bound_bytes=1_000)
    office.unwanted = {b"c"}
    async with office.open():
        office.send(b"a" * 600)
        assert not office.outbox.at_capacity
        office.send(b"b" * 600, b"c")
        assert office.outbox.at_capacity
        await office.sees(b"a" * 600, b"b" * 600)
        office.producer.acknowledge(b"a" * 600, b"b" * 600)
        await wait_until(lambda: len(office.acknowledged) == 2, "both")
        await wait_until(lambda: not office.outbox.at_capacity, "room")
    assert office.outbox._unfinished == office.outbox._unfinished_bytes == 0


async def test_what_was_being_sent_is_kept_when_the_task_ends() -> None:
    """When the task ends the events of what was being sent stay unsettled, and the producer is
    closed.
    """
    office = OutboxHarness()
    async with office.open():
        office.send(b"a", b"b")
        await office.sees(b"a", b"b")
    assert office.acknowledged == []
    assert [record.key for record in office.outbox._queue] == [b"a", b"b"]
    assert office.producer.renewed == 1


async def test_many_are_sent_batch_by_batch() -> None:
    """Many records are sent batch by batch in order, and none is left behind."""
    office = OutboxHarness(bound=10_000)
    keys = [str(number).encode() for number in range(1_200)]
    office.send(*keys)

    def progress() -> bool:
        office.producer.acknowledge(*keys)
        return len(office.acknowledged) == len(keys)

    async with office.open():
        await wait_until(progress, "all")
    assert office.acknowledged == keys
    assert not office.outbox.at_capacity


async def test_few_wait_for_others() -> None:
    """A few records wait a moment for others, since a small batch costs the broker as much as a
    large one.
    """
    office = OutboxHarness(linger=0.02)
    async with office.open():
        office.send(b"a")
        await asyncio.sleep(0)  # the round begins; no timer can end it before the next lines
        office.send(b"b", b"c")
        await office.sees(b"a", b"b", b"c")
    assert office.producer.rounds == 1


async def test_a_whole_batch_is_sent_at_once() -> None:
    """A whole batch is sent at once."""
    office = OutboxHarness(bound=10_000, linger=3600.0)
    first, *others = keys = [str(number).encode() for number in range(1_000)]
    async with office.open():
        office.send(first)
        await asyncio.sleep(0)
        office.send(*others)
        await office.sees(*keys)
