"""Publishes records to the retry and dead-letter topics, and settles them when acknowledged."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import chain, starmap
from typing import Protocol, TypeVar

from consumer.logs import get_logger
from consumer.metrics import StreamMetrics
from consumer.records.header_sink import HeaderSink
from consumer.stream.publish_errors import NoLeaderError, TooLargeError
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_ROUND_RECORDS = 1_000
"""Most records of one round; the next round begins when all of it are answered."""
_MAX_RECORDS = 2 * _ROUND_RECORDS
"""Records under way or queued at which intake pauses: one round is sent while the next one fills. A
record takes some 5 KB besides its value."""
_MAX_BYTES = 8 * 1024 * 1024
"""Bytes of their keys and values at which intake pauses."""
_LINGER_SECONDS = 0.1
"""Wait for more records after the first: to the broker, a round of one record is as much work as
one of a hundred. Every retry delay is longer."""
_SEND_TIMEOUT_SECONDS = 20.0
"""A time-out leaves open whether the broker has the record, so it is sent again (at-least-once)."""
_BACKOFF_SECONDS = 1.0
"""Wait after a round that failed."""
CAPACITY_POLL_SECONDS = 0.1
"""Seconds between two checks whether records may be written."""


class Message(Protocol):
    """A record to write."""

    @property
    def topic(self) -> str:
        """The topic to write to."""
        ...

    @property
    def key(self) -> bytes | None:
        """The consumed record's key."""
        ...

    @property
    def spread(self) -> bool:
        """Whether any partition will do, as without a key."""
        ...

    @property
    def partition(self) -> int | None:
        """The partition to write to if it accepts records now; None: `key` and `spread` decide."""
        ...

    @property
    def is_ordered(self) -> bool:
        """Whether no other partition will do, and none behind it may be written before it."""
        ...

    @property
    def value(self) -> bytes | None:
        """The consumed record's value."""
        ...

    def write_headers(self, sink: HeaderSink) -> None:
        """Write all headers."""
        ...


class PublishedRecord(Message, Protocol):
    """A record that the outbox publishes until it is acknowledged."""

    @property
    def wanted(self) -> bool:
        """False once its partition was revoked: then the next owner publishes it."""
        ...

    def acknowledged(self) -> None:
        """Called when the broker has acknowledged it."""
        ...

    def smaller(self) -> "PublishedRecord | None":
        """The record to send in its place if the broker refuses its size; None if there is none,
        and it is sent again.
        """
        ...


MessageT = TypeVar("MessageT", bound=Message)


Sent = list[tuple[Sequence[MessageT], "asyncio.Future[None]"]]
"""Batches, each with its acknowledgement."""


class Producer(Protocol):
    """Writes records; waits for all in-sync replicas."""

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """Send `messages` in batches; each future is done when the broker acknowledged its batch.

        It fails with `TooLargeError` for a batch of one, which no repetition can help, and with
        `BatchTooLargeError` if smaller batches may; with `NoLeaderError` at once if its records
        must wait for the leader of their partition. Cancelling it drops only what is still unsent.
        """
        ...

    async def reset(self) -> None:
        """Close; the next `send` starts over. After an error, an idempotent producer's sequence
        numbers may no longer be the broker's.
        """
        ...


def by_topic(messages: Iterable[MessageT]) -> dict[str, list[MessageT]]:
    """The messages of each topic, in their order."""
    topics: defaultdict[str, list[MessageT]] = defaultdict(list)
    for message in messages:
        topics[message.topic].append(message)
    return topics


