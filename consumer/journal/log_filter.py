"""Which records of the delivery log are wanted; it is pure."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from hashlib import blake2b
from typing import Final

import orjson

from consumer.documents.durations import parse_duration
from consumer.errors import ConfigError, Diagnostic, InvalidValue
from consumer.journal.records import (
    DeliveryRecord,
    Followed,
    InstallationMark,
    NotARecord,
    hash_user,
    read_delivery,
)
from consumer.journal.rows import MAX_EVENT_CHARACTERS
from consumer.metrics.hooks import STATUSES, status_label
from consumer.records.record import Record

MAX_CLOCK_SKEW_SECONDS: Final = 60.0
"""How far ahead the clock may be by which a person or another process wrote a time."""
FILTERS: Final = ("hook", "outcome", "status", "since", "until", "id", "event", "user")
"""The names of the filters."""
_STATUS: Final = re.compile(r"[1-9]\d\d")
_MAX_CHARACTERS: Final = 1024
_SPACES: Final = rb"\s*:\s*"
_NEEDLESS_ESCAPE: Final = re.compile(rb"\\[u/]")
_LOST_PLUS: Final = re.compile(r"[0-9] [0-9]{2}:?[0-9]{2}$")
_STATUS_KEY: Final = rb'"status"' + _SPACES
_OUTCOME_KEY: Final = rb'"outcome"' + _SPACES


@dataclass(frozen=True, slots=True, kw_only=True)
class LogFilter:
    """A filter of the delivery log; None selects all."""

    hook: str | None = None
    outcome: Followed | None = None
    status: str | None = None
    """A status as `503`, or one of `STATUSES`: a class as `5xx`, or a kind of error."""
    since: int | None = None
    """Epoch milliseconds: records from then on."""
    until: int | None = None
    """Epoch milliseconds: records before then."""
    delivery: str | None = None
    event: str | None = None
    user: str | None = None
    """The keyed hash of the user's id."""

    def matches(self, record: DeliveryRecord, timestamp: int) -> bool:
        """Whether a record with this timestamp (epoch milliseconds) is wanted."""
        return (
            (self.hook is None or self.hook == record.hook)
            and (self.outcome is None or self.outcome == record.outcome)
            and (self.delivery is None or self.delivery == record.delivery)
            and (self.event is None or self.event == record.event)
            and (self.user is None or self.user == record.user)
            and (self.since is None or self.since <= timestamp)
            and (self.until is None or timestamp < self.until)
            and (self.status is None or _has_status(record, self.status))
        )

    @property
    def digest(self) -> str:
        """Equal for filters that differ in their times only: `since` may be told relative to now,
        and a search that goes on has its place in the log.
        """
        parts = (self.hook, self.outcome, self.status, self.delivery, self.event, self.user)
        return blake2b(orjson.dumps(parts), digest_size=6).hexdigest()


class Matcher:
    """Reads records of the topic, and returns those that are wanted.

    Most records are told apart by their bytes, at a fraction of the cost of reading them: but for
    escapes that JSON's writers need not use there is one way only to write a text.
    """

    def __init__(self, wanted: LogFilter, group: str) -> None:
        """`group`: the `kafka.group_id` whose log is read."""
        self.passed_over = 0
        """Records that are no records of the installation's log, of those that had to be read."""
        self._mark = InstallationMark(group)
        self._wanted = wanted
        self._key = wanted.hook.encode() if wanted.hook is not None else None
        self._since = wanted.since
        self._until = wanted.until
        texts = (wanted.delivery, wanted.event, wanted.user)
        self._texts = [orjson.dumps(text) for text in texts if text is not None]
        self._patterns = list(_patterns(wanted))

    def __call__(self, record: Record) -> DeliveryRecord | None:
        """The record of the log, if it is wanted."""
        if self._key is not None and record.key != self._key:
            return None
        if self._since is not None and record.timestamp < self._since:
            return None
        if self._until is not None and record.timestamp >= self._until:
            return None
        if not self.may_match(record.value or b""):
            return None
        found = read_delivery(record.value)
        if isinstance(found, NotARecord) or self._mark.is_foreign(record.value):
            self.passed_over += 1
            return None
        return found if self._wanted.matches(found, record.timestamp) else None

    @property
    def is_selective(self) -> bool:
        """Whether bytes tell that records are not wanted."""
        return bool(self._texts or self._patterns)

    def may_match(self, value: bytes) -> bool:
        """Whether these bytes, of one record or of many, may hold one that is wanted."""
        for text in self._texts:
            if text not in value and not _is_escaped(value):
                return False
        for pattern in self._patterns:
            if pattern.search(value) is None and not _is_escaped(value):
                return False
        return True


