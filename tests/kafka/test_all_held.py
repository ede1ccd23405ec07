"""If every partition is paused, a poll asks for none: to aiokafka, an empty list means all."""

from collections.abc import AsyncIterator

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from consumer.settings import KafkaSettings
from consumer.stream.client import make_consumer
from consumer.stream.poller import Poller
from support.cluster import Cluster
from support.fakes import FakeClock
from support.waiting import wait_until

RECORDS = 20
HOUR = 3_600.0


class Reader:
    """A poller on a real consumer, and the offsets that it was given."""

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self.clock = FakeClock()
        self.poller = Poller(consumer, self._next_offset, consumer.pause, self.clock, backoff=0.0)
        self.places: set[TopicPartition] = consumer.assignment()
        self.taken: dict[TopicPartition, list[int]] = {place: [] for place in self.places}
        self._consumer = consumer

    async def poll(self) -> bool:
        """Poll once; whether all was taken."""
        for place, records in (await self.poller.poll()).items():
            self.taken[place] += [record.offset for record in records]
        return sum(map(len, self.taken.values())) >= RECORDS

    async def hold_all(self) -> None:
        """Each at its first record, for an hour."""
        held: set[TopicPartition] = set()
        while held != self.places:
            for place, records in (await self.poller.poll()).items():
                self.poller.pause_until(place, records, 0, self.clock.monotonic() + HOUR)
                held.add(place)

    def _next_offset(self, place: TopicPartition) -> int | None:
        return self.taken[place][-1] + 1 if self.taken[place] else None


@pytest.fixture
async def reader(cluster: Cluster, topic_prefix: str) -> AsyncIterator[Reader]:
    """The only member of a group, with two partitions of ten records, fetched already."""
    await cluster.create([topic_prefix], partitions=2)
    async with cluster.producer() as producer:
        for number in range(RECORDS):
            await producer.send_and_wait(topic_prefix, b"{}", partition=number % 2)
    settings = KafkaSettings(bootstrap_servers=(cluster.bootstrap,), group_id=topic_prefix)
    consumer = make_consumer(settings)
    consumer.subscribe([topic_prefix])
    await consumer.start()
    try:
        for place in consumer.assignment():
            consumer.seek(place, 0)
        await wait_until(lambda: len(consumer._fetcher._records) == 2, "both to be fetched")
        yield Reader(consumer)
    finally:
        await consumer.stop()
        await cluster.delete([topic_prefix])


@pytest.mark.parametrize("careful", [False, True])
async def test_nothing_comes_while_all_is_paused(
    reader: Reader, *, careful: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No record is handed out while every partition is paused.

    1. What waits in the client's memory is not handed out, polled all together or one by one, and
    the membership stays. 2. When the time has come, all comes, once and in order.
    """
    if careful:
        until = 2 * HOUR + reader.clock.monotonic()
        monkeypatch.setattr(reader.poller, "_single_polls_until", until)
    await reader.hold_all()
    for _ in range(5):
        await reader.poll()
    assert not any(reader.taken.values())
    assert reader._consumer.assignment() == reader.places
    reader.clock.advance(HOUR)
    await wait_until(reader.poll, "all to come")
    assert reader.taken == {place: list(range(RECORDS // 2)) for place in reader.places}
