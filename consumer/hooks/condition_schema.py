"""The JSON Schema of a definition's `when`."""

from typing import Any, Final

from consumer.hooks.condition_form import ANY

_SCALAR: Final = {"type": ["string", "number", "boolean"]}
_SCALARS: Final = {"type": "array", "items": _SCALAR, "minItems": 1}
_NUMBER: Final = {"type": "number"}
_PART: Final = {"type": "string", "minLength": 1}
_ARGUMENTS: Final[dict[str, dict[str, Any]]] = {
    "equals": _SCALAR,
    "any_of": _SCALARS,
    "not": {"anyOf": [_SCALAR, _SCALARS]},
    "below": _NUMBER,
    "at_most": _NUMBER,
    "above": _NUMBER,
    "at_least": _NUMBER,
    "starts_with": _PART,
    "ends_with": _PART,
    "contains": _PART,
    "exists": {"type": "boolean"},
    "same_text": {"type": "string"},
}
"""What stands behind the name of each test."""


def conditions_schema() -> dict[str, Any]:
    """The schema. What a schema cannot say (the number of tests, bounds that exclude each other)
    the loader checks.
    """
    named = {
        "type": "object",
        "properties": _ARGUMENTS,
        "additionalProperties": False,
        "minProperties": 1,
    }
    mapping = {
        "type": "object",
        "properties": {ANY: False},
        "additionalProperties": {"anyOf": [_SCALAR, _SCALARS, named]},
        "minProperties": 1,
    }
    return {**mapping, "properties": {ANY: {"type": "array", "items": mapping, "minItems": 1}}}
