"""The records of the delivery log and of the reports (docs/reference/records.md#delivery-log).

They hold no user data, no URI values and no secrets: ids, numbers and words of fixed lists.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, NamedTuple

import orjson

from consumer.journal.record_fields import (
    FORMAT,
    MalformedError,
    count_of,
    counts_of,
    numbers_of,
    optional_count,
    optional_text,
    read_fields,
    text_of,
)
from consumer.settings import Settings

USER_HASH_BYTES: Final = 16
MAX_USER_CHARACTERS: Final = 1024
"""A user with a longer id is not in the log, and cannot be asked for."""
_GROUP_FIELD: Final = b'"group":'
_KEY_PERSON: Final = b"hookstream-log"


class Followed(StrEnum):
    """What followed for a delivery: the `outcome` of a record."""

    DELIVERED = "delivered"
    RETRY = "retry"
    """Another attempt will be made: in this process, out of a retry topic, or by another replica.
    """
    OVERFLOW = "overflow"
    DEAD_LETTER = "dead_letter"


_FOLLOWED: Final = {str(one): one for one in Followed}


@dataclass(frozen=True, slots=True)
class NotARecord:
    """A record of the topic that is none of this format."""

    why: str
    """One sentence without a subject, for people."""


class Phases(NamedTuple):
    """Milliseconds from the start of an attempt to the end of each phase; 0: there was none, as on
    a connection that was open before.
    """

    dns: float = 0.0
    connect: float = 0.0
    tls: float = 0.0
    first_byte: float = 0.0
    all: float = 0.0


class DeliveryRecord(NamedTuple):
    """One attempt, or the end of a delivery without one. A tuple: a search makes millions."""

    at: str
    """RFC 3339 in UTC with milliseconds: when its result came. The record's timestamp is this."""
    delivery: str
    hook: str
    source: str
    """`topic/partition/offset` of the event."""
    attempt: int
    """1, 2, 3...; 0: it ended without an attempt, or while one was under way (a stop, a partition
    that moves)."""
    outcome: Followed
    replica: str
    """Another id after each start."""
    event: str | None = None
    """None if the event was not decoded."""
    revision: int | None = None
    """None for a hook out of a file."""
    status: int | None = None
    error: str | None = None
    """An `ErrorKind`. Neither this nor a status: no attempt."""
    ms: Phases = Phases()
    retry_at: str | None = None
    """RFC 3339; None if it is not known, as for a delivery that waits in a queue."""
    reason: str | None = None
    """The `Reason` of a dead letter, or one word for an overflow or a retry without an attempt."""
    user: str | None = None
    """See `hash_user`."""
    trace: str | None = None
    """32 hex digits."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ReportRecord:
    """The counts so far of one replica for one hook and hour."""

    hook: str
    hour: str
    """UTC: `2026-11-29T10`."""
    replica: str
    delivered: int = 0
    retried: int = 0
    overflowed: int = 0
    dead_lettered: Mapping[str, int] = field(default_factory=dict)
    """By reason; those that are not 0."""
    attempts: Mapping[str, int] = field(default_factory=dict)
    """By the `status` label of `hookstream_attempts_total`; those that are not 0."""
    latency: Sequence[int] = ()
    """Attempts by their time: of each bucket by itself; the last one is for all that is longer."""
    bounds: Sequence[float] = ()
    """Seconds: the upper ends of all buckets but the last."""


def user_key(secret: str | None, group: str, prefix: str) -> bytes:
    """The key of the users' hashes. Without a `secret` it is made of the group's id and the topic
    prefix: anyone who knows these can try ids of users.
    """
    text = f"{group}\0{prefix}" if secret is None else secret
    return blake2b(text.encode(), digest_size=32, person=_KEY_PERSON).digest()


def user_key_of(settings: Settings) -> bytes:
    """The key of the users' hashes that the settings make: see `user_key`."""
    secret, kafka = settings.delivery_log.user_key, settings.kafka
    text = secret.get_secret_value() if secret is not None else None
    return user_key(text, kafka.group_id, kafka.topic_prefix)


