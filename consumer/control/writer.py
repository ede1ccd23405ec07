"""Writes live definitions: one transaction for each write, and one writer at a time by fencing."""

import asyncio
import random
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Final
from uuid import uuid4

from consumer.clock import Clock
from consumer.control.audit_log import AuditLog
from consumer.control.changes import NotWrittenError, UnknownOutcomeError, WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.records import HookRecord, Written
from consumer.control.write_plan import Author, WritePlan, plan_write
from consumer.documents.lines import MAX_CHARACTERS, one_line
from consumer.errors import ConfigError, Diagnostic, HookstreamError, InvalidValue
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader
from consumer.stream.topic_settings import Compaction
from consumer.stream.topics import refuse_wrong_settings
from consumer.stream.transaction_errors import CommitUnknownError, FencedError, TransactionError
from consumer.stream.transactions import OutgoingTableRecord, Transactions

log = get_logger(__name__)

MAX_COMMENT_CHARACTERS: Final = 500
WRITE_TIMEOUT_SECONDS: Final = 30.0
"""Time after which a write that failed is not tried again."""
DECIDE_TIMEOUT_SECONDS: Final = 45.0
"""Time to find out what became of a commit that was not confirmed: a broker may restart."""
HANGING_SECONDS: Final = 3.0
"""Time after which a transaction that is open although its writer was fenced is aborted. The end
of a transaction takes milliseconds."""
_VIEW_TIMEOUT_SECONDS: Final = 5.0
_FIRST_PAUSE_SECONDS: Final = 0.05
_MAX_PAUSE_SECONDS: Final = 1.0
_VIEW_PAUSE_SECONDS: Final = 0.005


