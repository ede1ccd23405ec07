"""What the values of Protobuf's fields become, and the types with a JSON form of their own."""

from base64 import b64encode
from collections.abc import Callable, Mapping
from typing import Any, Final

from consumer.events.formats.floats import double, single
from consumer.events.formats.protobuf_files import DECIMAL
from consumer.events.formats.times import moment_text
from consumer.events.numbers import decimal_number
from consumer.records.record import UndecodableError

_MAX_DECIMAL_BYTES: Final = 400
_MAX_SCALE: Final = 400

Convert = Callable[[Any], Any]


def base64_text(value: bytes) -> str:
    """Bytes, as JSON has them."""
    return b64encode(value).decode()


def checked_text(value: Any) -> Any:
    """The value of a text, which the library gives as `bytes` if it is no UTF-8."""
    if type(value) is bytes:
        raise UndecodableError("a text in the value is no UTF-8")
    return value


def key_text(key: Any) -> str:
    """A map's key, as JSON has it."""
    if type(key) is bool:
        return "true" if key else "false"
    return str(checked_text(key))


def _timestamp(message: Any) -> str | int:
    try:
        return moment_text(message.seconds, message.nanos, 9, "Z")
    except (OverflowError, ValueError):
        return int(message.seconds)


def _duration(message: Any) -> str:
    """Seconds with a sign and as few of nine digits as it needs (JSON mapping)."""
    nanos = message.seconds * 1_000_000_000 + message.nanos
    seconds, fraction = divmod(abs(nanos), 1_000_000_000)
    digits = f".{fraction:09d}" if fraction else ""
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{'-' if nanos < 0 else ''}{seconds}{digits}s"


def _decimal(message: Any) -> Any:
    if len(message.value) > _MAX_DECIMAL_BYTES or not 0 <= message.scale <= _MAX_SCALE:
        raise UndecodableError(f"a decimal has more than {_MAX_DECIMAL_BYTES} bytes")
    return decimal_number(int.from_bytes(message.value, "big", signed=True), message.scale)


def _wrapped(convert: Convert | None) -> Convert:
    return lambda message: message.value if convert is None else convert(message.value)


SPECIAL: Final[Mapping[str, Convert]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.DoubleValue": _wrapped(double),
    "google.protobuf.FloatValue": _wrapped(single),
    "google.protobuf.BytesValue": _wrapped(base64_text),
    **{
        f"google.protobuf.{name}Value": _wrapped(None)
        for name in ("Int64", "UInt64", "Int32", "UInt32", "Bool")
    },
    "google.protobuf.StringValue": _wrapped(checked_text),
    DECIMAL: _decimal,
}
"""The types that have a JSON form of their own."""