def parse_filter(values: Mapping[str, str], *, now: float, user_key: bytes) -> LogFilter:
    """The filter that a person wrote: names of `FILTERS` with texts; `now` is in epoch seconds.

    Raises:
        ConfigError: with each name that is no filter, and each text that it does not take.
    """
    problems: list[Diagnostic] = []
    texts: dict[str, str] = {}
    times: dict[str, int] = {}
    for name, text in values.items():
        try:
            _check_text(name, text)
            if name in TIMES:
                times[name] = TIMES[name](text, now)
            else:
                texts[name] = _checked(name, text)
        except InvalidValue as error:
            problems.append(Diagnostic(error.message, error.hint, field=name))
    if problems:
        raise ConfigError(problems)
    outcome, user = texts.get("outcome"), texts.get("user")
    return LogFilter(
        hook=texts.get("hook"),
        outcome=Followed(outcome) if outcome is not None else None,
        status=texts["status"].lower() if "status" in texts else None,
        since=times.get("since"),
        until=times.get("until"),
        delivery=texts.get("id"),
        event=texts["event"][:MAX_EVENT_CHARACTERS] if "event" in texts else None,
        user=hash_user(user_key, user) if user is not None else None,
    )


def parse_time(text: str, now: float) -> int:
    """Epoch milliseconds of an RFC 3339 time, or of a duration before `now` (epoch seconds).

    Raises:
        InvalidValue: it is neither.
    """
    try:
        moment = now - parse_duration(text)
    except InvalidValue:
        try:
            written = datetime.fromisoformat(text.upper())
        except ValueError:
            written = None
        if written is None or written.tzinfo is None:
            hint = "write a time as 2026-11-24T10:00:00Z, or 2h for two hours ago"
            if _LOST_PLUS.search(text):
                hint = "a + in an address is a blank: write %2B in its place, or the time with Z"
            raise InvalidValue(
                f"{text!r} is neither a time with its zone nor a duration", hint
            ) from None
        moment = written.timestamp()
    return max(0, int(moment * 1000))  # Kafka has no times before the epoch


def parse_since(text: str, now: float) -> int:
    """What `parse_time` gives, of the beginning of a span of the past.

    Raises:
        InvalidValue: it is no time, or it is in the future.
    """
    moment = parse_time(text, now)
    if moment > (now + MAX_CLOCK_SKEW_SECONDS) * 1000:
        raise InvalidValue(
            f"{text} is in the future, so nothing can be found",
            "write a time that has passed, or 2h for two hours ago",
        )
    return moment


TIMES: Final = {"since": parse_since, "until": parse_time}
"""The filters that are times."""


def check_filter(name: str, known: Sequence[str]) -> None:
    """Raise `InvalidValue` for a name that is no filter of those."""
    if name not in known:
        close = get_close_matches(name, known, n=1)
        raise InvalidValue(
            "is no filter",
            f"did you mean {close[0]}?" if close else f"there are: {', '.join(known)}",
        )


def _check_text(name: str, text: str) -> None:
    check_filter(name, FILTERS)
    try:
        size = len(text.encode())
    except UnicodeEncodeError:
        size = 0
    if not 0 < size <= _MAX_CHARACTERS:
        raise InvalidValue(
            "is empty, too long or not UTF-8", f"write at most {_MAX_CHARACTERS} bytes"
        )


def _checked(name: str, text: str) -> str:
    if name == "outcome" and text not in set(Followed):
        raise InvalidValue(f"{text!r} is no outcome", _choice(text, list(Followed)))
    if name == "status" and text.lower() not in STATUSES and _STATUS.fullmatch(text) is None:
        raise InvalidValue(f"{text!r} is no status", _choice(text, ["503", *STATUSES]))
    return text


def _choice(text: str, known: list[str]) -> str:
    close = get_close_matches(text, known, n=1)
    return f"did you mean {close[0]}?" if close else f"write one of: {', '.join(known)}"


def _has_status(record: DeliveryRecord, wanted: str) -> bool:
    if record.status is None and record.error is None:
        return False
    if wanted in STATUSES:
        return status_label(record.status or 0, record.error) == wanted
    return record.error is None and str(record.status) == wanted


def _is_escaped(value: bytes) -> bool:
    """Whether a text in these bytes may be spelled in another way than usual. A field of a record
    that is no text never has these bytes: its lengths and differences are even numbers.
    """
    return b"\\" in value and _NEEDLESS_ESCAPE.search(value) is not None


def _patterns(wanted: LogFilter) -> Iterator[re.Pattern[bytes]]:
    """Patterns that the bytes of a wanted record have, if they have no backslash."""
    if wanted.outcome is not None:
        yield re.compile(_OUTCOME_KEY + b'"' + wanted.outcome.encode() + b'"')
    status = wanted.status
    if status is None:
        return
    if status == "5xx":  # what is in no other class counts as this one
        yield re.compile(_STATUS_KEY + rb"(?![234]\d\d\D)\d")
    elif status in STATUSES and status.endswith("xx"):
        yield re.compile(_STATUS_KEY + status[:1].encode() + rb"\d\d")
    elif status in STATUSES:
        yield re.compile(rb'"error"' + _SPACES + b'"' + status.encode() + b'"')
    else:
        yield re.compile(_STATUS_KEY + status.encode())
