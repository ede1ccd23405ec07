"""Writes the status of this replica. Nothing waits for it: it is for people only."""

import asyncio
from collections.abc import Callable

from consumer.control.records import Written
from consumer.control.status import STATUS_SECONDS, ReplicaStatus
from consumer.logs import get_logger
from consumer.records.header_sink import HeaderSink
from consumer.stream.outbox import Producer
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_WRITE_TIMEOUT_SECONDS = 4.0
_FAREWELL_TIMEOUT_SECONDS = 1.0


class StatusRecord:
    """A record for the producer (`outbox.Message`)."""

    spread = False
    partition = None
    is_ordered = False

    def __init__(self, topic: str, written: Written) -> None:
        self.topic = topic
        self.key: bytes | None
        self.key, self.value, _ = written

    def write_headers(self, sink: HeaderSink) -> None:
        """A status has no headers."""


class StatusWriter:
    """Writes a replica's status every `STATUS_SECONDS`, and at an orderly stop that it is gone."""

    def __init__(self, producer: Producer, topic: str, read: Callable[[], ReplicaStatus]) -> None:
        """`read`: the status at this moment."""
        self._producer = producer
        self._topic = topic
        self._read = read
        self._replica = b""
        self._failing = False

    async def run(self) -> None:
        """Write until cancelled. A write that fails is given up: the next one is newer."""
        while True:
            try:
                await self._write(self._read().write(), _WRITE_TIMEOUT_SECONDS)
            except Exception as error:  # noqa: BLE001  # nothing that people watch may end a daemon
                await self._failed(error)
            else:
                self._failing = False
            await asyncio.sleep(STATUS_SECONDS)

    async def close(self) -> None:
        """Delete this replica's status, if there is one, and disconnect."""
        try:
            if self._replica and not self._failing:
                gone = (self._replica, None, list[tuple[str, bytes]]())
                await self._write(gone, _FAREWELL_TIMEOUT_SECONDS)
        except Exception as error:  # noqa: BLE001  # readers see that it is old
            log.debug("the status was not deleted", error=repr(error))
        await self._producer.reset()

    async def _write(self, written: Written, seconds: float) -> None:
        self._replica = written[0]
        async with timeout(seconds):
            sent = await self._producer.send(self._topic, [StatusRecord(self._topic, written)])
            for _, answer in sent:
                await answer

    async def _failed(self, error: Exception) -> None:
        if not self._failing:
            log.warning("the status of this replica cannot be written", error=repr(error))
        self._failing = True
        await self._producer.reset()
