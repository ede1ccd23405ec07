"""A row of the delivery log in memory, and its value in the topic."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Final

import orjson

from consumer.delivery.http.transport import Phases
from consumer.journal.record_fields import FORMAT
from consumer.journal.records import USER_HASH_BYTES
from consumer.stream.batch_builder import LogRecord
from consumer.tracing.context import parse_traceparent

UNKNOWN: Final = -1.0
"""No time for a retry."""
MAX_EVENT_CHARACTERS: Final = 300
"""Of an event's id: as many as a delivery's id may have. A longer one is cut."""
_MAX_LATER_SECONDS: Final = 366 * 24 * 3600.0
_MAX_NAMES: Final = 10_000
"""Names of hooks and topics that are kept as JSON."""
_THREE_DIGITS: Final = [f"{number:03d}" for number in range(1000)]
"""A look-up costs a tenth of formatting a number."""
_NO_CONNECTION: Final = ',"ms":{"dns":0,"connect":0,"tls":0'
"""Of an attempt on a connection that was open before."""


class Row:
    """One record of the log, without the event that it is about: rows wait in memory."""

    __slots__ = (
        "at", "attempt", "delivery", "error", "event", "hook", "offset", "outcome", "partition",
        "phases", "reason", "retry_after", "revision", "seconds", "status", "topic",
        "traceparent", "user",
    )  # fmt: skip

    def __init__(self, at: float, hook: str, delivery: str) -> None:
        """`at`: epoch seconds."""
        self.at = at
        self.hook = hook
        self.delivery = delivery
        self.revision: int | None = None
        self.event: str | None = None
        """At most `MAX_EVENT_CHARACTERS`."""
        self.topic = ""
        self.partition = 0
        self.offset = 0
        self.attempt = 0
        """0: there was no attempt, and so no status, error and times."""
        self.status = 0
        self.error: str | None = None
        self.seconds = 0.0
        self.phases: Phases | None = None
        self.outcome = ""
        """A `Followed`."""
        self.retry_after = UNKNOWN
        """Seconds after `at`."""
        self.reason: str | None = None
        self.user: str | None = None
        self.traceparent: bytes | None = None
        """As it was written, so it may be malformed."""


class RowEncoder:
    """Makes values of rows; `group`: `kafka.group_id`; `user_key`: see `records.user_key`.

    The JSON is put together here: to make a mapping for each row would cost twice as much. A
    delivery's id needs no escapes (`delivery.http.request.delivery_id`), nor do outcome and error.
    """

    def __init__(self, replica: str, group: str, user_key: bytes) -> None:
        self._end = f',"replica":{_quoted(replica)},"group":{_quoted(group)}}}'
        self._hash = blake2b(digest_size=USER_HASH_BYTES, key=user_key)
        self._at = _TimeText()
        self._later = _TimeText()
        self._names: dict[str, str] = {}

    def use_key(self, user_key: bytes) -> None:
        """Hash users with another key from now on."""
        self._hash = blake2b(digest_size=USER_HASH_BYTES, key=user_key)

    def encode_some(self, rows: list[Row], start: int, end: int, topic: str) -> list[LogRecord]:
        """Records of `topic`, of the rows from `start` to `end`."""
        records = []
        for index in range(start, min(end, len(rows))):
            row = rows[index]
            key, value = row.hook.encode(), self.encode(row)
            records.append(LogRecord(topic, key, value, int(row.at * 1000.0)))
        return records

    def encode(self, row: Row) -> bytes:
        """The value: what `records.read_delivery` reads."""
        parts = [
            f'{{"format":{FORMAT},"at":"{self._at.text(row.at)}"',
            f',"delivery":"{row.delivery}","hook":{self._known(row.hook)}","source":',
            f'{self._known(row.topic)}/{row.partition}/{row.offset}","attempt":{row.attempt},"outcome":"{row.outcome}"',
        ]
        if row.revision is not None:
            parts.append(f',"revision":{row.revision}')
        if row.event is not None:
            parts.append(f',"event":{_quoted(row.event)}')
        if row.attempt:
            parts.append(
                f',"status":{row.status}' if row.error is None else f',"error":"{row.error}"'
            )
            parts.append(_milliseconds(row))
        if row.retry_after >= 0.0:
            later = self._later.text(row.at + min(row.retry_after, _MAX_LATER_SECONDS))
            parts.append(f',"retry_at":"{later}"')
        if row.reason:
            parts.append(f',"reason":{_quoted(row.reason)}')
        if row.user is not None:
            hashed = self._hash.copy()
            hashed.update(row.user.encode())
            parts.append(f',"user":"{hashed.hexdigest()}"')
        trace = parse_traceparent(row.traceparent) if row.traceparent is not None else None
        if trace is not None:
            parts.append(f',"trace":"{trace.trace_id:032x}"')
        parts.append(self._end)
        return "".join(parts).encode()

    def _known(self, name: str) -> str:
        """The name of a hook or a topic as JSON, without the quote at its end. Another program may
        write any into the headers of a record.
        """
        known = self._names.get(name)
        if known is None:
            if len(self._names) >= _MAX_NAMES:
                self._names.clear()
            known = self._names[name] = _quoted(name)[:-1]
        return known


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


class _TimeText:
    """Times as text; those of one second are made once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, at: float) -> str:
        """RFC 3339 in UTC with milliseconds."""
        milliseconds = int(at * 1000.0)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._text}{_THREE_DIGITS[milliseconds % 1000]}Z"


def hour_text(hour: int) -> str:
    """The `hour` of a report, of hours since the epoch."""
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H")


def _milliseconds(row: Row) -> str:
    first_byte, before = 0, _NO_CONNECTION
    if row.phases is not None:
        dns, connect, tls, first_byte = row.phases
        if dns or connect:
            before = f',"ms":{{"dns":{_ms(dns)},"connect":{_ms(connect)},"tls":{_ms(tls)}'
    whole = int(row.seconds * 1_000_000.0 + 0.5)
    return f'{before},"first_byte":{_ms(first_byte)},"all":{_ms(whole)}}}'


def _ms(microseconds: int) -> str:
    """Milliseconds as JSON."""
    whole, rest = microseconds // 1000, microseconds % 1000
    return f"{whole}.{_THREE_DIGITS[rest]}" if rest else str(whole)
