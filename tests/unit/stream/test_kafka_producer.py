"""The producer's choice of partitions, and its end."""

import asyncio
import logging
from collections import Counter
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import NotEnoughReplicasError

from consumer.settings import KafkaSettings
from consumer.stream.producer import KafkaProducer, _pack
from consumer.stream.replay_route import ReplayRecord
from support.fakes import FakeClock

_PARTITIONS = 4


class FakeClient:
    """An `AIOKafkaProducer` that notes where batches go."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, int]] = Counter()
        self.led: set[int] = set(range(_PARTITIONS))
        self.mute: set[int] = set()
        """Partitions that never acknowledge a batch."""
        self.refusing: set[int] = set()
        self.client = SimpleNamespace(
            cluster=SimpleNamespace(available_partitions_for_topic=lambda _: self.led),
            close=self.close,
        )

    async def close(self) -> None:
        """A wait in there is not cancelled."""
        raise asyncio.CancelledError

    async def partitions_for(self, _topic: str) -> set[int]:
        """Every topic has as many."""
        return set(range(_PARTITIONS))

    async def send_batch(self, _batch: Any, topic: str, *, partition: int) -> asyncio.Future[None]:
        """Acknowledged at once, unless its partition is mute or refuses it."""
        self.sent[topic, partition] += 1
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if partition in self.refusing:
            answer.set_exception(NotEnoughReplicasError())
        elif partition not in self.mute:
            answer.set_result(None)
        return answer


def _message(
    value: bytes = b"v", key: bytes | None = b"user", partition: int | None = None
) -> ReplayRecord:
    return ReplayRecord("topic", key, value, [], "", partition=partition)


async def test_a_producer_that_cannot_be_closed_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A producer that cannot be closed is left behind, and publishing goes on."""
    producer = KafkaProducer(KafkaSettings(), FakeClock())
    monkeypatch.setattr(producer, "_producer", FakeClient())
    caplog.set_level(logging.DEBUG)
    await producer.reset()
    assert "not closed cleanly" in caplog.text


async def test_topics_in_turn_use_all_their_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Batches for several topics in turn use all partitions of each."""
    producer, client = KafkaProducer(KafkaSettings(), FakeClock()), FakeClient()
    monkeypatch.setattr(producer, "_producer", client)
    message = _message(key=None)
    for _ in range(_PARTITIONS):
        for topic in ("a", "b"):
            for _, answer in await producer.send(topic, [message]):
                await answer
    assert client.sent == {(t, p): 1 for t in ("a", "b") for p in range(_PARTITIONS)}


async def _send_keyed(producer: KafkaProducer, topic: str, partition: int | None = None) -> int:
    """Send one record of a certain key; gives back how many were not acknowledged."""
    sent = await producer.send(topic, [_message(partition=partition)])
    answers = [answer for _, answer in sent]
    await asyncio.wait(answers, timeout=0.01)
    for answer in answers:
        answer.cancel()  # as the outbox does when its time is up
    results = await asyncio.gather(*answers, return_exceptions=True)
    return sum(result is not None for result in results)


@pytest.mark.parametrize("trouble", ["no leader", "mute", "too few replicas"])
async def test_a_keyed_record_whose_partition_takes_nothing_goes_to_another(
    monkeypatch: pytest.MonkeyPatch, trouble: str
) -> None:
    """A keyed record for an own topic goes to another partition if its own has no leader, does not
    answer or refuses it, and in a source topic it keeps its partition.
    """
    producer, client = KafkaProducer(KafkaSettings(), FakeClock()), FakeClient()
    monkeypatch.setattr(producer, "_producer", client)
    own = KafkaSettings().own_topics
    for topic in (own.dead_letter, own.retry(10.0), "source"):
        assert await _send_keyed(producer, topic) == 0
    [(_, home)] = [tp for tp in client.sent if tp[0] == own.dead_letter]
    match trouble:
        case "no leader":
            client.led.discard(home)
        case "mute":
            client.mute.add(home)
        case _:
            client.refusing.add(home)
    client.sent.clear()
    expected = 0 if trouble == "no leader" else 1
    for topic in (own.dead_letter, own.retry(10.0)):
        assert await _send_keyed(producer, topic) == expected
        assert await _send_keyed(producer, topic) == 0
        assert sum(client.sent[topic, other] for other in client.led - {home}) == 2 - expected
    for _ in range(2):
        await _send_keyed(producer, "source")
    assert client.sent["source", home] == 2


async def test_a_record_leaves_the_partition_that_it_prefers_if_that_fails(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A record is sent to the partition that it prefers, and to another one once that has refused a
    batch or has no leader.
    """
    producer, client = KafkaProducer(KafkaSettings(), FakeClock()), FakeClient()
    monkeypatch.setattr(producer, "_producer", client)
    topic = KafkaSettings().own_topics.dead_letter
    for partition in range(_PARTITIONS):
        assert await _send_keyed(producer, topic, partition) == 0
    assert client.sent == {(topic, partition): 1 for partition in range(_PARTITIONS)}
    client.sent.clear()
    client.refusing.add(0)
    client.led.discard(1)
    assert await _send_keyed(producer, topic, 0) == 1
    assert client.sent == {(topic, 0): 1}
    client.sent.clear()
    for partition in (0, 1):
        assert await _send_keyed(producer, topic, partition) == 0
    assert set(client.sent) <= {(topic, 2), (topic, 3)}


def test_a_batch_has_only_as_many_records_as_its_topic_takes() -> None:
    """A batch has only as many records as its topic takes, and the records keep their order."""
    messages = [_message() for _ in range(5)]
    packed = list(_pack(messages, 3, 0))
    assert [message for _, batch in packed for message in batch] == messages
    assert [len(batch) for _, batch in packed] == [3, 2]
    assert [builder.record_count() for builder, _ in packed] == [3, 2]


def test_an_oversized_record_is_a_batch_of_its_own() -> None:
    """A record that is larger than a batch is alone in one, and the records keep their order."""
    messages = [_message(b"small"), _message(b"v" * 1_000_000), _message(b"small")]
    packed = list(_pack(messages, 3, 0))
    assert [list(batch) for _, batch in packed] == [[message] for message in messages]
