"""Hands records over to the retry and dead-letter topics, and tells when the broker has them."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from itertools import chain, starmap
from typing import Protocol, TypeVar

from consumer.logs import get_logger
from consumer.metrics import StreamMetrics
from consumer.records.record import Headers
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_ROUND = 1_000
"""Records, at most, that are sent before the next ones are."""
_BOUND = 2 * _ROUND
"""Records that are sent or queued before intake pauses: while one round is under way, the next one
is gathered. A record takes some 5 KB besides its value."""
_BOUND_BYTES = 8 * 1024 * 1024
"""The same, for their keys and values together."""
_LINGER = 0.1
"""Seconds in which others may come along with the first: to the broker, a round of one record is as
much work as one of a hundred. The shortest lane waits for longer."""
_SEND_TIMEOUT = 20.0
"""Seconds; afterwards nobody knows whether the broker has it, so it is sent again."""
_BACKOFF = 1.0
"""Seconds between two rounds that failed."""
CAPACITY_POLL_SECONDS = 0.1
"""Seconds between two looks whether records may be written."""


class Message(Protocol):
    """One record to be written."""

    @property
    def topic(self) -> str:
        """Where to."""
        ...

    @property
    def key(self) -> bytes | None:
        """As the record had it that was consumed."""
        ...

    @property
    def spread(self) -> bool:
        """Whether it goes to any partition, as if it had no key."""
        ...

    @property
    def value(self) -> bytes | None:
        """As the record had it that was consumed."""
        ...

    @property
    def headers(self) -> Headers:
        """Asked for once in each sending."""
        ...


class PublishedRecord(Message, Protocol):
    """One record to be handed over."""

    @property
    def wanted(self) -> bool:
        """False once its partition was revoked: then the next owner hands it over."""
        ...

    def acknowledged(self) -> None:
        """Told when the broker has it."""
        ...

    def smaller(self) -> "PublishedRecord | None":
        """The record to send in its place if the broker refuses its size; None if there is none,
        and it is sent again.
        """
        ...


MessageT = TypeVar("MessageT", bound=Message)


class TooLargeError(Exception):
    """The record is larger than the topic allows."""


class BatchTooLargeError(Exception):
    """The batch is larger than the topic allows; the next ones for it will be smaller."""


Sent = list[tuple[Sequence[MessageT], "asyncio.Future[None]"]]
"""Batches, each with its answer."""


class Producer(Protocol):
    """Writes records; waits for all in-sync replicas."""

    async def send(self, topic: str, messages: Sequence[MessageT]) -> Sent[MessageT]:
        """Put into batches, each with its answer, which is done when the broker acknowledged it.

        The answer is `TooLargeError` where no repetition can help, of a batch of one, and
        `BatchTooLargeError` where one can. Cancelling it takes back only what was not sent yet.
        """
        ...

    async def reset(self) -> None:
        """Close; the next `send` starts over. After an error an idempotent producer may have
        lost its place in the sequence of its batches.
        """
        ...


def by_topic(messages: Iterable[MessageT]) -> dict[str, list[MessageT]]:
    """They in their order, for each topic."""
    topics: defaultdict[str, list[MessageT]] = defaultdict(list)
    for message in messages:
        topics[message.topic].append(message)
    return topics


class Outbox:
    """A queue in memory in front of the producer; nothing counts until it is acknowledged.

    What fails stays in the queue and is sent again, for ever: its events stay unsettled, so
    nothing is lost if the process ends. Intake pauses while `full`.
    """

    def __init__(
        self,
        producer: Producer,
        metrics: StreamMetrics,
        *,
        bound: int = _BOUND,
        bound_bytes: int = _BOUND_BYTES,
        send_timeout: float = _SEND_TIMEOUT,
        backoff: float = _BACKOFF,
        linger: float = _LINGER,
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
        """Of the records that are queued or under way."""
        self._arrived = asyncio.Event()
        self._enough = asyncio.Event()
        self._out_of_sequence = False
        self.failing = False
        """Whether the last round was not acknowledged."""
        self.allowed: Callable[[], bool] = lambda: True
        """Whether records may be written at all now."""

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause: the broker takes less than comes, or nothing at all."""
        return (
            self.failing
            or self._unfinished >= self._bound
            or self._unfinished_bytes >= self._bound_bytes
        )

    def send(self, record: PublishedRecord) -> None:
        """Queue one record; `letter.acknowledged` is called when the broker has it."""
        self._queue.append(record)
        self._unfinished += 1
        self._unfinished_bytes += _size(record)
        self._arrived.set()
        if len(self._queue) >= _ROUND:
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
        records = [self._queue.popleft() for _ in range(min(_ROUND, len(self._queue)))]
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
        if len(self._queue) < _ROUND:
            self._enough.clear()
        if bool(failed) != self.failing:
            self.failing = bool(failed)
            (log.error if failed else log.info)(
                "hand-over fails; intake pauses" if failed else "hand-over works again",
                topics=sorted({record.topic for record in lost or records}),
                errors=sorted({error for _, error in failed}),
            )
        if failed:
            await asyncio.sleep(self._backoff)
        if failed or self._out_of_sequence:
            self._out_of_sequence = False
            await self._producer.reset()

    async def _send(
        self, records: Collection[PublishedRecord]
    ) -> list[tuple[PublishedRecord, str]]:
        """Send them and wait for all answers; gives back what was not acknowledged, and why."""
        topics = by_topic(record for record in records if record.wanted)
        failed = await asyncio.gather(*starmap(self._send_to_one, topics.items()))
        return list(chain.from_iterable(failed))

    async def _send_to_one(
        self, topic: str, records: Sequence[PublishedRecord]
    ) -> list[tuple[PublishedRecord, str]]:
        """The same for one topic: one that is missing must not hold up the others."""
        batches: Sent[PublishedRecord] = []
        error: Exception = TimeoutError("not acknowledged in time")
        try:
            async with timeout(self._send_timeout):
                batches = await self._producer.send(topic, records)
                await asyncio.wait([answer for _, answer in batches])
        except Exception as reason:  # noqa: BLE001  # whatever it is, what has no answer is kept
            error = reason
        finally:
            for _, answer in batches:
                answer.cancel()  # where it is not done
        try:
            if not batches:
                return self._failed(topic, records, error)
            failed = []
            for batch, answer in batches:
                known = answer.done() and not answer.cancelled()
                failed += self._conclude(topic, batch, answer.exception() if known else error)
            return failed
        finally:
            del error  # its traceback has this frame, and that the letters

    def _conclude(
        self, topic: str, records: Sequence[PublishedRecord], result: BaseException | None
    ) -> list[tuple[PublishedRecord, str]]:
        """Tell what became of one batch; gives back what is to be sent again."""
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
