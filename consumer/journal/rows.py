"""A row of the delivery log in memory, and its value in the topic."""

from datetime import UTC, datetime
from hashlib import blake2b
from typing import Any, Final

import orjson

from consumer.delivery.http.transport import Phases
from consumer.journal.records import FORMAT, USER_HASH_BYTES

UNKNOWN: Final = -1.0
"""No time for a retry."""
_MAX_EVENT_CHARACTERS: Final = 300
"""Of an event's id: as many as a delivery's id may have. A longer one is cut."""
_MAX_LATER_SECONDS: Final = 366 * 24 * 3600.0


class Row:
    """One record of the log, without the event that it is about: rows wait in memory."""

    __slots__ = (
        "at", "attempt", "delivery", "error", "event", "hook", "offset", "outcome", "partition",
        "phases", "reason", "retry_after", "revision", "seconds", "status", "topic", "user",
    )  # fmt: skip

    def __init__(self, at: float, hook: str, delivery: str) -> None:
        """`at`: epoch seconds."""
        self.at = at
        self.hook = hook
        self.delivery = delivery
        self.revision: int | None = None
        self.event: str | None = None
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


class RowEncoder:
    """Makes values of rows; `user_key`: see `records.user_key`."""

    def __init__(self, replica: str, user_key: bytes) -> None:
        self._replica = replica
        self._hash = blake2b(digest_size=USER_HASH_BYTES, key=user_key)
        self._at = _TimeText()
        self._later = _TimeText()

    def use_key(self, user_key: bytes) -> None:
        """Hash users with another key from now on."""
        self._hash = blake2b(digest_size=USER_HASH_BYTES, key=user_key)

    def encode(self, row: Row) -> bytes:
        """The value: what `records.read_delivery` reads."""
        value: dict[str, Any] = {
            "format": FORMAT,
            "at": self._at.text(row.at),
            "delivery": row.delivery,
            "hook": row.hook,
            "source": f"{row.topic}/{row.partition}/{row.offset}",
            "attempt": row.attempt,
            "outcome": row.outcome,
            "replica": self._replica,
        }
        if row.revision is not None:
            value["revision"] = row.revision
        if row.event is not None:
            value["event"] = row.event[:_MAX_EVENT_CHARACTERS]
        if row.attempt:
            if row.error is None:
                value["status"] = row.status
            else:
                value["error"] = row.error
            value["ms"] = _milliseconds(row)
        if row.retry_after >= 0.0:
            value["retry_at"] = self._later.text(row.at + min(row.retry_after, _MAX_LATER_SECONDS))
        if row.reason:
            value["reason"] = row.reason
        if row.user is not None:
            hashed = self._hash.copy()
            hashed.update(row.user.encode())
            value["user"] = hashed.hexdigest()
        return orjson.dumps(value)


class _TimeText:
    """Times as text; those of one second are made once."""

    def __init__(self) -> None:
        self._second = -1
        self._text = ""

    def text(self, at: float) -> str:
        """RFC 3339 in UTC with milliseconds."""
        second, ms = divmod(int(at * 1000.0), 1000)
        if second != self._second:
            self._second = second
            self._text = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S.")
        return f"{self._text}{ms:03d}Z"


def hour_text(hour: int) -> str:
    """The `hour` of a report, of hours since the epoch."""
    return datetime.fromtimestamp(hour * 3_600, UTC).strftime("%Y-%m-%dT%H")


def _milliseconds(row: Row) -> dict[str, float]:
    dns, connect, tls, first_byte = row.phases or (0, 0, 0, 0)
    return {
        "dns": dns / 1000,
        "connect": connect / 1000,
        "tls": tls / 1000,
        "first_byte": first_byte / 1000,
        "all": int(row.seconds * 1_000_000.0 + 0.5) / 1000,
    }
