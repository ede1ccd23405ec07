"""The records of the delivery log and of the reports (docs/reference/records.md#delivery-log).

They hold no user data, no URI values and no secrets: ids, numbers and words of fixed lists.
"""

from collections.abc import Callable, Mapping, Sequence
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


def report_value(record: ReportRecord) -> bytes:
    """The value of a report."""
    return orjson.dumps(
        {
            "format": FORMAT,
            "hook": record.hook,
            "hour": record.hour,
            "replica": record.replica,
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
    """A record of the delivery log. Unknown fields are passed over; never raises.

    Fields are checked one by one only if their types are new together, or a number is negative: to
    do so for each record would cost a search more than all else.
    """
    try:
        fields = read_fields(value)
        values = [fields.get(name) for name in DeliveryRecord._fields]
        types = tuple(map(type, values))
        if types not in _READABLE_TYPES or _has_negative(values):
            for name, check in _DELIVERY_CHECKS.items():
                check(fields, name)
            _READABLE_TYPES.add(types)
        values[_OUTCOME] = _followed(fields, "outcome")
        values[_MS] = _phases(fields, "ms")
    except MalformedError as error:
        return NotARecord(str(error))
    return DeliveryRecord._make(values)


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
    if not isinstance(ms, dict):
        raise MalformedError(f"{name} is no mapping")
    numbers = [ms.get(phase, 0.0) for phase in Phases._fields]
    if not _NUMBERS.issuperset(map(type, numbers)):
        wrong = next(
            phase
            for phase, number in zip(Phases._fields, numbers, strict=True)
            if type(number) not in _NUMBERS
        )
        raise MalformedError(f"{name}.{wrong} is no number")
    return Phases._make(map(float, numbers))


def _has_negative(values: Sequence[Any]) -> bool:
    """Whether a count is below 0, among values whose types were checked."""
    return any((values[index] or 0) < 0 for index in _COUNTS)


_NO_PHASES: Final = Phases()
_NUMBERS: Final = frozenset((float, int))
_OUTCOME: Final = DeliveryRecord._fields.index("outcome")
_MS: Final = DeliveryRecord._fields.index("ms")
_DELIVERY_CHECKS: Final[Mapping[str, Callable[[dict[str, Any], str], object]]] = {
    "at": text_of,
    "delivery": text_of,
    "hook": text_of,
    "source": text_of,
    "attempt": count_of,
    "outcome": _followed,
    "replica": text_of,
    "event": optional_text,
    "revision": optional_count,
    "status": optional_count,
    "error": optional_text,
    "ms": _phases,
    "retry_at": optional_text,
    "reason": optional_text,
    "user": optional_text,
    "trace": optional_text,
}
_COUNTS: Final = tuple(
    index
    for index, name in enumerate(DeliveryRecord._fields)
    if _DELIVERY_CHECKS[name] in {count_of, optional_count}
)
_READABLE_TYPES: Final[set[tuple[type, ...]]] = set()
"""Types that the fields of a record may have together: a field may be there or not, so there are
at most some thousand."""
