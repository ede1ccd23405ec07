"""Decides which attempts are logged, and counts all: what a delivery costs for log and reports.

Everything here runs on the event loop's thread, and nothing waits: what does not fit into the
queue is dropped and counted (invariant 8).
"""

from collections import deque
from collections.abc import Callable
from typing import Any, Final

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.observers import AttemptDetails
from consumer.delivery.scheduling.retry_policy import (
    DELIVERED,
    DeadLetter,
    Decision,
    Defer,
    Outcome,
    Overflow,
    RetryNow,
)
from consumer.events.decode import as_name
from consumer.journal.counts import HookCounts
from consumer.journal.records import MAX_USER_CHARACTERS
from consumer.journal.rows import MAX_EVENT_CHARACTERS, UNKNOWN, Row
from consumer.metrics.hooks import status_label
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.headers import TRACEPARENT, last_value
from consumer.records.overflow_tracker import OverflowTracker
from consumer.records.tracker import InFlightRecord

MAX_ROWS: Final = 20_000
"""Rows that wait to be written; each takes some 500 bytes."""
MAX_HOURS: Final = 24
"""Hours whose counts wait to be written."""
_HOUR_SECONDS: Final = 3_600
_MIN_SUCCESS: Final = 200
_MAX_SUCCESS: Final = 299
_DELIVERED: Final = DELIVERED
"""Of this module: compiled, another module's name costs a look-up."""
_RETRY: Final = "retry"
_LATE: Final = "late"
"""The reason of a retry if a result came after its delivery was deferred or given to another
replica."""

Counted = tuple[int, dict[str, HookCounts]]
"""An hour, in hours since the epoch, and the counts of each hook."""


