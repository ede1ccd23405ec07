"""A topic of one partition in memory, in the place of `TopicLog`: transactions, compaction, and a
topic that is made anew.
"""

import asyncio
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID, uuid4

from aiokafka.errors import OffsetOutOfRangeError

from consumer.control.records import Written
from support.definition_topics import TopicRecord

_FETCH_RECORDS = 3


@dataclass
class FakeFetched:
    """The answer to a fetch."""

    records: Sequence[TopicRecord]
    next_offset: int
    stable_end: int

    def __iter__(self) -> Iterator[TopicRecord]:
        return iter(self.records)


class FakeTopicLog:
    """What a broker keeps of a topic, and answers to a reader."""

    def __init__(self) -> None:
        self.failures: deque[Exception] = deque()
        """Raised by the next requests, one by one."""
        self.fetches = 0
        self.remake()

    def remake(self) -> None:
        """Delete the topic and make it anew, empty."""
        self.topic_id = uuid4()
        self.records: list[TopicRecord] = []
        self.first = self.last = 0
        """The offsets of the first record, and behind the last one."""
        self.open_from: int | None = None
        """The offset of the first record of an open transaction."""

    def append(self, records: Sequence[Written]) -> None:
        """A transaction that is committed, and its marker."""
        self.decide()
        for record in records:
            self.records.append(TopicRecord(self.last, *record))
            self.last += 1
        self.last += 1

    def leave_open(self, records: int) -> None:
        """A writer dies in its transaction; the next one that begins aborts it."""
        self.decide()
        self.open_from = self.last
        self.last += records

    def decide(self) -> None:
        """An open transaction is aborted: a marker follows its records, which no reader gets."""
        if self.open_from is not None:
            self.open_from = None
            self.last += 1

    def compact(self, *, deletions: bool) -> None:
        """Keep the last record of each key; with `deletions` drop those that delete as well."""
        newest = {record.key: record.offset for record in self.records}
        self.records = [
            record
            for record in self.records
            if newest[record.key] == record.offset and not (deletions and record.value is None)
        ]

    def drop_before(self, offset: int) -> None:
        """Delete the records before an offset, as retention or `kafka-delete-records` does."""
        self.records = [record for record in self.records if record.offset >= offset]
        self.first = offset

    async def find(self) -> UUID:
        """See `TopicLog.find`."""
        self._fail()
        return self.topic_id

    async def start(self) -> int:
        """See `TopicLog.start`."""
        return self.first

    async def stable_end(self) -> int:
        """See `TopicLog.stable_end`."""
        return self.last if self.open_from is None else self.open_from

    async def end(self) -> int:
        """See `TopicLog.end`."""
        return self.last

    async def fetch(self, offset: int, _wait_seconds: float) -> FakeFetched:
        """See `TopicLog.fetch`: a few records, and the markers behind them."""
        self.fetches += 1
        await asyncio.sleep(0 if offset < await self.stable_end() else 0.002)
        self._fail()
        if not self.first <= offset <= self.last:
            raise OffsetOutOfRangeError
        stable = await self.stable_end()
        found = [record for record in self.records if offset <= record.offset < stable]
        if len(found) > _FETCH_RECORDS:
            found = found[:_FETCH_RECORDS]
            return FakeFetched(found, found[-1].offset + 1, stable)
        return FakeFetched(found, stable, stable)

    def _fail(self) -> None:
        if self.failures:
            raise self.failures.popleft()
