"""The headers of a record on a retry or dead-letter topic.

docs/reference/records.md#records-on-them lists them. hookstream's own headers come first, each
once. The headers of the source record follow, in their order and with their duplicates; the names
in `OWN_HEADERS` are reserved, so a source record's header with such a name is not kept.
"""

import re
from dataclasses import dataclass, replace

from consumer.reasons import Reason
from consumer.records.header_sink import HeaderList, HeaderSink
from consumer.records.headers import (
    ATTEMPTS,
    DELIVERY_ID,
    DETAIL,
    FIRST_FAILED_AT,
    GROUP,
    HOOK,
    LAST_STATUS,
    MAPPED,
    NOT_BEFORE,
    ORDER,
    OWN_HEADERS,
    REASON,
    REPLAYED_AT,
    REPLAYED_BY,
    REPLAYED_FROM,
    SOURCE,
    SOURCE_TIMESTAMP,
    TRACE,
    TRIGGER,
    UNKNOWN_SINCE,
    last_value,
    read_number,
)
from consumer.records.record import Headers, UndecodableError

_DELIVERY_IDS = re.compile(r"[A-Za-z0-9_~%:-]{0,300}")
_MAX_INTEGER = 2**63 - 1
"""Kafka's offsets and timestamps have 64 bits."""
_LARGE_MOMENT = 1e12
"""Seconds. Another program may have written any number."""
_MAX_DETAIL_CHARACTERS = 1_000
"""A longer detail is cut off."""
_MAX_HEADER_BYTES = 4_096
"""Of one own header: a dead letter without its value fits into any topic."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The last replay of a record out of the dead-letter topic."""

    replayed_from: str
    """`topic/partition/offset` of the dead letter."""
    at: float
    """Epoch seconds."""

    def write_headers(self, sink: HeaderSink) -> None:
        """Write the headers of a record on a retry or dead-letter topic."""
        sink.add(REPLAYED_FROM, self.replayed_from.encode())
        sink.add(REPLAYED_AT, _seconds(self.at).encode())

    def write_source_headers(self, sink: HeaderSink, group: str) -> None:
        """Write the headers of a record that `group` writes back to its source topic; they name it,
        since other groups that read the topic have settled the record.
        """
        self.write_headers(sink)
        sink.add(REPLAYED_BY, group.encode())


@dataclass(slots=True, init=False)
class DeliveryMetadata:
    """All delivery state that must survive a restart: the own headers of a record, whose key and
    value stay unchanged.

    An undecodable record has only `reason` and `source`. Instances are never modified; frozen, each
    would cost a call for each field, and with the generated `__init__`, which is not compiled, half
    as much.
    """

    reason: str
    """A dead letter's `Reason`, or the cause of a deferral."""
    topic: str
    partition: int
    offset: int
    """These three locate the source record."""
    timestamp: int
    """Milliseconds since the epoch: the source record's, an event's time by default."""
    trigger: str
    delivery_id: str
    hook: str
    attempts: int
    last_status: str
    first_failed_at: float | None
    """Epoch seconds."""
    not_before: float | None
    """Epoch seconds; None on the dead-letter topic."""
    unknown_since: float | None
    """Epoch seconds since when no replica that read the delivery knew its hook."""
    mapped: bool
    """Whether the value can only be read with the `fields` of its source."""
    detail: str
    """The fault in a few words, for people."""
    replay: Replay | None
    """Kept if the delivery fails again."""
    traceparent: str
    """The span by which the record was written; "" if nothing is recorded of its event."""
    order: str
    """Its line, as the header says it; "" if it is in none."""

    def __init__(  # noqa: PLR0917  # as a generated one
        self,
        reason: str,
        topic: str,
        partition: int,
        offset: int,
        timestamp: int,
        trigger: str,
        delivery_id: str = "",
        hook: str = "",
        attempts: int = 0,
        last_status: str = "",
        first_failed_at: float | None = None,
        not_before: float | None = None,
        unknown_since: float | None = None,
        mapped: bool = False,  # noqa: FBT001, FBT002
        detail: str = "",
        replay: Replay | None = None,
        traceparent: str = "",
        order: str = "",
    ) -> None:
        self.reason = reason
        self.topic = topic
        self.partition = partition
        self.offset = offset
        self.timestamp = timestamp
        self.trigger = trigger
        self.delivery_id = delivery_id
        self.hook = hook
        self.attempts = attempts
        self.last_status = last_status
        self.first_failed_at = first_failed_at
        self.not_before = not_before
        self.unknown_since = unknown_since
        self.mapped = mapped
        self.detail = detail
        self.replay = replay
        self.traceparent = traceparent
        self.order = order

    @property
    def source(self) -> str:
        """`topic/partition/offset` of the source record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def dead_lettered(self, reason: Reason, detail: str) -> "DeliveryMetadata":
        """A copy for the dead-letter topic."""
        return replace(
            self, reason=reason, not_before=None, unknown_since=None, detail=detail, order=""
        )

    def write_headers(self, sink: HeaderSink, group: str) -> None:
        """Write the own headers; `group`: the writer's `kafka.group_id`."""
        sink.add_text(DELIVERY_ID, self.delivery_id)
        sink.add_text(HOOK, self.hook)
        sink.add_text(REASON, self.reason)
        sink.add_text(ATTEMPTS, str(self.attempts))
        sink.add_text(LAST_STATUS, self.last_status)
        sink.add_text(FIRST_FAILED_AT, _seconds(self.first_failed_at))
        sink.add_text(NOT_BEFORE, _seconds(self.not_before))
        sink.add_text(UNKNOWN_SINCE, _seconds(self.unknown_since))
        sink.add_text(SOURCE, self.source)
        sink.add_text(SOURCE_TIMESTAMP, str(self.timestamp))
        sink.add_text(TRIGGER, self.trigger)
        sink.add_text(MAPPED, "yes" if self.mapped else "")
        sink.add_text(GROUP, group)
        sink.add_text(ORDER, self.order)
        sink.add_text(DETAIL, self.detail[:_MAX_DETAIL_CHARACTERS])
        sink.add_text(TRACE, self.traceparent)
        if self.replay is not None:
            self.replay.write_headers(sink)

    def headers(self, group: str = "") -> Headers:
        """The own headers as a sequence; `group`: "" only in tests, as older versions wrote it."""
        sink = HeaderList()
        self.write_headers(sink, group)
        return sink.headers


