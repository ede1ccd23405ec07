"""What becomes of Avro's values that JSON has no type for (docs/reference/events.md#avro).

fastavro calls these for each value of our own logical types, which `avro_schema` puts in place of
the schema's.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping
from datetime import date
from typing import Any, Final
from uuid import UUID

from consumer.events.formats.floats import double, single
from consumer.events.formats.times import moment_text
from consumer.events.numbers import LongNumber, decimal_number
from consumer.records.record import UndecodableError

SCALE: Final = "hookstreamScale"
"""The attribute of a schema of ours with the scale of a decimal."""
_EPOCH_DAY: Final = date(1970, 1, 1).toordinal()
_MAX_DECIMAL_BYTES: Final = 400
"""Nearly a thousand digits; turning more into text takes ever longer."""

MAX_CONVERSIONS: Final = 20_000
"""Values of one record that are no plain ones of JSON: each takes up to 3 us."""

Schema = Mapping[str, Any]


class _Conversions:
    """Counts down while one value is read; nothing else is read meanwhile."""

    def __init__(self) -> None:
        self.left = 0

    def count(self) -> None:
        """Count one. Raises `UndecodableError` for one too many."""
        self.left -= 1
        if self.left < 0:
            raise UndecodableError(
                f"more than {MAX_CONVERSIONS} values are times, decimals, floats or bytes"
            )


conversions = _Conversions()


def _base64(data: bytes, _schema: Schema, _reader: object) -> str:
    conversions.count()
    return b64encode(data).decode()


def _fixed_uuid(data: bytes, _schema: Schema, _reader: object) -> str:
    conversions.count()
    return str(UUID(bytes=data))


def _decimal(data: bytes, schema: Schema, _reader: object) -> int | float | LongNumber:
    conversions.count()
    if len(data) > _MAX_DECIMAL_BYTES:
        raise UndecodableError(f"a decimal has more than {_MAX_DECIMAL_BYTES} bytes")
    return decimal_number(int.from_bytes(data, "big", signed=True), schema[SCALE])


def _double(data: float, _schema: Schema, _reader: object) -> float | str:
    return double(data)


def _single(data: float, _schema: Schema, _reader: object) -> float | str:
    conversions.count()
    return single(data)


def _date(data: int, _schema: Schema, _reader: object) -> str | int:
    conversions.count()
    try:
        return date.fromordinal(_EPOCH_DAY + data).isoformat()
    except (ValueError, OverflowError):
        return data


def _moment(digits: int, zone: str) -> Callable[[int, Schema, object], str | int]:
    parts = 10**digits

    def read(data: int, _schema: Schema, _reader: object) -> str | int:
        conversions.count()
        try:
            return moment_text(data // parts, data % parts, digits, zone)
        except (ValueError, OverflowError):
            return data

    return read


def _time_of_day(digits: int) -> Callable[[int, Schema, object], str | int]:
    parts = 10**digits

    def read(data: int, _schema: Schema, _reader: object) -> str | int:
        conversions.count()
        seconds, fraction = divmod(data, parts)
        if not 0 <= seconds < 86_400:  # noqa: PLR2004
            return data
        return moment_text(seconds, fraction, digits, "")[11:]

    return read


def _too_deep(_data: None, _schema: Schema, _reader: object) -> None:
    raise UndecodableError("the value is nested too deeply")


TOO_DEEP: Final = "hookstream-too-deep"
BASE64: Final = "hookstream-base64"
FINITE: Final = "hookstream-finite"
DECIMAL: Final = "hookstream-decimal"

LOGICAL_TYPES: Final[Mapping[tuple[str, str], str]] = {
    ("fixed", "uuid"): "hookstream-uuid",
    ("int", "date"): "hookstream-date",
    ("int", "time-millis"): "hookstream-time-3",
    ("long", "time-micros"): "hookstream-time-6",
    ("long", "timestamp-millis"): "hookstream-moment-3",
    ("long", "timestamp-micros"): "hookstream-moment-6",
    ("long", "timestamp-nanos"): "hookstream-moment-9",
    ("long", "local-timestamp-millis"): "hookstream-local-3",
    ("long", "local-timestamp-micros"): "hookstream-local-6",
    ("long", "local-timestamp-nanos"): "hookstream-local-9",
}
"""Ours, by type and the schema's own; others mean nothing, as the specification says."""

READERS: Final[Mapping[str, Callable[[Any, Any, Any], Any]]] = {
    f"null-{TOO_DEEP}": _too_deep,
    f"bytes-{BASE64}": _base64,
    f"fixed-{BASE64}": _base64,
    "fixed-hookstream-uuid": _fixed_uuid,
    f"bytes-{DECIMAL}": _decimal,
    f"fixed-{DECIMAL}": _decimal,
    f"float-{FINITE}": _single,
    f"double-{FINITE}": _double,
    "int-hookstream-date": _date,
    "int-hookstream-time-3": _time_of_day(3),
    "long-hookstream-time-6": _time_of_day(6),
    **{f"long-hookstream-moment-{digits}": _moment(digits, "Z") for digits in (3, 6, 9)},
    **{f"long-hookstream-local-{digits}": _moment(digits, "") for digits in (3, 6, 9)},
}
"""By the key of fastavro's `LOGICAL_READERS`: a type and a logical type."""
