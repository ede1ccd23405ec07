"""A table of one topic that is brought up to date for each look at it.

So two processes behind a balancer answer alike: what one has written, the other one reads.
"""

import asyncio
from collections.abc import Awaitable, Coroutine
from contextlib import suppress
from typing import Final, Generic, Protocol, TypeVar

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader

ANSWER_SECONDS: Final = 8.0
"""Time in which a table is up to date, or the caller is told that it is not; a first read of very
many records goes on meanwhile."""


class UnavailableError(HookstreamError):
    """Kafka does not answer now, or what it has is not read yet: another try may help."""


class BusyError(UnavailableError):
    """As many of such requests are under way as may be at a time."""


class Table(Protocol):
    """What the records of a topic say together."""

    def take(self, record: Record) -> object:
        """Take the next record."""
        ...

    def clear(self) -> None:
        """Forget everything: the topic is read from its beginning."""
        ...


TableT = TypeVar("TableT", bound=Table)


ResultT = TypeVar("ResultT")


async def in_time(work: Awaitable[ResultT], topic: str, seconds: float = ANSWER_SECONDS) -> ResultT:
    """The result of a read of a topic.

    Raises:
        UnavailableError: it took longer than `seconds`.
    """
    try:
        async with asyncio.timeout(seconds):
            return await work
    except TimeoutError:
        raise UnavailableError(
            f"Kafka has not answered within {seconds:.0f} s about the topic {topic}: "
            "look at the brokers, and try again"
        ) from None


class TopicView(Generic[TableT]):
    """A topic's table. It connects when it is first read, and again after a failure."""

    def __init__(self, settings: KafkaSettings, topic: str, table: TableT, clock: Clock) -> None:
        self.table = table
        """As of the last read."""
        self._topic = topic
        self._reader = TableReader(settings, topic, table.take, table.clear, clock)
        self._is_open = False
        self._current: asyncio.Task[None] | None = None
        """The read that is under way."""
        self._next: asyncio.Task[None] | None = None
        """The one after it, which sees everything that was committed before now."""

    async def read(self, seconds: float = ANSWER_SECONDS) -> TableT:
        """The table with everything that was committed before this call; later calls change it.

        Raises:
            UnavailableError: it could not be read within `seconds`.
            HookstreamError: it cannot be read, and the message says why.
        """
        await in_time(asyncio.shield(self._read_from_now()), self._topic, seconds)
        return self.table

    async def close(self) -> None:
        """Stop reading and disconnect."""
        for task in (self._next, self._current):
            if task is not None:
                task.cancel()
                with suppress(asyncio.CancelledError, HookstreamError):
                    await task
        await self._reader.close()

    def _read_from_now(self) -> "asyncio.Task[None]":
        """A read that has not begun before now. At most one waits behind the present one."""
        if self._next is not None:
            return self._next  # it may be about to begin, the one before it having ended
        if self._current is None or self._current.done():
            self._current = _begin(self._update())
            return self._current
        self._next = _begin(self._update_after(self._current))
        return self._next

    async def _update_after(self, current: "asyncio.Task[None]") -> None:
        await asyncio.wait([current])
        self._current, self._next = self._next, None
        await self._update()

    async def _update(self) -> None:
        try:
            if not self._is_open:
                self.table.clear()
                await self._reader.open()
                self._is_open = True
            await self._reader.read_to_end()
        except BaseException:
            self._is_open = False
            await self._reader.close()
            raise


def _begin(work: Coroutine[None, None, None]) -> "asyncio.Task[None]":
    task = asyncio.get_running_loop().create_task(work)
    task.add_done_callback(_look_at)
    return task


def _look_at(task: "asyncio.Task[None]") -> None:
    """Take a failed read's error: all who waited for it may have given up."""
    if not task.cancelled():
        task.exception()
