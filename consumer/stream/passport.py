"""The headers of a record on a retry or dead-letter topic (contract section 5)."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from math import isfinite

from consumer.events.decode import Record, UndecodableError

Headers = list[tuple[str, bytes]]
"""As they are written; what is read may lack values."""

_PREFIX = "hookstream-"
_NOT_BEFORE = "hookstream-not-before"
_REPLAYED_FROM = "hookstream-replayed-from"
_REPLAYED_AT = "hookstream-replayed-at"
_DELIVERY_ID = re.compile(r"[A-Za-z0-9_~%:-]{0,300}")
_MAX_INTEGER = 2**63 - 1
"""Kafka's offsets and timestamps have 64 bits."""


@dataclass(frozen=True, slots=True)
class Replay:
    """A person sent the record back out of the dead-letter topic."""

    origin: str
    """`topic/partition/offset` of the dead letter."""
    at: float
    """Epoch seconds."""

    def headers(self) -> Headers:
        """The headers that say so."""
        return [
            (_REPLAYED_FROM, self.origin.encode()),
            (_REPLAYED_AT, _seconds(self.at).encode()),
        ]


@dataclass(slots=True)
class Passport:
    """Everything that must survive a restart; the record's key and value travel unchanged.

    All empty but `reason` and `source` for a record that could not be decoded. Nobody changes one;
    not frozen, since that costs a call for each field, and more than all the rest of a hand-over.
    """

    reason: str
    """A dead letter's reason, or on a retry topic why it is there."""
    topic: str
    partition: int
    offset: int
    """Where the event was first consumed."""
    timestamp: int
    """Milliseconds since the epoch: the first record's timestamp, an event's time by default."""
    trigger: str
    delivery_id: str = ""
    hook: str = ""
    attempts: int = 0
    last_status: str = ""
    first_failed_at: float | None = None
    """Epoch seconds."""
    not_before: float | None = None
    """Epoch seconds; None on the dead-letter topic."""
    detail: str = ""
    """For people: what was wrong in a few words."""
    replay: Replay | None = None
    """Kept on all further ways, so that a delivery that fails again tells its story."""

    @property
    def source(self) -> str:
        """`topic/partition/offset` of the first record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def headers(self) -> Headers:
        """The headers, all UTF-8 text; a fact that is not known has none."""
        facts = (
            ("hookstream-delivery-id", self.delivery_id),
            ("hookstream-hook", self.hook),
            ("hookstream-reason", self.reason),
            ("hookstream-attempts", str(self.attempts)),
            ("hookstream-last-status", self.last_status),
            ("hookstream-first-failed-at", _seconds(self.first_failed_at)),
            (_NOT_BEFORE, _seconds(self.not_before)),
            ("hookstream-source", self.source),
            ("hookstream-source-timestamp", str(self.timestamp)),
            ("hookstream-trigger", self.trigger),
            ("hookstream-detail", self.detail),
        )
        headers = [(name, text.encode()) for name, text in facts if text]
        return headers + self.replay.headers() if self.replay is not None else headers


def read_passport(headers: Sequence[tuple[str, bytes | None]]) -> Passport:
    """The passport of a record on a retry or dead-letter topic.

    Raises `UndecodableError` where a header that this daemon writes is missing or malformed:
    then somebody else wrote the record.
    """
    try:
        # Kafka also has headers without a value.
        texts = {
            name: value.decode()
            for name, value in headers
            if name.startswith(_PREFIX) and value is not None
        }
        topic, partition, offset = texts["hookstream-source"].rsplit("/", 2)
        return Passport(
            reason=texts["hookstream-reason"],
            topic=topic,
            partition=_integer(partition),
            offset=_integer(offset),
            timestamp=_integer(texts["hookstream-source-timestamp"]),
            trigger=texts.get("hookstream-trigger", ""),
            delivery_id=_delivery_id(texts.get("hookstream-delivery-id", "")),
            hook=texts.get("hookstream-hook", ""),
            attempts=_integer(texts["hookstream-attempts"]),
            last_status=texts.get("hookstream-last-status", ""),
            first_failed_at=_moment(texts.get("hookstream-first-failed-at")),
            not_before=_moment(texts.get(_NOT_BEFORE)),
            detail=texts.get("hookstream-detail", ""),
            replay=read_replay(headers),
        )
    except KeyError as error:
        raise UndecodableError(f"the header {error.args[0]} is missing") from None
    except ValueError:
        raise UndecodableError("a hookstream header is malformed") from None


def read_not_before(headers: Sequence[tuple[str, bytes | None]]) -> float | None:
    """Epoch seconds at which a record on a retry topic is due; None where a passport tells none.

    What is malformed or has no passport is due at once, since nothing will come of it.
    """
    for name, value in headers:
        if name == _NOT_BEFORE and value is not None:
            try:
                return _number(value.decode())
            except ValueError:
                return 0.0
    return None if any(name.startswith(_PREFIX) for name, _ in headers) else 0.0


def read_replay(headers: Iterable[tuple[str, bytes | None]]) -> Replay | None:
    """The last replay that a record went through; None where the headers tell of none.

    Undecodable records are replayed onto source topics, which are other people's: what is
    malformed there counts as absent.
    """
    origin = at = None
    for name, value in headers:
        if name == _REPLAYED_FROM:
            origin = value
        elif name == _REPLAYED_AT:
            at = value
    if origin is None or at is None:
        return None
    try:
        return Replay(origin.decode(), _number(at.decode()))
    except ValueError:
        return None


class FirstRecord:
    """A record as it was first consumed, read again from a retry topic: a `Record`."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, passport: Passport, parked: Record) -> None:
        self.topic = passport.topic
        self.partition = passport.partition
        self.offset = passport.offset
        self.timestamp = passport.timestamp
        self.key = parked.key
        self.value = parked.value
        self.headers = parked.headers


def _seconds(moment: float | None) -> str:
    return f"{moment:.3f}" if moment is not None else ""


def _moment(text: str | None) -> float | None:
    return _number(text) if text is not None else None


def _number(text: str) -> float:
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number


def _integer(text: str) -> int:
    number = int(text)
    if not -_MAX_INTEGER <= number <= _MAX_INTEGER:
        raise ValueError
    return number


def _delivery_id(id: str) -> str:
    """As `delivery.request.delivery_id` makes them: it goes into a request's header, and with a dot
    in it could be signed as the timestamp too.
    """
    if not _DELIVERY_ID.fullmatch(id):
        raise ValueError
    return id