class JournalObserver:
    """An `AttemptObserver` that keeps rows for the log and counts for the reports until `take`."""

    def __init__(
        self,
        *,
        clock: Clock,
        random: Callable[[], float],
        failures: bool,
        successes: float,
        max_rows: int = MAX_ROWS,
    ) -> None:
        """`random`: uniform in [0, 1). `failures`, `successes`: see `DeliveryLogSettings`."""
        self.failures = failures
        self.successes = successes
        self.dropped = 0
        """Rows that did not fit into the queue."""
        self._clock = clock
        self._random = random
        self._max_rows = max_rows
        self._rows: list[Row] = []
        self._counts: dict[str, HookCounts] = {}
        self._by_endpoint: dict[Endpoint, HookCounts] = {}
        """The same counts: a look-up by the hook's id costs each attempt more."""
        self._past: deque[Counted] = deque(maxlen=MAX_HOURS)
        self._hour = self._newest_hour = 0
        self._offset = 0.0
        """Seconds from the monotonic clock to the wall clock."""
        self._hour_began = self._hour_ends = 0.0
        """Monotonic seconds."""
        self._set_clock()

    @property
    def waiting(self) -> int:
        """Rows that wait."""
        return len(self._rows)

    @property
    def has_news(self) -> bool:
        """Whether anything happened since the last `take`."""
        return bool(self._counts or self._past)

    def wanted(self, status: int) -> bool:
        """Whether an attempt is logged: `transport.Wanted`, asked once for each attempt."""
        if _MIN_SUCCESS <= status <= _MAX_SUCCESS:
            return self._random() < self.successes
        return self.failures

    def attempted(self, attempt: AttemptDetails) -> None:
        """See `AttemptObserver.attempted`."""
        delivery, result, at = attempt.delivery, attempt.result, attempt.at
        decision = attempt.decision
        if not self._hour_began <= at < self._hour_ends:
            self._turn_hour(at)
        counts = self._by_endpoint.get(delivery.endpoint)
        if counts is None:
            counts = self._by_endpoint[delivery.endpoint] = self._counts_of(
                delivery.endpoint.hook.id
            )
        if decision is _DELIVERED:
            counts.success(result.duration)
            if result.phases is not None:
                self._log(delivery, attempt.number, result, at, decision)
            return
        counts.attempt(status_label(result.status, result.error), result.duration)
        self._count(counts, decision)
        is_success = _MIN_SUCCESS <= result.status <= _MAX_SUCCESS
        if result.phases is not None if is_success else self.failures:
            self._log(delivery, attempt.number, result, at, decision)

    def ended_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """See `AttemptObserver.ended_unsent`. A delivery that stays in the overflow topic, where it
        was, has not ended.
        """
        source = delivery.source_record
        if (
            isinstance(outcome, Overflow)
            and isinstance(source.tracker, OverflowTracker)
            and delivery.attempts == source.attempts
        ):
            return
        at = self._now()
        self._count(self._counts_of(delivery.endpoint.hook.id), outcome)
        if self.failures:
            self._log(delivery, 0, None, at, outcome)

    def gave_up(self, metadata: DeliveryMetadata) -> None:
        """A delivery of a hook was dead-lettered outside the scheduler."""
        at = self._now()
        self._counts_of(metadata.hook).dead_letter(metadata.reason)
        if not self.failures:
            return
        row = Row(self._offset + at, metadata.hook, metadata.delivery_id)
        row.topic, row.partition = metadata.topic, metadata.partition
        row.offset = metadata.offset
        row.outcome, row.reason = "dead_letter", metadata.reason
        row.traceparent = metadata.traceparent.encode()
        self._add(row)

    def take(self) -> tuple[list[Row], list[Counted]]:
        """The rows and the counts since the last call; both belong together."""
        rows, self._rows = self._rows, []
        self._close_hour()
        counted = list(self._past)
        self._past.clear()
        self._set_clock()
        return rows, counted

    def _now(self) -> float:
        """Monotonic seconds; what follows counts for their hour."""
        at = self._clock.monotonic()
        if not self._hour_began <= at < self._hour_ends:
            self._turn_hour(at)
        return at

    def _turn_hour(self, at: float) -> None:
        self._close_hour()
        self._set_hour(at)

    def _counts_of(self, hook: str) -> HookCounts:
        counts = self._counts.get(hook)
        if counts is None:
            counts = self._counts[hook] = HookCounts()
        return counts

    def _close_hour(self) -> None:
        if self._counts:
            self._past.append((self._hour, self._counts))
            self._counts = {}
            self._by_endpoint = {}

    def _set_clock(self) -> None:
        """Follow the wall clock, but never back beyond the hour before the newest: its counts are
        no longer known, and would begin at 0 again.
        """
        at = self._clock.monotonic()
        earliest = (self._newest_hour - 1) * _HOUR_SECONDS
        self._offset = max(self._clock.now(), float(earliest)) - at
        self._set_hour(at)

    def _set_hour(self, at: float) -> None:
        self._hour = int((self._offset + at) // _HOUR_SECONDS)
        self._newest_hour = max(self._newest_hour, self._hour)
        self._hour_began = self._hour * _HOUR_SECONDS - self._offset
        self._hour_ends = self._hour_began + _HOUR_SECONDS

    def _count(self, counts: HookCounts, decision: Decision | None) -> None:
        if isinstance(decision, DeadLetter):
            counts.dead_letter(decision.reason)
        elif isinstance(decision, Overflow):
            counts.overflowed += 1
        else:
            counts.retried += 1

    def _log(
        self,
        delivery: Delivery,
        number: int,
        result: AttemptResult | None,
        at: float,
        decision: Decision | None,
    ) -> None:
        if len(self._rows) >= self._max_rows:
            self.dropped += 1
            return
        hook, event, record = delivery.endpoint.hook, delivery.event, delivery.source_record.record
        row = Row(self._offset + at, hook.id, delivery.id)
        row.revision = hook.revision
        row.event = event.id[:MAX_EVENT_CHARACTERS]
        row.topic, row.partition, row.offset = record.topic, record.partition, record.offset
        row.user = _user(event.document)
        row.traceparent = _traceparent(delivery.source_record)
        if result is not None:
            row.attempt = number
            row.status, row.error, row.seconds = result.status, result.error, result.duration
            row.phases = result.phases
        _describe(row, decision, is_unsent=result is None)
        self._rows.append(row)

    def _add(self, row: Row) -> None:
        if len(self._rows) >= self._max_rows:
            self.dropped += 1
        else:
            self._rows.append(row)


def _user(document: dict[str, Any]) -> str | None:
    """The user's id as a text; None for one that is no name, or too long to be looked up."""
    user = document.get("user")
    name = as_name(user.get("id")) if type(user) is dict else None
    return name if name is not None and len(name) <= MAX_USER_CHARACTERS else None


def _traceparent(source: InFlightRecord) -> bytes | None:
    """The trace of an event: the one that is recorded, else the producer's."""
    if source.span is not None:
        return source.span.context.traceparent.encode()
    headers = source.record.headers
    return last_value(headers, TRACEPARENT) if headers else None


def _describe(row: Row, decision: Decision | None, *, is_unsent: bool) -> None:
    """Write down what follows."""
    if decision is _DELIVERED:
        row.outcome = "delivered"
    elif isinstance(decision, Defer):
        row.outcome, row.retry_after = _RETRY, decision.delay
        if is_unsent:
            row.reason = decision.cause
    elif isinstance(decision, RetryNow):
        row.outcome, row.retry_after = _RETRY, decision.delay
    elif isinstance(decision, Overflow):
        row.outcome, row.reason = "overflow", decision.cause
    elif isinstance(decision, DeadLetter):
        row.outcome, row.reason = "dead_letter", decision.reason
    else:
        row.outcome, row.retry_after = _RETRY, UNKNOWN
        if decision is None:
            row.reason = _LATE
