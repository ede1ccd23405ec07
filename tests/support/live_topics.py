"""The topics of live definitions in memory, for commands without a broker."""

from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from consumer.clock import Clock
from consumer.control.changes import WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.records import HookRecord, Written
from consumer.control.write_plan import Author, plan_write
from consumer.errors import HookstreamError
from consumer.records.record import Headers, Record
from consumer.settings import KafkaSettings

AT = "2026-11-24T10:00:00.000Z"
"""The time of every change."""


@dataclass(slots=True)
class MemoryRecord:
    """One record of a topic in memory."""

    topic: str
    offset: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()
    partition: int = 0
    timestamp: int = 0


@dataclass(slots=True)
class LiveTopicsHarness:
    """Topics in memory, and the reader and writer that commands are given in place of Kafka's."""

    missing: bool = False
    """Whether there are no topics."""
    before_write: Callable[[], None] = lambda: None
    """Called before a write decides: another writer may come between."""
    written: dict[str, list[Record]] = field(default_factory=lambda: defaultdict(list))

    def append(self, topic: str, record: Written) -> None:
        """Append a record to a topic."""
        records = self.written[topic]
        records.append(MemoryRecord(topic, len(records), *record))

    def define(self, *definitions: Mapping[str, Any], by: str = "ayse") -> None:
        """Write definitions, whatever is there."""
        self.commit([WantedChange(str(one["id"]), one, None) for one in definitions], by, "")

    def commit(self, changes: Sequence[WantedChange], by: str, comment: str) -> list[HookRecord]:
        """Write changes as `HookWriter` does."""
        plan = plan_write(self.table(), changes, Author(by, comment, AT, "change"))
        for record in plan.hook_records():
            self.append("hookstream.hooks", record)
        for record in plan.audit_records():
            self.append("hookstream.hooks-audit", record)
        return plan.results

    def table(self) -> LiveTable:
        """What the definitions' topic says."""
        table = LiveTable()
        for record in self.written["hookstream.hooks"]:
            table.take(record)
        return table

    def install(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Give the commands these topics."""
        monkeypatch.setattr("consumer.services.topics.TableReader", self._reader)
        monkeypatch.setattr("consumer.cli.hooks_topics.HookWriter", self._writer)

    def _reader(
        self,
        _settings: KafkaSettings,
        topic: str,
        take: Callable[[Record], None],
        _restarted: Callable[[], None],
        _clock: Clock,
    ) -> "_Reader":
        return _Reader(self, topic, take)

    def _writer(self, _settings: KafkaSettings, _clock: Clock) -> "_Writer":
        return _Writer(self)


class _Reader:
    def __init__(
        self, topics: LiveTopicsHarness, topic: str, take: Callable[[Record], None]
    ) -> None:
        self._topics, self._topic, self._take = topics, topic, take

    async def open(self) -> None:
        if self._topics.missing:
            raise HookstreamError(f"there is no topic {self._topic}: start the daemon once")

    async def read_to_end(self) -> None:
        for record in self._topics.written[self._topic]:
            self._take(record)

    async def close(self) -> None:
        pass


class _Writer:
    def __init__(self, topics: LiveTopicsHarness) -> None:
        self._topics = topics

    async def write(
        self, changes: Sequence[WantedChange], *, by: str, comment: str = ""
    ) -> list[HookRecord]:
        self._topics.before_write()
        return self._topics.commit(changes, by, comment)

    async def close(self) -> None:
        pass
