"""Hands records over to the retry and dead-letter topics, and tells when the broker has them."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Callable, Collection, Iterable
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Protocol

from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.stream.passport import Headers

log = get_logger(__name__)

_BATCH = 500
_SLICE = 50
"""Records that go to the producer before the event loop has another turn: about a millisecond."""
_SEND_TIMEOUT = 20.0
"""Seconds; afterwards nobody knows whether the broker has it, so it is sent again."""
_BACKOFF = 1.0
"""Seconds between two rounds that failed."""


@dataclass(slots=True)
class Message:
    """One record to be written."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


@dataclass(slots=True)
class Letter(Message):
    """One record to be handed over."""

    wanted: Callable[[], bool]
    """False once its partition was revoked: then the next owner hands it over."""
    acknowledged: Callable[[], None]
    too_large: Callable[[], None]
    """Called instead where the broker will never take a record of this size."""


class TooLargeError(Exception):
    """The record is larger than the topic allows."""


class Producer(Protocol):
    """What a hand-over needs of a producer that waits for all in-sync replicas."""

    async def send(self, letter: Letter) -> "asyncio.Future[object]":
        """Put into the next batch; the answer is done when the broker acknowledged it.

        `TooLargeError`, raised or in the answer, where no repetition can help.
        """
        ...

    async def renew(self) -> None:
        """Close; the next `send` starts over. After an error an idempotent producer may have
        lost its place in the sequence of its batches.
        """
        ...


class Handover:
    """A queue in memory in front of the producer; nothing counts until it is acknowledged.

    What fails stays in the queue and is sent again, for ever: its events stay unsettled, so
    nothing is lost if the process ends. Intake pauses while `full`.
    """

    def __init__(
        self,
        producer: Producer,
        metrics: Metrics,
        *,
        bound: int = 5_000,
        send_timeout: float = _SEND_TIMEOUT,
        backoff: float = _BACKOFF,
    ) -> None:
        self._producer = producer
        self._metrics = metrics
        self._bound = bound
        self._send_timeout = send_timeout
        self._backoff = backoff
        self._queue: deque[Letter] = deque()
        self._arrived = asyncio.Event()
        self.failing = False
        """Whether the last round was not acknowledged."""

    @property
    def full(self) -> bool:
        """Whether intake must pause: the broker takes less than comes, or nothing at all."""
        return self.failing or len(self._queue) >= self._bound

    def send(self, letter: Letter) -> None:
        """Queue one record; `letter.acknowledged` is called when the broker has it."""
        self._queue.append(letter)
        self._arrived.set()

    async def run(self) -> None:
        """Send what is queued, batch by batch, until cancelled."""
        try:
            while True:
                await self._arrived.wait()
                await self._round()
        finally:
            await self._producer.renew()

    async def _round(self) -> None:
        batch = [self._queue.popleft() for _ in range(min(_BATCH, len(self._queue)))]
        try:
            failed = await self._send(batch)
        except asyncio.CancelledError:
            self._queue.extendleft(reversed(batch))
            raise
        lost = [letter for letter, _ in failed]
        self._queue.extendleft(reversed(lost))
        if not self._queue:
            self._arrived.clear()
        if bool(failed) != self.failing:
            self.failing = bool(failed)
            (log.error if failed else log.info)(
                "hand-over fails; intake pauses" if failed else "hand-over works again",
                topics=sorted({letter.topic for letter in lost or batch}),
                errors=sorted({error for _, error in failed}),
            )
        if failed:
            await asyncio.sleep(self._backoff)
            await self._producer.renew()

    async def _send(self, batch: Iterable[Letter]) -> list[tuple[Letter, str]]:
        """Send `batch` and wait for all answers; gives back what was not acknowledged, and why."""
        by_topic: defaultdict[str, list[Letter]] = defaultdict(list)
        for letter in batch:
            if letter.wanted():
                by_topic[letter.topic].append(letter)
        failed = await asyncio.gather(*map(self._send_to_one, by_topic.values()))
        return list(chain.from_iterable(failed))

    async def _send_to_one(self, letters: Collection[Letter]) -> list[tuple[Letter, str]]:
        """The same for one topic: one that is missing must not hold up the others."""
        answers: list[asyncio.Future[object]] = []
        error: Exception = TimeoutError("not acknowledged in time")
        try:
            async with asyncio.timeout(self._send_timeout):
                for letter in letters:
                    answers.append(await self._post(letter))
                    if len(answers) % _SLICE == 0:
                        await asyncio.sleep(0)
                await _all_done(answers)
        except Exception as reason:  # noqa: BLE001  # whatever it is, what has no answer is kept
            error = reason
        failed = []
        for letter, answer in zip_longest(letters, answers):
            result = answer.exception() if answer is not None and answer.done() else error
            if result is None:
                letter.acknowledged()
            elif isinstance(result, TooLargeError):
                letter.too_large()
            else:
                failed.append((letter, type(result).__name__))
                self._metrics.handover_failed(letter.topic)
                log.debug("not acknowledged", topic=letter.topic, error=repr(result))
        return failed

    async def _post(self, letter: Letter) -> "asyncio.Future[object]":
        try:
            return await self._producer.send(letter)
        except TooLargeError as error:
            refused: asyncio.Future[object] = asyncio.get_running_loop().create_future()
            refused.set_exception(error)
            return refused


async def _all_done(answers: Collection["asyncio.Future[object]"]) -> None:
    """Without a word on what they are."""
    if answers:
        await asyncio.wait(answers)
