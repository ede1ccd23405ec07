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
_MAX_HOOKS: Final = 10_000
"""Hooks whose names are kept as JSON."""
_MAX_USERS: Final = 10_000
"""Users whose hashes are kept."""
_INTEGERS: Final = [str(number) for number in range(1000)]
"""A look-up costs a tenth of formatting a number."""
_THREE_DIGITS: Final = [f"{number:03d}" for number in range(1000)]
_ATTEMPTS: Final = [f'","attempt":{number},"outcome":"' for number in range(50)]
_STATUSES: Final = [f',"status":{number}' for number in range(600)]
_NO_CONNECTION: Final = ',"ms":{"dns":0,"connect":0,"tls":0,"first_byte":'
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

    The JSON is put together of texts, most of them known: to make a mapping for each row would cost
    twice as much. A delivery's id needs no escapes (`delivery.http.request.delivery_id`), nor do
    outcome and error.
    """

    def __init__(self, replica: str, group: str, user_key: bytes) -> None:
        self._end = f',"replica":{_quoted(replica)},"group":{_quoted(group)}}}'
        self._at = _TimeText(f'{{"format":{FORMAT},"at":"')
        self._later = _TimeText(',"retry_at":"')
        self._hooks: dict[str, _HookText] = {}
        self.use_key(user_key)

    def use_key(self, user_key: bytes) -> None:
        """Hash users with another key from now on."""
        self._hash = blake2b(digest_size=USER_HASH_BYTES, key=user_key)
        self._users: dict[str, str] = {}
        """The latest users' hashes: an event has several hooks, and a failure several attempts."""

    def encode_some(self, rows: list[Row], start: int, end: int, topic: str) -> list[LogRecord]:
        """Records of `topic`, of the rows from `start` to `end`."""
        records = []
        for index in range(start, min(end, len(rows))):
            row = rows[index]
            hook = self._hook(row)
            records.append(LogRecord(topic, hook.key, self._value(row, hook), int(row.at * 1000.0)))
        return records

    def encode(self, row: Row) -> bytes:
        """The value: what `records.read_delivery` reads."""
        return self._value(row, self._hook(row))

    def _value(self, row: Row, hook: "_HookText") -> bytes:
        second, milliseconds = self._at.parts(row.at)
        parts = [
            second, milliseconds, 'Z","delivery":"', row.delivery, hook.text,
            _integer(row.partition), "/", str(row.offset), _attempt(row.attempt), row.outcome, '"',
        ]  # fmt: skip
        if row.event is not None:
            if row.delivery.startswith(row.event):  # so it needs no escapes either
                parts += (',"event":"', row.event, '"')
            else:
                parts += (',"event":', _quoted(row.event))
        if row.revision is not None:
            parts += (',"revision":', str(row.revision))
        if row.attempt:
            if row.error is None:
                parts.append(_status(row.status))
            else:
                parts += (',"error":"', row.error, '"')
            _add_phases(parts, row)
        if row.retry_after >= 0.0:
            parts += self._later.parts(row.at + min(row.retry_after, _MAX_LATER_SECONDS))
            parts.append('Z"')
        if row.reason:
            parts += (',"reason":', _quoted(row.reason))
        if row.user is not None:
            parts += (',"user":"', self._hashed(row.user), '"')
        trace = parse_traceparent(row.traceparent) if row.traceparent is not None else None
        if trace is not None:
            parts.append(f',"trace":"{trace.trace_id:032x}"')
        parts.append(self._end)
        return "".join(parts).encode()

    def _hashed(self, user: str) -> str:
        known = self._users.get(user)
        if known is None:
            hashed = self._hash.copy()
            hashed.update(user.encode())
            if len(self._users) >= _MAX_USERS:
                self._users.clear()
            known = self._users[user] = hashed.hexdigest()
        return known

    def _hook(self, row: Row) -> "_HookText":
        """What is constant of the rows of a hook."""
        known = self._hooks.get(row.hook)
        if known is None or known.topic != row.topic:
            if len(self._hooks) >= _MAX_HOOKS:
                self._hooks.clear()
            known = self._hooks[row.hook] = _HookText(row.hook, row.topic)
        return known


class _HookText:
    """What rows of one hook and topic have in common. Another program may write any name of a hook
    or topic into the headers of a record.
    """

    __slots__ = ("key", "text", "topic")

    def __init__(self, hook: str, topic: str) -> None:
        self.key = hook.encode()
        self.topic = topic
        self.text = f'","hook":{_quoted(hook)},"source":{_quoted(topic)[:-1]}/'


def _quoted(text: str) -> str:
    return orjson.dumps(text).decode()


class _TimeText:
    """A text with times in it; what those of one second have in common is made once."""

    def __init__(self, before: str) -> None:
        """`before`: what stands before each time."""
        self._before = before
        self._second = -1
        self._text = ""

    def parts(self, at: float) -> tuple[str, str]:
        """RFC 3339 in UTC with milliseconds: what goes before them, and their digits."""
        milliseconds = int(at * 1000.0)
        second = milliseconds // 1000
        if second != self._second:
            self._second = second
            time = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
            self._text = self._before + time
        return self._text, _THREE_DIGITS[milliseconds % 1000]


def hour_text(hour: int) -> str:
    """The `hour` of a report, of hours since the epoch."""
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H")


def _integer(number: int) -> str:
    return _INTEGERS[number] if 0 <= number < len(_INTEGERS) else str(number)


def _attempt(number: int) -> str:
    known = 0 <= number < len(_ATTEMPTS)
    return _ATTEMPTS[number] if known else f'","attempt":{number},"outcome":"'


def _status(number: int) -> str:
    return _STATUSES[number] if 0 <= number < len(_STATUSES) else f',"status":{number}'


def _add_phases(parts: list[str], row: Row) -> None:
    first_byte, before = 0, _NO_CONNECTION
    if row.phases is not None:
        dns, connect, tls, first_byte = row.phases
        if dns or connect:
            before = (
                f',"ms":{{"dns":{_ms(dns)},"connect":{_ms(connect)},"tls":{_ms(tls)},"first_byte":'
            )
    parts.append(before)
    _add_ms(parts, first_byte)
    parts.append(',"all":')
    _add_ms(parts, int(row.seconds * 1_000_000.0 + 0.5))
    parts.append("}")


def _add_ms(parts: list[str], microseconds: int) -> None:
    """Add milliseconds as JSON."""
    rest = microseconds % 1000
    parts.append(_integer(microseconds // 1000))
    if rest:
        parts.append(".")
        parts.append(_THREE_DIGITS[rest])


def _ms(microseconds: int) -> str:
    parts: list[str] = []
    _add_ms(parts, microseconds)
    return "".join(parts)
