"""The producer's turns among the partitions, and its end."""

import asyncio
import logging
from collections import Counter
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.producer.message_accumulator import BatchBuilder

from consumer.events.decode import Headers
from consumer.settings import KafkaSettings
from consumer.stream.client import KafkaProducer, _pack
from consumer.stream.record_batches import RecordBatches
from consumer.stream.record_fields import RawHeaderName

_PARTITIONS = 4


class FakeClient:
    """An `AIOKafkaProducer` that notes where batches go."""

    def __init__(self) -> None:
        self.sent: Counter[tuple[str, int]] = Counter()
        self.client = SimpleNamespace(
            cluster=SimpleNamespace(available_partitions_for_topic=lambda _: range(_PARTITIONS)),
            close=self.close,
        )

    async def close(self) -> None:
        """A wait in there is cancelled by nobody."""
        raise asyncio.CancelledError

    async def partitions_for(self, _topic: str) -> set[int]:
        """Every topic has as many."""
        return set(range(_PARTITIONS))

    def create_batch(self) -> Any:
        """One that takes everything."""
        return SimpleNamespace(append=lambda **_: True, size=lambda: 1, close=lambda: None)

    async def send_batch(self, _batch: Any, topic: str, *, partition: int) -> asyncio.Future[None]:
        """Acknowledged at once."""
        self.sent[topic, partition] += 1
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        answer.set_result(None)
        return answer


async def test_a_producer_that_cannot_be_closed_is_left(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Else the hand-over, whose task it is, would end without a word."""
    producer = KafkaProducer(KafkaSettings())
    monkeypatch.setattr(producer, "_producer", FakeClient())
    caplog.set_level(logging.DEBUG)
    await producer.renew()
    assert "not closed cleanly" in caplog.text


async def test_topics_in_turn_use_all_their_partitions(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the replicas that have the others would have nothing of a lane."""
    producer, client = KafkaProducer(KafkaSettings()), FakeClient()
    monkeypatch.setattr(producer, "_producer", client)
    message = SimpleNamespace(key=None, value=b"v", headers=[])
    for _ in range(_PARTITIONS):
        for topic in ("a", "b"):
            for _, answer in await producer.send(topic, [message]):
                await answer
    assert client.sent == {(t, p): 1 for t in ("a", "b") for p in range(_PARTITIONS)}


@dataclass
class Message:
    """One to be written."""

    value: bytes
    headers: Headers
    key: bytes | None = None
    topic: str = "retry"
    spread: bool = False


def test_a_header_name_that_is_not_utf_8_is_written_as_it_was_read() -> None:
    """The records beside one whose header name is not UTF-8 are packed with it, in their order."""
    producer = SimpleNamespace(create_batch=lambda: BatchBuilder(64 * 1024, 0))
    odd = [("x", b"1"), (RawHeaderName(b"\xff\xfe"), b"2")]
    messages = [Message(b"%d" % n, odd if n in {0, 3} else odd[:1]) for n in range(5)]
    packed = list(_pack(producer, messages, 3))
    assert [message for _, batch in packed for message in batch] == messages
    for builder, batch in packed:
        builder._set_producer_state(7, 0, 1)
        [parsed] = [list(RecordBatches(bytes(builder._build()), 0).next_batch())]
        assert [record.value for record in parsed] == [message.value for message in batch]
        names = [[name.encode() for name, _ in record.headers] for record in parsed]
        assert names == [[name.encode() for name, _ in message.headers] for message in batch]
    assert [len(batch) for _, batch in packed] == [3, 2]