class HookWriter:
    """Reads and writes the definitions' topic of one installation.

    The broker decides between writers: all share one transactional id, and a writer that begins
    fences the one before it, whose transaction is aborted or complete by then. So nothing can come
    between a writer's reading to the end and its commit.
    """

    def __init__(self, settings: KafkaSettings, clock: Clock) -> None:
        topics = settings.own_topics
        self._settings = settings
        self._clock = clock
        self._hooks, self._audit = topics.hooks, topics.hooks_audit
        self._table = LiveTable()
        self._reader = TableReader(
            settings, topics.hooks, self._table.take, self._table.clear, clock
        )
        self._is_open = False
        self._audit_log = AuditLog(settings, clock)
        self._transactions = Transactions(
            settings, f"{settings.topic_prefix}.hooks-writer", [self._hooks, self._audit], clock
        )
        self._one_at_a_time = asyncio.Lock()

    async def write(
        self, changes: Sequence[WantedChange], *, by: str, comment: str = ""
    ) -> list[HookRecord]:
        """Make all changes, or none, and wait until this writer's own table has them.

        Returns the revision in force of each change, in order: a change that changes nothing writes
        nothing. The definitions are valid already.

        Raises:
            ConfigError: `by` or `comment` is not one short line.
            ConflictError: definitions have changed since they were seen.
            NotWrittenError: it is certain that nothing was written.
            UnknownOutcomeError: it may have been written, or not.
        """
        _check_lines(by, comment)
        change = uuid4().hex
        async with self._one_at_a_time:
            give_up_at = self._clock.monotonic() + WRITE_TIMEOUT_SECONDS
            failures = 0
            while True:
                author = Author(by, comment, self._now(), change)
                try:
                    return await self._try(changes, author)
                except TransactionError as error:
                    if error.is_final or self._clock.monotonic() >= give_up_at:
                        raise NotWrittenError(f"nothing was written: {error}") from error
                    log.debug("a write is tried again", reason=str(error))
                failures += 1
                await _pause(failures)

    async def read(self) -> LiveTable:
        """The table as of now; later calls change it. Raises `HookstreamError`."""
        async with self._one_at_a_time:
            await self._open()
            await self._reader.read_to_end()
            return self._table

    async def close(self) -> None:
        """Close all connections."""
        self._is_open = False
        await self._reader.close()
        await self._transactions.close()

    async def _open(self) -> None:
        if self._is_open:
            return
        self._table.clear()
        await self._reader.open()
        try:
            await refuse_wrong_settings(self._settings, self._hooks, Compaction())
        except BaseException:
            await self._reader.close()
            raise
        self._is_open = True

    async def _try(self, changes: Sequence[WantedChange], author: Author) -> list[HookRecord]:
        """One try. Raises `TransactionError` if nothing was written and another may help."""
        await self._transactions.begin()
        earlier = await self._read_everything(changes)
        ends = await self._transactions.ends()
        plan = plan_write(self._table, changes, author, earlier)
        if not plan.written:
            return plan.results
        await self._send(plan)
        try:
            await self._transactions.commit()
            await self._wait_for_view(plan)
        except (CommitUnknownError, HookstreamError, TimeoutError) as unknown:
            await self._decide(author.change, ends[self._audit], unknown)
        return plan.results

    async def _read_everything(self, changes: Sequence[WantedChange]) -> Mapping[str, int]:
        """Read the topic to its end, and return revisions that only the audit topic knows."""
        try:
            await self._open()
            await self._reader.read_to_end()
            await self._read_to_high_watermark()
            wanted = {change.hook_id for change in changes}
            forgotten = wanted & self._table.unreadable.keys() - self._table.records.keys()
            return await self._audit_log.last_revisions(forgotten) if forgotten else {}
        except TransactionError:
            raise
        except HookstreamError as error:
            raise NotWrittenError(f"nothing was written: {error}") from error

    async def _read_to_high_watermark(self) -> None:
        try:
            async with asyncio.timeout(HANGING_SECONDS):
                await self._reader.read_to_end(to_high_watermark=True)
                return
        except TimeoutError:
            undecided = await self._transactions.undecided()
        # If one topic only has it, the other one may have a commit: no more can be told.
        if undecided == {self._hooks, self._audit}:
            log.warning("a hanging transaction is aborted", topics=sorted(undecided))
            await self._transactions.abort_hanging()
        await self._reader.read_to_end(to_high_watermark=True)

    async def _send(self, plan: WritePlan) -> None:
        records = {
            self._hooks: _outgoing(plan.hook_records()),
            self._audit: _outgoing(plan.audit_records()),
        }
        try:
            await self._transactions.send(records)
        except FencedError:
            raise
        except TransactionError:
            await self._transactions.abort()
            raise

    async def _decide(self, change: str, audit_end: int, unknown: Exception) -> None:
        """Find out whether a commit was made. Returns if so; if not, raises `TransactionError`.

        A new beginning makes the broker decide the earlier transaction. Then its records are in the
        audit topic, or never will be.
        """
        log.warning("a commit was not confirmed: reading what became of it", error=repr(unknown))
        give_up_at = self._clock.monotonic() + DECIDE_TIMEOUT_SECONDS
        failures = 0
        while True:
            try:
                await self._transactions.begin()
                await self._read_to_high_watermark()
                is_written = await self._audit_log.has_change(change, audit_end)
                break
            except HookstreamError as error:
                if self._clock.monotonic() >= give_up_at:
                    raise UnknownOutcomeError(
                        "Kafka did not say whether it took the change, and cannot be asked now "
                        f"({error}): look at `hookstream hooks history` before another try"
                    ) from error
                log.debug("an outcome is asked for again", error=str(error))
            failures += 1
            await _pause(failures)
        log.info("the outcome of a commit was read", is_written=is_written)
        if not is_written:
            raise TransactionError("the commit was not made")

    async def _wait_for_view(self, plan: WritePlan) -> None:
        """Read until the table has what was written: the end of a transaction takes a moment.

        Raises `HookstreamError` or `TimeoutError` if it cannot be read back.
        """
        last = plan.written[-1]
        async with asyncio.timeout(_VIEW_TIMEOUT_SECONDS):
            while self._table.next_revision(last.hook_id) <= last.revision:
                await asyncio.sleep(_VIEW_PAUSE_SECONDS)
                await self._reader.read_to_end()

    def _now(self) -> str:
        moment = datetime.fromtimestamp(self._clock.now(), UTC)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _check_lines(by: str, comment: str) -> None:
    """Raise `ConfigError` unless both are short lines: lists and logs show them."""
    problems = []
    bounds = {"by": (by, MAX_CHARACTERS), "comment": (comment, MAX_COMMENT_CHARACTERS)}
    for field, (text, most) in bounds.items():
        try:
            one_line(text, most)
        except InvalidValue as error:
            problems.append(Diagnostic(error.message, error.hint, field=field))
    if problems:
        raise ConfigError(problems)


def _outgoing(records: Sequence[Written]) -> list[OutgoingTableRecord]:
    return [OutgoingTableRecord(*record) for record in records]


async def _pause(failures: int) -> None:
    """Wait for a random time: writers that fence each other must not do it in step."""
    longest = min(_MAX_PAUSE_SECONDS, _FIRST_PAUSE_SECONDS * 2.0 ** min(failures, 10))
    await asyncio.sleep(random.uniform(0.0, longest))  # noqa: S311  # jitter
