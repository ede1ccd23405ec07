"""A definition as a person reads it, also one that is refused; it is pure."""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, TypeGuard

import orjson

from consumer.control.difference import as_written, definition_yaml
from consumer.control.plain_secrets import without_signing_secrets
from consumer.documents.durations import parse_duration
from consumer.errors import InvalidValue

_MAX_COUNT: Final = 10**12
_BRACE: Final = re.compile(r"\{([^{}]*)\}")
_SHOWN_APART: Final = frozenset(
    {
        "id",
        "name",
        "owner",
        "uri",
        "uri_parameters",
        "method",
        "trigger",
        "select",
        "when",
        "headers",
        "parameters",
    }
)


@dataclass(frozen=True, slots=True)
class UriPart:
    """A part of a URI."""

    text: str
    is_brace: bool


@dataclass(frozen=True, slots=True)
class Brace:
    """A name in braces, and what is asked for when composing a notification."""

    name: str
    label: str
    default: str | None
    missing: str


@dataclass(frozen=True, slots=True)
class ValueRow:
    """One header or parameter. Texts are empty if the definition has none."""

    key: str
    source: str
    value: str
    missing: str
    encode: str


@dataclass(frozen=True, slots=True)
class RateLimit:
    """So many requests in a time."""

    requests: int
    seconds: float
    burst: int | None
    """Requests at once; None: not said."""


@dataclass(frozen=True, slots=True)
class DefinitionView:
    """A definition in the order of the form."""

    name: str
    uri: Sequence[UriPart]
    braces: Sequence[Brace]
    method: str
    trigger: str
    select: Sequence[str] | None
    """None: every event of the trigger."""
    conditions: Sequence[tuple[str, str]]
    """Of `when`: the paths, and the test of each as JSON."""
    headers: Sequence[ValueRow]
    parameters: Sequence[ValueRow]
    settings: Mapping[str, Any]
    """Of `_WORDED`, those that have the shape that they must have."""
    rate_limit: RateLimit | None
    others: Sequence[tuple[str, str]]
    """Everything else, by field, as it is written."""
    yaml: str


def definition_view(definition: Mapping[str, Any]) -> DefinitionView:
    """What a page shows of a definition, whatever is wrong with it; signing secrets are hidden."""
    definition = without_signing_secrets(definition)
    uri = _text(definition.get("uri"))
    select = definition.get("select")
    settings = {
        name: read(definition[name])
        for name, read in _WORDED.items()
        if definition.get(name) is not None and read(definition[name]) is not None
    }
    rate_limit = _rate_limit(definition.get("rate_limit"))
    return DefinitionView(
        name=_text(definition.get("name")),
        uri=uri_parts(uri),
        braces=_braces(uri, definition.get("uri_parameters")),
        method=_text(definition.get("method")) or "GET",
        trigger=_text(definition.get("trigger")),
        select=None if select is None else [_text(one) for one in _items(select)],
        conditions=_conditions(definition.get("when")),
        headers=_rows(definition.get("headers")),
        parameters=_rows(definition.get("parameters")),
        settings=settings,
        rate_limit=rate_limit,
        others=[
            (str(name), _text(value))
            for name, value in definition.items()
            if name not in _SHOWN_APART
            and name not in settings
            and (name != "rate_limit" or rate_limit is None)
            and value is not None
        ],
        yaml=definition_yaml(definition),
    )


def _rate_limit(given: Any) -> RateLimit | None:
    """None: there is none, or it is refused."""
    if not isinstance(given, Mapping):
        return None
    requests, seconds, burst = given.get("requests"), _seconds(given.get("per")), given.get("burst")
    if not _is_count(requests) or seconds is None or not (burst is None or _is_count(burst)):
        return None
    return RateLimit(requests, seconds, burst)


def _is_count(given: Any) -> TypeGuard[int]:
    return type(given) is int and 0 < given < _MAX_COUNT


def _seconds(given: Any) -> float | None:
    try:
        return parse_duration(given) if isinstance(given, str) else None
    except (InvalidValue, OverflowError, ValueError):  # none, or one of very many digits
        return None


def _texts(given: Any) -> list[str] | None:
    return list(map(_text, given)) if isinstance(given, list) and given else None


def _if_text(given: Any) -> str | None:
    return given if isinstance(given, str) else None


def _if_flag(given: Any) -> bool | None:
    return given if isinstance(given, bool) else None


def _if_order(given: Any) -> str | None:
    return given if given == "user" else None


_WORDED: Final[Mapping[str, Callable[[Any], Any]]] = {
    "enabled": _if_flag,
    "app": _if_text,
    "order": _if_order,
    "retry_on": _texts,
    "timeout": _seconds,
    "signing_secrets": _texts,
}
"""The fields that the page says in words; each is read, and None is none of its values."""


def uri_parts(uri: str) -> list[UriPart]:
    """A URI in parts, its braces apart."""
    parts, end = list[UriPart](), 0
    for match in _BRACE.finditer(uri):
        if match.start() > end:
            parts.append(UriPart(uri[end : match.start()], is_brace=False))
        parts.append(UriPart(match[0], is_brace=True))
        end = match.end()
    if end < len(uri):
        parts.append(UriPart(uri[end:], is_brace=False))
    return parts


def _braces(uri: str, given: Any) -> list[Brace]:
    parameters = given if isinstance(given, Mapping) else {}
    return [_brace(name, parameters.get(name)) for name in dict.fromkeys(_BRACE.findall(uri))]


def _brace(name: str, given: Any) -> Brace:
    fields = given if isinstance(given, Mapping) else {}
    default = fields.get("default")
    return Brace(
        name,
        _text(fields.get("label")),
        None if default is None else _text(default),
        _text(fields.get("missing")),
    )


def _rows(given: Any) -> list[ValueRow]:
    return [
        ValueRow(
            *(_text(one.get(name)) for name in ("key", "source", "value", "missing", "encode"))
        )
        for one in _items(given)
        if isinstance(one, Mapping)
    ]


def _conditions(given: Any) -> list[tuple[str, str]]:
    if given is None:
        return []
    if not isinstance(given, Mapping):
        return [("when", orjson.dumps(given).decode())]
    return [(str(path), orjson.dumps(test).decode()) for path, test in given.items()]


def _items(given: Any) -> Sequence[Any]:
    if given is None:
        return []
    return given if isinstance(given, list) else [given]


def _text(value: Any) -> str:
    """A value as it is written: a list or mapping as JSON."""
    if value is None:
        return ""
    if isinstance(value, str):
        return value
    written = as_written(value)
    return written if isinstance(written, str) else orjson.dumps(written).decode()
