"""Reads the live definitions, and puts each change in force."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from functools import partial
from typing import TypeVar

from consumer.background import briefly, in_thread
from consumer.clock import Clock
from consumer.definitions.in_force import DefinitionsInForce
from consumer.matching.store import Prepared
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader

BATCH_RECORDS = 1_000
"""Records that are put in force at once: the loop goes on between two batches."""
_LONG_BATCH_RECORDS = 50
"""From so many on, the garbage collector is kept from the new definitions."""
_QUICK_BYTES = 4_096
"""Size of records that are compiled at once; that of one is some 700."""
_END_POLL_SECONDS = 0.2
"""Between two questions whether a topic that was made anew was read to its end."""


ResultT = TypeVar("ResultT")


class LiveUpdates:
    """The reader of the definitions' topic, and the task that puts its records in force.

    What may take long is done in a thread, so neither many definitions nor a large one nor a secret
    on a slow disk hold up a delivery.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        definitions: DefinitionsInForce,
        changed: Callable[[Prepared], None],
        finish: Callable[[Prepared], None],
        clock: Clock,
    ) -> None:
        """Both are called with what came into force: `changed` on the loop, then `finish` in a
        thread.
        """
        self._definitions = definitions
        self._changed = changed
        self._finish = finish
        self._reader = TableReader(
            settings, settings.own_topics.hooks, self._take, self._begin_anew, clock
        )
        self._newest: dict[bytes | None, Record] = {}
        """By key, the newest records of the first read."""
        self._pending: deque[Record | None] = deque()
        """Records that are not in force yet; None: those behind it are of a topic made anew."""
        self._arrived = asyncio.Event()
        self._is_first_read = True
        self.is_loaded = False
        """Whether everything that the topic said at the start is in force."""

    async def load(self) -> None:
        """Read the topic to its end, and put in force what it says. Raises `HookstreamError`."""
        await self._reader.open()
        await self._reader.read_to_end()
        self._is_first_read = False
        records, self._newest = list(self._newest.values()), {}
        prepared = await in_thread(partial(self._load, records))
        self._changed(prepared)
        self.is_loaded = True
        await in_thread(partial(self._finish, prepared))

    async def run(self) -> None:
        """Put changes in force as they come, until cancelled; only after `load`."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._reader.follow())
            group.create_task(self._apply())

    async def close(self) -> None:
        """Close the reader's connections."""
        await self._reader.close()

    def _load(self, records: Sequence[Record]) -> Prepared:
        """Put the first records in force; nothing else looks at the definitions meanwhile."""
        ids = self._definitions.take(self._definitions.compile(records))
        return self._definitions.apply(self._definitions.prepare(ids), ids)

    def _take(self, record: Record) -> None:
        if not self._is_first_read:
            self._pending.append(record)
            self._arrived.set()
        else:
            self._newest.pop(record.key, None)  # the newest record comes last
            self._newest[record.key] = record

    def _begin_anew(self) -> None:
        if not self._is_first_read:
            self._pending.append(None)
            self._arrived.set()
        else:
            self._newest.clear()

    async def _apply(self) -> None:
        while True:
            await self._arrived.wait()
            self._arrived.clear()
            while self._pending:
                if self._pending[0] is None:
                    self._pending.popleft()
                    await self._read_anew()
                else:
                    await self._apply_batch(self._next_batch())

    async def _apply_batch(self, records: Sequence[Record]) -> None:
        definitions = self._definitions
        run = in_thread if len(records) >= _LONG_BATCH_RECORDS else _in_short_thread
        if _is_quick(records):
            run = _here
        done = await run(partial(definitions.compile, records))
        while not definitions.is_current(done):
            done = await run(partial(definitions.compile, records))
        ids = definitions.take(done)
        prepared = await run(partial(definitions.prepare, ids))
        prepared = definitions.apply(prepared, ids)
        self._changed(prepared)
        await run(partial(self._finish, prepared))

    async def _read_anew(self) -> None:
        """Put a topic that was made anew in force, and tell which hooks it no longer has."""
        self._definitions.live.begin_anew()
        while not self._reader.is_at_end or self._has_batch():
            if self._has_batch():
                await self._apply_batch(self._next_batch())
            else:
                await asyncio.sleep(_END_POLL_SECONDS)
        self._definitions.live.tell_lost()

    def _has_batch(self) -> bool:
        return bool(self._pending) and self._pending[0] is not None

    def _next_batch(self) -> list[Record]:
        batch: list[Record] = []
        while self._pending and len(batch) < BATCH_RECORDS:
            record = self._pending[0]
            if record is None:
                break
            batch.append(record)
            self._pending.popleft()
        return batch


def _is_quick(records: Sequence[Record]) -> bool:
    """Whether records are compiled within some 2 ms: a thread would hold up deliveries for longer,
    since it has to share the interpreter with them.
    """
    values = [record.value or b"" for record in records]
    return sum(map(len, values)) <= _QUICK_BYTES and not any(b"${" in value for value in values)


async def _here(work: Callable[[], ResultT]) -> ResultT:
    return work()


async def _in_short_thread(work: Callable[[], ResultT]) -> ResultT:
    return await asyncio.to_thread(briefly, work)