class Outbox:
    """A bounded queue in memory in front of the producer: at-least-once.

    Records that fail stay in the queue and are sent again, for ever: their events stay unsettled,
    so nothing is lost if the process ends. Backpressure: intake pauses while `at_capacity`.
    """

    def __init__(
        self,
        producer: Producer,
        metrics: StreamMetrics,
        *,
        bound: int = _MAX_RECORDS,
        bound_bytes: int = _MAX_BYTES,
        send_timeout: float = _SEND_TIMEOUT_SECONDS,
        backoff: float = _BACKOFF_SECONDS,
        linger: float = _LINGER_SECONDS,
    ) -> None:
        self._producer = producer
        self._metrics = metrics
        self._bound = bound
        self._bound_bytes = bound_bytes
        self._send_timeout = send_timeout
        self._backoff = backoff
        self._linger = linger
        self._queue: deque[PublishedRecord] = deque()
        self._unfinished = 0
        self._unfinished_bytes = 0
        """Both count the records that are queued or under way."""
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._out_of_sequence = False
        self.failing = False
        """Whether a record of the last round was not acknowledged, other than one that waits for
        the leader of its own partition: that one holds up no other.
        """
        self.allowed: Callable[[], bool] = lambda: True
        """Whether records may be written now."""

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause: publishing fails, or is slower than intake."""
        return (
            self.failing
            or self._unfinished >= self._bound
            or self._unfinished_bytes >= self._bound_bytes
        )

    def send(self, record: PublishedRecord) -> None:
        """Queue one record; `record.acknowledged` is called when the broker has it."""
        self._queue.append(record)
        self._unfinished += 1
        self._unfinished_bytes += _size(record)
        queued = len(self._queue)
        if queued == 1:
            self._arrived.set()
        elif queued == _ROUND_RECORDS:
            self._enough.set()

    async def run(self) -> None:
        """Send what is queued, round by round, until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._linger):
                        await self._enough.wait()
                await self._round()
        finally:
            await self._producer.reset()

    async def _round(self) -> None:
        if not self.allowed():
            await asyncio.sleep(CAPACITY_POLL_SECONDS)
            return
        records = [self._queue.popleft() for _ in range(min(_ROUND_RECORDS, len(self._queue)))]
        size = sum(map(_size, records))
        try:
            failed = await self._send(records)
        except asyncio.CancelledError:
            self._queue.extendleft(reversed(records))
            raise
        lost = [record for record, _ in failed]
        self._queue.extendleft(reversed(lost))
        self._unfinished -= len(records) - len(lost)
        self._unfinished_bytes -= size - sum(map(_size, lost))
        if not self._queue:
            self._arrived.clear()
        if len(self._queue) < _ROUND_RECORDS:
            self._enough.clear()
        errors = sorted({error for _, error in failed} - {NoLeaderError.__name__})
        if bool(errors) != self.failing:
            self.failing = bool(errors)
            (log.error if errors else log.info)(
                "publishing fails; intake pauses" if errors else "publishing works again",
                topics=sorted({record.topic for record in lost or records}),
                errors=errors,
            )
        if failed:
            await asyncio.sleep(self._backoff)
        if errors or self._out_of_sequence:
            self._out_of_sequence = False
            await self._producer.reset()

    async def _send(
        self, records: Collection[PublishedRecord]
    ) -> list[tuple[PublishedRecord, str]]:
        """Send and wait for all answers; returns the unacknowledged records with their errors."""
        topics = by_topic(record for record in records if record.wanted)
        failed = await asyncio.gather(*starmap(self._send_to_one, topics.items()))
        return list(chain.from_iterable(failed))

    async def _send_to_one(
        self, topic: str, records: Sequence[PublishedRecord]
    ) -> list[tuple[PublishedRecord, str]]:
        """Send to one topic: if it is missing, the others are not held up."""
        batches: Sent[PublishedRecord] = []
        error: Exception = TimeoutError("not acknowledged in time")
        try:
            async with timeout(self._send_timeout):
                batches = await self._producer.send(topic, records)
                await asyncio.wait([answer for _, answer in batches])
        except Exception as reason:  # noqa: BLE001  # any error: records without an answer are kept
            error = reason
        finally:
            for _, answer in batches:
                answer.cancel()  # no effect if done
        try:
            if not batches:
                return self._failed(topic, records, error)
            failed = []
            for batch, answer in batches:
                known = answer.done() and not answer.cancelled()
                failed += self._conclude(topic, batch, answer.exception() if known else error)
            return failed
        finally:
            del error  # its traceback refers to this frame, and so to the records

    def _conclude(
        self, topic: str, records: Sequence[PublishedRecord], result: BaseException | None
    ) -> list[tuple[PublishedRecord, str]]:
        """Act on one batch's result; returns the records to send again, each with its error."""
        if result is None:
            for record in records:
                record.acknowledged()
        elif isinstance(result, TooLargeError):
            self._out_of_sequence = True  # the broker did not count it, the producer did
            kept = []
            for record in records:
                smaller = record.smaller()
                if smaller is None:
                    kept.append(record)
                else:
                    self.send(smaller)
            return self._failed(topic, kept, result)
        else:
            return self._failed(topic, records, result)
        return []

    def _failed(
        self, topic: str, records: Sequence[PublishedRecord], error: BaseException
    ) -> list[tuple[PublishedRecord, str]]:
        for _ in records:
            self._metrics.publish_failed(topic)
        log.debug("not acknowledged", topic=topic, records=len(records), error=repr(error))
        return [(record, type(error).__name__) for record in records]


def _size(record: PublishedRecord) -> int:
    return len(record.key or b"") + len(record.value or b"")
