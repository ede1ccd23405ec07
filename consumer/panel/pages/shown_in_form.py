"""Whether the form can show a value of a definition so that it comes back as it was; it is pure."""

import re
from collections.abc import Mapping
from typing import Any, Final

from consumer.control.difference import as_written
from consumer.control.plain_secrets import is_reference

BLANK: Final[Mapping[str, Any]] = {
    "enabled": True, "method": "GET", "select": [], "uri_parameters": {}, "headers": [],
    "parameters": [], "rate_limit": {}, "signing_secrets": [],
}  # fmt: skip
"""What says nothing; of the other fields it is an empty text."""
_UNSHOWABLE: Final = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
"""What an input of one line does not give back as it was."""


def is_blank(name: str, value: Any) -> bool:
    """Whether a field of a definition says nothing."""
    return bool(value == as_written(BLANK.get(name, "")))


def _is_shown(text: Any) -> bool:
    return isinstance(text, str) and not _UNSHOWABLE.search(text)


def is_line(text: Any) -> bool:
    """Whether an input of one line gives a text back as it was."""
    return _is_shown(text) and bool(text) and text == text.strip()


def is_select(value: Any) -> bool:
    """Whether the field `select` can show it."""
    return isinstance(value, list) and all(map(is_line, value))


def are_labels(value: Any) -> bool:
    """Whether the rows of `labels` can show it."""
    return isinstance(value, dict) and all(
        is_line(name) and isinstance(one, dict) and _is_label(one) for name, one in value.items()
    )


def _is_label(one: Mapping[str, Any]) -> bool:
    label = one.get("label")
    return (
        one.keys() <= {"label", "default", "missing"}
        and (label == "" or is_line(label))
        and _is_shown(one.get("default", ""))
        and ("missing" not in one or is_line(one["missing"]))
    )


def are_values(value: Any, *, with_encode: bool) -> bool:
    """Whether the rows of `headers` or `parameters` can show it."""
    known = {"key", "source", "value", "missing", *(("encode",) if with_encode else ())}
    return isinstance(value, list) and all(
        isinstance(one, dict) and one.keys() <= known and _is_value(one) for one in value
    )


def _is_value(one: Mapping[str, Any]) -> bool:
    key, value = one.get("key"), one.get("value")
    return (
        (is_line(key) or (key == "" and bool(value)))
        and is_line(one.get("source"))
        and (value == "" or (_is_shown if one["source"] == "fixed" else is_line)(value))
        and all(name not in one or is_line(one[name]) for name in ("missing", "encode"))
    )


def is_rate_limit(value: Any) -> bool:
    """Whether the fields of the rate limit can show it."""
    return (
        isinstance(value, dict)
        and value.keys() <= {"requests", "per", "burst"}
        and all(map(is_line, value.values()))
    )


def are_secrets(value: Any) -> bool:
    """Whether the rows of `signing_secrets` can show it: of what is no reference they have a mark
    in place of the text.
    """
    return isinstance(value, list) and all(
        isinstance(one, str) and bool(one) and (is_line(one) or not is_reference(one))
        for one in value
    )
