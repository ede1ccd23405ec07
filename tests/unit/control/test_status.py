"""The record of a replica's status, and its writer."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import orjson
import pytest

from consumer.control import status_writer
from consumer.control.status import HookProblem, ReplicaStatus, read_status
from consumer.control.status_writer import StatusWriter
from consumer.errors import InvalidValue
from consumer.stream.outbox import Message, MessageT, Sent
from support.waiting import wait_until

STATUS = ReplicaStatus(
    replica="host-1",
    version="1.0",
    started_at="2026-01-01T00:00:00.000Z",
    at="2026-01-01T00:00:05.000Z",
    hooks=3,
    hooks_offset=7,
    problem_count=1,
    problems=[HookProblem("a", "is bad (correct it)", 2)],
    partitions={"event": [0, 1]},
    lag={"event": 5},
    in_flight=2,
    open_circuits=["b"],
    learned_rates={"c": 12.5},
    disabled_hooks=["d"],
)


class RecordingProducer:
    """A producer that acknowledges at once, fails or hangs."""

    def __init__(self) -> None:
        self.sent: list[Message] = []
        self.error: Exception | None = None
        self.hangs = False
        self.resets = 0

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """See `Producer.send`."""
        if self.error is not None:
            raise self.error
        answer: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        if not self.hangs:
            answer.set_result(None)
        assert all(message.topic == topic for message in messages)
        self.sent += messages
        return [(messages, answer)]

    async def reset(self) -> None:
        """See `Producer.reset`."""
        self.resets += 1


def test_a_status_without_disabled_hooks_is_read() -> None:
    """A status of an earlier version, which does not name disabled hooks, is read without any."""
    key, value, _ = STATUS.write()
    fields = orjson.loads(value or b"")
    del fields["disabled_hooks"]
    assert read_status(key, orjson.dumps(fields)) == replace(STATUS, disabled_hooks=[])


def test_a_status_is_read_as_it_was_written() -> None:
    """A status comes back whole; the record of a replica that has stopped is none."""
    key, value, headers = STATUS.write()
    assert (key, headers) == (b"host-1", [])
    assert read_status(key, value) == STATUS
    assert read_status(key, None) is None


@pytest.mark.parametrize(
    "value",
    [
        b"no json",
        b"[]",
        b"{}",
        orjson.dumps({**orjson.loads(STATUS.write()[1] or b""), "format": 2}),
        orjson.dumps({**orjson.loads(STATUS.write()[1] or b""), "replica": "other"}),
        orjson.dumps({**orjson.loads(STATUS.write()[1] or b""), "problems": 1}),
    ],
)
def test_what_is_no_status_is_refused(value: bytes) -> None:
    """A record that this version does not understand raises an error with a hint."""
    with pytest.raises(InvalidValue, match="no status"):
        read_status(b"host-1", value)


async def test_a_status_is_written_again_and_again(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each record has the present status, and an orderly stop deletes it."""
    monkeypatch.setattr(status_writer, "STATUS_SECONDS", 0.01)
    producer, now = RecordingProducer(), iter(range(1_000))
    writer = StatusWriter(producer, "status", lambda: replace(STATUS, in_flight=next(now)))
    task = asyncio.create_task(writer.run())
    await wait_until(lambda: len(producer.sent) >= 3, "three records")
    task.cancel()
    await asyncio.wait({task})
    await writer.close()
    *written, gone = [(message.key, message.value) for message in producer.sent]
    read = [read_status(key, value) for key, value in written]
    assert [status.in_flight for status in read[:3] if status is not None] == [0, 1, 2]
    assert gone == (b"host-1", None)


@pytest.mark.parametrize("fault", ["raises", "hangs"])
async def test_a_status_that_cannot_be_written_ends_nothing(
    fault: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """While the broker takes no status the writer goes on, with one line in the log, and the stop
    does not wait for it.
    """
    monkeypatch.setattr(status_writer, "STATUS_SECONDS", 0.01)
    monkeypatch.setattr(status_writer, "_WRITE_TIMEOUT_SECONDS", 0.01)
    producer = RecordingProducer()
    producer.error = ValueError("refused") if fault == "raises" else None
    producer.hangs = fault == "hangs"
    writer = StatusWriter(producer, "status", lambda: STATUS)
    task = asyncio.create_task(writer.run())
    await wait_until(lambda: producer.resets >= 3, "three failures")
    said = [record for record in caplog.records if "cannot be written" in record.message]
    assert len(said) == 1
    producer.error, producer.hangs = None, False
    before = len(producer.sent)
    await wait_until(lambda: len(producer.sent) > before + 1, "records again")
    task.cancel()
    await asyncio.wait({task})
    await writer.close()
    assert producer.sent[-1].value is None


async def test_a_writer_that_wrote_nothing_deletes_nothing() -> None:
    """A stop before the first status writes no record."""
    producer = RecordingProducer()
    await StatusWriter(producer, "status", lambda: STATUS).close()
    assert producer.sent == []
