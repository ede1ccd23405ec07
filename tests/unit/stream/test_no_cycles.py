"""Failures leave no reference cycle: memory does not depend on the garbage collector."""

import asyncio
import gc
from collections.abc import Iterator
from contextlib import suppress
from itertools import count
from typing import Any
from weakref import ref

import pytest
from aiokafka.cluster import ClusterMetadata
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder, MessageAccumulator
from aiokafka.structs import TopicPartition
from prometheus_client import CollectorRegistry

from consumer.metrics import Metrics
from consumer.records.header_sink import HeaderSink
from consumer.stream.connections import FAILURES, connect
from consumer.stream.outbox import Outbox, PublishedRecord
from consumer.stream.producer import _give_up, _PendingBatches
from consumer.stream.race import AllFailedError
from support.broker import free_port
from support.waiting import wait_until

TOPIC = "hookstream.retry.10s"
TP = TopicPartition(TOPIC, 0)


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


class _Record:
    topic = TOPIC
    key = b"k"
    value = b"v"
    wanted = True
    spread = False
    partition = None
    is_ordered = False

    def write_headers(self, sink: HeaderSink) -> None:
        """See `Message.write_headers`."""

    def acknowledged(self) -> None:
        """See `PublishedRecord.acknowledged`."""

    def smaller(self) -> None:
        """See `PublishedRecord.smaller`."""


class _AwayAtFirst:
    """A producer whose broker is back at the second try."""

    def __init__(self, *, answers: bool) -> None:
        self._tries = count()
        self._answers = answers

    async def send(self, topic: str, messages: Any) -> Any:
        """See `Producer.send`."""
        answer = asyncio.get_running_loop().create_future()
        if next(self._tries):
            answer.set_result(None)
        elif self._answers:
            answer.set_exception(KafkaConnectionError(topic))
        else:
            raise KafkaConnectionError(topic)
        return [(messages, answer)]

    async def reset(self) -> None:
        """See `Producer.reset`."""


@pytest.mark.parametrize("answers", [False, True])
async def test_records_whose_publishing_failed_are_freed_when_it_works(*, answers: bool) -> None:
    """Records that could not be published are freed once they are, traceback of the error
    included.
    """
    outbox = Outbox(
        _AwayAtFirst(answers=answers),
        Metrics("0", CollectorRegistry()).stream,
        backoff=0.0,
        linger=0.0,
    )
    dead_letter: PublishedRecord = _Record()
    alive = ref(dead_letter)
    outbox.send(dead_letter)
    del dead_letter
    sending = asyncio.create_task(outbox.run())
    await wait_until(lambda: alive() is None, "the record to be freed")
    sending.cancel()
    await asyncio.wait({sending})


async def test_a_refused_connection_leaves_nothing() -> None:
    """A refused connection leaves nothing in memory."""
    port = free_port()
    for _ in range(3):
        with suppress(*FAILURES):
            await connect("127.0.0.1", port)
    await asyncio.sleep(0)
    assert not [item for item in gc.get_objects() if isinstance(item, AllFailedError)]


async def test_batches_that_were_given_up_are_freed_and_cause_no_error() -> None:
    """Batches that were given up are freed and cause no error: one never sent, one under way, one
    queued again after a failure, and one with a cancelled wait.
    """
    loop = asyncio.get_running_loop()
    problems: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _loop, problem: problems.append(problem))
    accumulator = MessageAccumulator(ClusterMetadata(), 1_000, 0, 30.0)
    accumulator._pending_batches = _PendingBatches()
    for _ in range(4):
        accumulator._append_batch(_filled(), TP)
    accumulator._pop_batch(TP)
    accumulator.reenqueue(accumulator._pop_batch(TP))
    accumulator._batches[TP][-1].future.cancel()
    batches = [*accumulator._pending_batches, *accumulator._batches[TP]]
    alive = [ref(batch) for batch in batches]
    assert len(alive) == 4
    del batches
    _give_up(accumulator)
    with pytest.raises(KafkaError):
        raise accumulator._exception
    del accumulator
    await wait_until(lambda: not any(found() for found in alive), "the batches to be freed")
    assert problems == []


def _filled() -> BatchBuilder:
    builder = BatchBuilder(1_000, 0)
    builder.append(timestamp=None, key=None, value=b"v", headers=[])
    builder.close()
    return builder
