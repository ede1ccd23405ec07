"""Names of the headers that hookstream adds, and readers of single ones."""

from math import isfinite
from typing import Final

from consumer.records.record import Headers

DELIVERY_ID: Final = "hookstream-delivery-id"
HOOK: Final = "hookstream-hook"
REASON: Final = "hookstream-reason"
ATTEMPTS: Final = "hookstream-attempts"
LAST_STATUS: Final = "hookstream-last-status"
FIRST_FAILED_AT: Final = "hookstream-first-failed-at"
NOT_BEFORE: Final = "hookstream-not-before"
UNKNOWN_SINCE: Final = "hookstream-unknown-since"
SOURCE: Final = "hookstream-source"
SOURCE_TIMESTAMP: Final = "hookstream-source-timestamp"
TRIGGER: Final = "hookstream-trigger"
MAPPED: Final = "hookstream-mapped"
DETAIL: Final = "hookstream-detail"
GROUP: Final = "hookstream-group"
ORDER: Final = "hookstream-order"
"""The line that a delivery of a hook with `order` is in (`order_line.py`)."""
REPLAYED_FROM: Final = "hookstream-replayed-from"
REPLAYED_AT: Final = "hookstream-replayed-at"
REPLAYED_BY: Final = "hookstream-replayed-by"
TRACE: Final = "hookstream-traceparent"
"""The span by which a record was written, in the form of `TRACEPARENT`."""
TRACEPARENT: Final = "traceparent"
TRACESTATE: Final = "tracestate"
"""Of the producer (W3C Trace Context); kept as they are."""
OWN_HEADERS = frozenset(
    {
        DELIVERY_ID,
        HOOK,
        REASON,
        ATTEMPTS,
        LAST_STATUS,
        FIRST_FAILED_AT,
        NOT_BEFORE,
        UNKNOWN_SINCE,
        SOURCE,
        SOURCE_TIMESTAMP,
        TRIGGER,
        MAPPED,
        DETAIL,
        GROUP,
        ORDER,
        REPLAYED_FROM,
        REPLAYED_AT,
        REPLAYED_BY,
        TRACE,
    }
)
"""The names that hookstream writes. Of several headers with one of them the last counts, as with
`lastHeader` of Kafka's own clients."""


def original_headers(headers: Headers) -> Headers:
    """The headers of the source record, without those that hookstream wrote."""
    return [header for header in headers if header[0] not in OWN_HEADERS]


def read_group(headers: Headers) -> bytes | None:
    """The group that wrote a record on a retry or dead-letter topic; None if no header says so."""
    return last_value(headers, GROUP)


def read_replaying_group(headers: Headers) -> bytes | None:
    """The group that wrote a record back to its source topic; None for all other records."""
    return last_value(headers, REPLAYED_BY)


def read_not_before(headers: Headers) -> float | None:
    """Epoch seconds at which a record on a retry topic is due; None if its delivery metadata has no
    such time.

    A malformed time, or a record without delivery metadata, is due at once.
    """
    value = last_value(headers, NOT_BEFORE)
    if value is not None:
        try:
            return read_number(value.decode())
        except ValueError:
            return 0.0
    return None if any(name in OWN_HEADERS for name, _ in headers) else 0.0


def last_value(headers: Headers, wanted: str) -> bytes | None:
    """The value of the last header `wanted` that has one."""
    for name, value in reversed(headers):
        if name == wanted and value is not None:
            return value
    return None


def read_number(text: str) -> float:
    """Parse a finite number; raises `ValueError`."""
    number = float(text)
    if not isfinite(number):
        raise ValueError
    return number