def read_delivery_metadata(headers: Headers) -> DeliveryMetadata:
    """The delivery metadata of a record on a retry or dead-letter topic.

    Raises `UndecodableError` if a header that hookstream always writes is missing or malformed:
    another program wrote the record.
    """
    try:
        texts = _texts(headers)
        topic, partition, offset = texts[SOURCE].rsplit("/", 2)
        return DeliveryMetadata(
            reason=texts[REASON],
            topic=topic,
            partition=_integer(partition),
            offset=_integer(offset),
            timestamp=_integer(texts[SOURCE_TIMESTAMP]),
            trigger=texts.get(TRIGGER, ""),
            delivery_id=_delivery_id(texts.get(DELIVERY_ID, "")),
            hook=texts.get(HOOK, ""),
            attempts=_integer(texts[ATTEMPTS]),
            last_status=texts.get(LAST_STATUS, ""),
            first_failed_at=_timestamp(texts.get(FIRST_FAILED_AT)),
            not_before=_timestamp(texts.get(NOT_BEFORE)),
            unknown_since=_timestamp(texts.get(UNKNOWN_SINCE)),
            mapped=MAPPED in texts,
            detail=texts.get(DETAIL, ""),
            replay=_replay(texts),
            traceparent=texts.get(TRACE, ""),
            order=texts.get(ORDER, ""),
        )
    except KeyError as error:
        raise UndecodableError(f"the header {error.args[0]} is missing") from None
    except ValueError:
        raise UndecodableError("a hookstream header is malformed") from None


def read_replay(headers: Headers, group: bytes) -> Replay | None:
    """The replay by which `group` wrote a record back to its source topic; None for all others.

    Other programs write to source topics, so malformed headers count as absent.
    """
    if last_value(headers, REPLAYED_BY) != group:
        return None
    try:
        return _replay(_texts(headers))
    except ValueError:
        return None


def _texts(headers: Headers) -> dict[str, str]:
    """The own headers, the last of each name.

    Raises `ValueError` if one is not UTF-8, or longer than hookstream writes any.
    """
    texts: dict[str, str] = {}
    for name, value in headers:
        # A header may lack its value. The group is compared as bytes.
        if name in OWN_HEADERS and value is not None and name != GROUP:
            if len(value) > _MAX_HEADER_BYTES:
                raise ValueError
            texts[name] = value.decode()
    return texts


def _replay(texts: dict[str, str]) -> Replay | None:
    """The last replay of a record; only for people, so a malformed one counts as absent."""
    replayed_from, at = texts.get(REPLAYED_FROM), texts.get(REPLAYED_AT)
    if replayed_from is None or at is None:
        return None
    try:
        return Replay(replayed_from, read_number(at))
    except ValueError:
        return None


def _seconds(moment: float | None) -> str:
    """Seconds with three decimals; "" for None."""
    if moment is None:
        return ""
    if 1.0 <= moment < _LARGE_MOMENT:  # as an integer: a third of a float's formatting
        digits = str(int(moment * 1000.0 + 0.5))
        return f"{digits[:-3]}.{digits[-3:]}"
    return f"{moment:.3f}"


def _timestamp(text: str | None) -> float | None:
    return read_number(text) if text is not None else None


def _integer(text: str) -> int:
    number = int(text)
    if not -_MAX_INTEGER <= number <= _MAX_INTEGER:
        raise ValueError
    return number


def _delivery_id(id: str) -> str:
    """Check that `id` is like those of `delivery.http.request.delivery_id`: it goes into a header,
    and with a dot its signature would be ambiguous.
    """
    if not _DELIVERY_IDS.fullmatch(id):
        raise ValueError
    return id
