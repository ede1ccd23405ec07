"""Who changed which definition, from the audit topic."""

from collections import deque
from dataclasses import dataclass

from consumer.control.records import AuditRecord, read_audit_record
from consumer.errors import InvalidValue
from consumer.records.record import Record
from consumer.services.topic_view import in_time
from consumer.services.topics import read_topic
from consumer.settings import Settings


@dataclass(frozen=True, slots=True)
class AuditFilter:
    """Which changes are wanted; None: all."""

    hook: str | None = None
    by: str | None = None
    since: int | None = None
    """Epoch milliseconds."""
    before: int | None = None
    """Only changes before this offset of the topic."""


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change, and where it stands."""

    offset: int
    change: AuditRecord


async def read_audit(
    settings: Settings, wanted: AuditFilter, limit: int
) -> tuple[list[AuditEntry], bool]:
    """The newest `limit` changes, the newest first, and whether there are older ones.

    Raises:
        HookstreamError: the topic cannot be read.
    """
    found = deque[AuditEntry](maxlen=limit + 1)

    def take(record: Record) -> None:
        if not _may_match(record, wanted):
            return
        try:
            change = read_audit_record(record.value, record.headers)
        except InvalidValue:
            return  # of a newer version, or no record of hookstream
        if wanted.by in {None, change.by}:
            found.append(AuditEntry(record.offset, change))

    if settings.hooks.live:
        topic = settings.kafka.own_topics.hooks_audit
        await in_time(read_topic(settings.kafka, topic, take, found.clear), topic)
    entries = list(found)[::-1]
    return entries[:limit], len(entries) > limit


def _may_match(record: Record, wanted: AuditFilter) -> bool:
    if wanted.hook is not None and record.key != wanted.hook.encode(errors="replace"):
        return False
    if wanted.since is not None and record.timestamp < wanted.since:
        return False
    return wanted.before is None or record.offset < wanted.before
