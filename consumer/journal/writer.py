"""Writes what the observer kept, once a second: log and reports together, all or nothing."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Final, Protocol

from consumer.errors import HookstreamError
from consumer.journal.counts import HookCounts
from consumer.journal.observer import Counted, JournalObserver
from consumer.journal.records import ReportRecord, report_key, report_value
from consumer.journal.rows import RowEncoder, hour_text
from consumer.logs import get_logger
from consumer.metrics.hooks import ATTEMPT_BUCKETS
from consumer.settings import OwnTopics
from consumer.stream.batch_builder import LogRecord
from consumer.stream.log_producer import UnwritableError
from consumer.stream.tasks import timeout

log = get_logger(__name__)

FLUSH_SECONDS: Final = 1.0
"""Between two writes: what a killed process may lose of its log."""
MAX_FLUSH_SECONDS: Final = 10.0
"""Between two tries while Kafka takes nothing."""
_LAST_TRIES_SECONDS: Final = 0.2
"""Between two tries at a stop."""
_ROWS_AT_ONCE: Final = 300
"""Rows that are encoded before other work of the process goes on."""


class Producer(Protocol):
    """`stream.log_producer.LogProducer`."""

    async def write(self, records: Sequence[LogRecord]) -> None:
        """Write all records, or raise `HookstreamError`; then call it again with the same ones."""
        ...


class JournalWriter:
    """The only task that takes from the observer. A write that fails is tried again, with the same
    records: its counts belong to its rows. Meanwhile the observer drops what does not fit.
    """

    def __init__(
        self,
        observer: JournalObserver,
        producer: Producer,
        encoder: RowEncoder,
        *,
        own: OwnTopics,
        replica: str,
        group: str,
        sleep: Callable[[float], "asyncio.Future[None]"],
    ) -> None:
        """`group`: `kafka.group_id`; `sleep`: returns a future that is done after some seconds."""
        self._observer = observer
        self._producer = producer
        self._encoder = encoder
        self._own = own
        self._replica = replica
        self._group = group
        self._sleep = sleep
        self._totals: dict[int, dict[str, HookCounts]] = {}
        """The counts so far, by hour and hook; only those of the last two hours still change."""
        self._changed: dict[tuple[int, str], None] = {}
        """Hours and hooks whose report could not be written with its latest counts."""
        self._reported: dict[tuple[int, str], None] = {}
        """Those of the records that are being written."""
        self._pending: list[LogRecord] = []
        self._pending_rows = 0
        self._dropped = 0
        self._failing = False
        self._writing = asyncio.Lock()
        self._stopping = asyncio.Event()

    @property
    def dropped(self) -> int:
        """Rows of the log that were not written."""
        return self._dropped + self._observer.dropped

    async def run(self) -> None:
        """Write until `close`, or until cancelled."""
        pause = FLUSH_SECONDS
        while not self._stopping.is_set():
            await self._sleep_or_stop(pause)
            async with self._writing:
                await self._flush()
            pause = min(MAX_FLUSH_SECONDS, pause * 2) if self._failing else FLUSH_SECONDS

    async def close(self, seconds: float) -> None:
        """Write the rest, within `seconds`; what is left then is dropped and counted."""
        self._stopping.set()
        try:
            async with timeout(seconds), self._writing:
                await self._flush()  # what was under way, if it failed
                while self._pending or self._observer.has_news:
                    if self._failing:
                        await self._sleep(_LAST_TRIES_SECONDS)
                    await self._flush()
        except TimeoutError:
            self._dropped += self._pending_rows + self._observer.waiting
            self._pending, self._pending_rows = [], 0
        if self.dropped:
            log.warning("records of the delivery log were dropped", dropped=self.dropped)

    async def _sleep_or_stop(self, seconds: float) -> None:
        sleeping = self._sleep(seconds)
        stopping = asyncio.ensure_future(self._until_stop())
        try:
            await asyncio.wait({sleeping, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            sleeping.cancel()
            stopping.cancel()

    async def _until_stop(self) -> None:
        await self._stopping.wait()

    async def _flush(self) -> None:
        """Write once. Nothing that it meets may end the daemon."""
        try:
            if not self._pending:
                await self._collect()
            if self._pending:
                await self._producer.write(self._pending)
        except UnwritableError as error:
            self._give_up()
            self._failed(error)
        except HookstreamError as error:
            self._failed(error)
        except Exception as error:  # noqa: BLE001  # a bug here must not stop deliveries
            self._give_up()
            self._failed(error)
        else:
            if self._failing and self._pending:
                self._failing = False
                log.info("the delivery log is written again", dropped=self.dropped)
            self._pending, self._pending_rows = [], 0

    async def _collect(self) -> None:
        """Take what there is, and make records of it: the log's first."""
        rows, counted = self._observer.take()
        self._pending_rows = len(rows)
        records = []
        for start in range(0, len(rows), _ROWS_AT_ONCE):
            end = start + _ROWS_AT_ONCE
            records += self._encoder.encode_some(rows, start, end, self._own.deliveries)
            await asyncio.sleep(0)
        for number, record in enumerate(self._report(counted), 1):
            records.append(record)
            if not number % _ROWS_AT_ONCE:
                await asyncio.sleep(0)
        self._pending = records

    def _report(self, counted: Iterable[Counted]) -> Iterable[LogRecord]:
        """The reports that `counted` changes, with the counts so far."""
        changed, self._changed = self._changed, {}
        for hour, hooks in counted:
            totals = self._totals.setdefault(hour, {})
            for hook, counts in hooks.items():
                total = totals.get(hook)
                if total is None:
                    totals[hook] = counts
                else:
                    total.add(counts)
                changed[hour, hook] = None
        for hour, hook in changed:
            yield self._record(hour, hook)
        self._reported = changed
        newest, now = max(self._totals, default=0), {hour for hour, _ in changed}
        self._totals = {
            hour: its for hour, its in self._totals.items() if hour >= newest - 1 or hour in now
        }

    def _record(self, hour: int, hook: str) -> LogRecord:
        counts, text = self._totals[hour][hook], hour_text(hour)
        value = report_value(
            ReportRecord(
                hook=hook,
                hour=text,
                replica=self._replica,
                delivered=counts.delivered,
                retried=counts.retried,
                overflowed=counts.overflowed,
                dead_lettered=_by_text(counts.dead_lettered),
                attempts=_by_text(counts.attempts),
                latency=counts.latency,
                bounds=ATTEMPT_BUCKETS,
            ),
            self._group,
        )
        key = report_key(hook, text, self._replica)
        return LogRecord(self._own.reports, key, value, hour * 3_600_000)

    def _give_up(self) -> None:
        """Drop the rows of the records that cannot be written, but no count: the reports are tried
        without the rows, and then again with what comes.
        """
        if self._pending_rows:
            self._dropped += self._pending_rows
            self._pending, self._pending_rows = self._pending[self._pending_rows :], 0
        else:
            self._changed |= self._reported
            self._pending = []

    def _failed(self, error: Exception) -> None:
        if not self._failing:
            self._failing = True
            log.warning(
                "the delivery log cannot be written; deliveries go on without it", error=str(error)
            )
        log.debug("the delivery log was not written", error=repr(error))


def _by_text(counts: Mapping[str, int]) -> dict[str, int]:
    """`counts` with plain texts as keys: orjson takes no members of an enumeration."""
    return {str(name): number for name, number in counts.items()}
