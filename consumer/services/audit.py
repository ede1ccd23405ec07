"""Who changed which definition, from the audit topic, read backwards: it only ever grows."""

from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Final

from consumer.clock import Clock
from consumer.control.records import AuditRecord, read_audit_record
from consumer.errors import HookstreamError, InvalidValue
from consumer.journal.log_search import SearchBounds
from consumer.records.record import Record
from consumer.services.topic_view import in_time
from consumer.settings import Settings
from consumer.stream.backward_reader import BackwardReader
from consumer.stream.partitions_reader import PartitionsReader

SEARCH_SECONDS: Final = 4.0
"""After which a search ends with what it has, and says where the next one goes on."""

FIRST_OFFSETS: Final = 100
"""That are read at first: a record has a whole definition before and after its change."""


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


@dataclass(frozen=True, slots=True)
class AuditPage:
    """Changes, the newest first."""

    entries: list[AuditEntry]
    next_before: int | None
    """`AuditFilter.before` of the next page; None: there are no older ones."""


async def read_audit(
    settings: Settings, wanted: AuditFilter, limit: int, clock: Clock
) -> AuditPage:
    """The newest `limit` changes, or those that were found within `SEARCH_SECONDS`.

    Raises:
        HookstreamError: the topic cannot be read.
    """
    return await search_audit(settings, wanted, lambda found: len(found) >= limit, clock)


async def search_audit(
    settings: Settings,
    wanted: AuditFilter,
    is_enough: Callable[[list[AuditEntry]], bool],
    clock: Clock,
    seconds: float | None = None,
) -> AuditPage:
    """Changes, the newest first, until those found are enough, or for so many `seconds`; None: for
    `SEARCH_SECONDS`.

    Raises:
        HookstreamError: the topic cannot be read.
    """
    if not settings.hooks.live:
        return AuditPage([], None)
    topic = settings.kafka.own_topics.hooks_audit
    bounds = SearchBounds(SEARCH_SECONDS if seconds is None else seconds)
    return await in_time(_search(settings, wanted, is_enough, clock, bounds), topic)


async def _search(
    settings: Settings,
    wanted: AuditFilter,
    is_enough: Callable[[list[AuditEntry]], bool],
    clock: Clock,
    bounds: SearchBounds,
) -> AuditPage:
    deadline = clock.monotonic() + bounds.seconds
    topic, found = settings.kafka.own_topics.hooks_audit, list[AuditEntry]()
    async with PartitionsReader(settings.kafka, [topic], clock) as partitions:
        if not partitions.logs:
            raise HookstreamError(f"there is no topic {topic}: start a daemon with hooks.live")
        spans = await partitions.spans(wanted.since, None)
        if wanted.before is not None:
            spans = {
                place: replace(span, high=max(span.low, min(span.high, wanted.before)))
                for place, span in spans.items()
            }
        key = wanted.hook.encode(errors="replace") if wanted.hook is not None else b""
        reader = BackwardReader(
            partitions, spans, lambda record: _entry(record, wanted), clock,
            may_match=lambda data: key in data, first_offsets=FIRST_OFFSETS,
            chunk_bytes=bounds.chunk_bytes,
        )  # fmt: skip
        async with aclosing(reader.read()) as items:
            async for item in items:
                if item is not None:
                    found.append(item.value)
                    if is_enough(found):
                        break
                elif clock.monotonic() >= deadline:
                    break
        merge = reader.merge
        # What is read is given out in any case, so that each page comes further.
        while not (found and is_enough(found)) and (read := merge.pop()) is not None:
            found.append(read.value)
        return AuditPage(found, max(merge.next_offsets().values()) if merge.has_more else None)


def _entry(record: Record, wanted: AuditFilter) -> AuditEntry | None:
    if wanted.hook is not None and record.key != wanted.hook.encode(errors="replace"):
        return None
    if wanted.since is not None and record.timestamp < wanted.since:
        return None
    try:
        change = read_audit_record(record.value, record.headers)
    except InvalidValue:
        return None  # of a newer version, or no record of hookstream
    return AuditEntry(record.offset, change) if wanted.by in {None, change.by} else None
