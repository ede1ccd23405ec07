"""Look-ups in the audit topic, for the writer: each reads it anew."""

from collections.abc import Callable, Collection
from functools import partial

from consumer.clock import Clock
from consumer.control.records import CHANGE_HEADER, read_audit_record
from consumer.errors import HookstreamError, InvalidValue
from consumer.records.headers import last_value
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader


class AuditLog:
    """The audit topic of one installation. Every call raises `HookstreamError`."""

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        self._settings = settings
        self._topic = settings.own_topics.hooks_audit
        self._clock = clock

    async def has_change(self, change: str, offset: int) -> bool:
        """Whether a record of the change stands at `offset` or later, once all is decided."""
        found: list[Record] = []

        def take(record: Record) -> None:
            if last_value(record.headers, CHANGE_HEADER) == change.encode():
                found.append(record)

        await self._read(offset, take)
        return bool(found)

    async def last_revisions(self, hooks: Collection[str]) -> dict[str, int]:
        """The last revision of each of `hooks` that was ever written."""
        found: dict[str, int] = {}

        def take(record: Record) -> None:
            try:
                audit = read_audit_record(record.value, record.headers)
            except InvalidValue:
                return
            if audit.hook in hooks:
                found[audit.hook] = max(audit.revision, found.get(audit.hook, 0))

        await self._read(None, take)
        return found

    async def _read(self, offset: int | None, take: Callable[[Record], None]) -> None:
        """Read from `offset`, or the beginning, to the end."""
        lost: list[str] = []
        reader = TableReader(
            self._settings, self._topic, take, partial(lost.append, self._topic), self._clock
        )
        await reader.open(offset)
        try:
            await reader.read_to_end(to_high_watermark=True)
        finally:
            await reader.close()
        if lost:
            raise HookstreamError(f"the topic {self._topic} has lost records")
