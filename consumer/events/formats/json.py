"""JSON: one object in UTF-8 (RFC 8259)."""

from typing import Any

import orjson

from consumer.events.formats.format import checked
from consumer.events.numbers import TooManyError, loads_exactly, may_be_rounded
from consumer.records.record import UndecodableError

_MAGIC_BYTE = 0
"""Begins a value in Confluent's wire format, and no JSON."""


def parse_json(value: bytes | None) -> dict[str, Any]:
    """The object that is a record's value. Raises `UndecodableError`."""
    document = parse_any_json(checked(value))
    if type(document) is not dict:
        raise UndecodableError("the JSON value is not an object")
    return document


def parse_any_json(value: bytes) -> Any:
    """The JSON value in `value`, with exact numbers. Raises `UndecodableError`."""
    try:
        return orjson.loads(value) if not may_be_rounded(value) else _loads_exactly(value)
    except orjson.JSONDecodeError:
        return _loads_exactly(value)  # a short number may be too large: 1e400


def _loads_exactly(value: bytes) -> Any:
    try:
        return loads_exactly(value)
    except orjson.JSONDecodeError as error:
        if value and value[0] == _MAGIC_BYTE:
            raise UndecodableError(
                "not JSON, but a schema's id in Confluent's wire format: "
                "name the format in sources[].format"
            ) from None
        # Its text names what was expected and the position, and quotes no input.
        raise UndecodableError(f"not JSON: {error}") from None
    except TooManyError as error:
        raise UndecodableError(str(error)) from None