def hash_user(key: bytes, user: str) -> str:
    """The `user` of a record: whoever has the key can look a person up, and nobody can read one."""
    return blake2b(user.encode(), digest_size=USER_HASH_BYTES, key=key).hexdigest()


def report_key(hook: str, hour: str, replica: str) -> bytes:
    """The key of a report."""
    return f"{hook}|{hour}|{replica}".encode()


class InstallationMark:
    """Tells the records of one installation from those of others that share its topic prefix."""

    def __init__(self, group: str) -> None:
        """`group`: its `kafka.group_id`."""
        self.group = group
        self._field = _GROUP_FIELD + orjson.dumps(group)

    def is_foreign(self, value: bytes | None) -> bool:
        """Whether another installation wrote the record. One without a group is the reader's own:
        older versions wrote none. In a text of JSON there is a backslash before a quotation mark.
        """
        return value is not None and _GROUP_FIELD in value and self._field not in value


def report_value(record: ReportRecord, group: str) -> bytes:
    """The value of a report of the installation of this `kafka.group_id`."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "hook": record.hook,
            "hour": record.hour,
            "replica": record.replica,
            "group": group,
            "delivered": record.delivered,
            "retried": record.retried,
            "overflowed": record.overflowed,
            "dead_lettered": record.dead_lettered,
            "attempts": record.attempts,
            "latency": record.latency,
            "bounds": record.bounds,
        }
    )


def read_delivery(value: bytes | None) -> DeliveryRecord | NotARecord:
    """A record of the delivery log. Unknown fields are passed over; never raises."""
    try:
        fields = read_fields(value)
        return DeliveryRecord._make(
            (
                text_of(fields, "at"),
                text_of(fields, "delivery"),
                text_of(fields, "hook"),
                text_of(fields, "source"),
                count_of(fields, "attempt"),
                _followed(fields, "outcome"),
                text_of(fields, "replica"),
                optional_text(fields, "event"),
                optional_count(fields, "revision"),
                optional_count(fields, "status"),
                optional_text(fields, "error"),
                _phases(fields, "ms"),
                optional_text(fields, "retry_at"),
                optional_text(fields, "reason"),
                optional_text(fields, "user"),
                optional_text(fields, "trace"),
            )
        )
    except MalformedError as error:
        return NotARecord(str(error))


def read_report(value: bytes | None) -> ReportRecord | NotARecord:
    """A report. Unknown fields are passed over; never raises."""
    try:
        fields = read_fields(value)
        record = ReportRecord(
            hook=text_of(fields, "hook"),
            hour=text_of(fields, "hour"),
            replica=text_of(fields, "replica"),
            delivered=count_of(fields, "delivered"),
            retried=count_of(fields, "retried"),
            overflowed=count_of(fields, "overflowed"),
            dead_lettered=counts_of(fields, "dead_lettered"),
            attempts=counts_of(fields, "attempts"),
            latency=numbers_of(fields, "latency", int),
            bounds=numbers_of(fields, "bounds", int | float),
        )
    except MalformedError as error:
        return NotARecord(str(error))
    if len(record.latency) != len(record.bounds) + 1:
        return NotARecord("has other buckets than bounds")
    return record


def _followed(fields: dict[str, Any], name: str) -> Followed:
    followed = _FOLLOWED.get(text_of(fields, name))
    if followed is None:
        raise MalformedError("has an unknown outcome")
    return followed


def _phases(fields: dict[str, Any], name: str) -> Phases:
    ms = fields.get(name)
    if ms is None:
        return _NO_PHASES
    if type(ms) is not dict:
        raise MalformedError(f"{name} is no mapping")
    return Phases._make(
        (
            _number(ms, "dns"),
            _number(ms, "connect"),
            _number(ms, "tls"),
            _number(ms, "first_byte"),
            _number(ms, "all"),
        )
    )


def _number(ms: dict[str, Any], phase: str) -> Any:
    number = ms.get(phase, 0.0)
    if type(number) is not float and type(number) is not int:
        raise MalformedError(f"ms.{phase} is no number")
    return number


_NO_PHASES: Final = Phases()
