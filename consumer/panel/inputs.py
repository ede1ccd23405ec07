"""From the bytes of a request to what its route takes."""

import json
from collections import Counter
from collections.abc import Mapping
from http import HTTPStatus
from math import isfinite
from typing import Any, Final, Literal
from urllib.parse import parse_qsl

import orjson
from pydantic import BaseModel, ValidationError

from consumer.documents.tree import DocumentPath, spelling
from consumer.documents.validation import findings
from consumer.events.numbers import LongNumber, as_written, exact_number
from consumer.panel.problems import FieldProblem, Problem, invalid, invalid_field
from consumer.panel.routes import Route

MAX_QUERY_PARAMETERS: Final = 50
_MAX_DEPTH: Final = 200
_MAX_SHOWN: Final = 100


def parse_pairs(text: str, most: int = MAX_QUERY_PARAMETERS) -> dict[str, str]:
    """The fields of a query or form, of which there may be `most`. Raises `Problem`."""
    if text.count("&") >= most:
        raise invalid(f"there are more than {most:,} fields")
    try:
        pairs = parse_qsl(
            text,
            keep_blank_values=True,
            strict_parsing=bool(text),
            errors="strict",
        )
    except ValueError:
        raise invalid("the fields are not name=value pairs of UTF-8") from None
    given: dict[str, str] = {}
    for name, value in pairs:
        if name in given:
            raise invalid_field(name, "is there twice", "give it once")
        given[name] = value
    return given


def parse_query(route: Route, text: str) -> BaseModel | None:
    """The query of a route. Raises `Problem`."""
    given = parse_pairs(text)
    if route.query is None:
        if given:
            raise invalid_field(next(iter(given)), "is not known here", "take it out")
        return None
    return _validated(route.query, given, "the query")


def parse_body(
    wanted: type[BaseModel] | Literal["definition"], content_type: str, raw: bytes
) -> Any:
    """The body that a route takes. Raises `Problem`."""
    if content_type.partition(";")[0].strip().lower() != "application/json":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE,
            "media-type",
            "the body is to be JSON: send Content-Type: application/json",
        )
    value = _json(raw)
    if wanted == "definition":
        if not isinstance(value, dict):
            raise invalid("the definition is not a mapping")
        return refuse_unkept(value, "")
    return _validated(wanted, value, "the body")


def refuse_unkept(definition: dict[str, Any], field: str) -> dict[str, Any]:
    """The definition in numbers that can be kept as JSON; `field`: its place in the body. Raises
    `Problem`.
    """
    found: dict[str, Any] = _kept(definition, (field,) if field else ())
    return found


def _kept(value: Any, path: DocumentPath) -> Any:
    if isinstance(value, dict):
        return {name: _kept(item, (*path, name)) for name, item in value.items()}
    if isinstance(value, list):
        return [_kept(item, (*path, index)) for index, item in enumerate(value)]
    if not isinstance(value, LongNumber):
        return value
    if value.is_integer or not isfinite(number := float(value.text)):
        message = "holds a number that neither 64 bits nor a double can hold"
        raise invalid_field(spelling(path), message, "write the value as text")
    return number


def _validated(model: type[BaseModel], value: Any, what: str) -> BaseModel:
    try:
        return model.model_validate(value)
    except ValidationError as error:
        problems = [
            FieldProblem(field=spelling(one.path), message=one.message, hint=one.hint)
            for one in findings(error, model)
        ]
        raise invalid(f"{what} is not valid", problems) from None


def _json(raw: bytes) -> Any:
    """A JSON value with a `LongNumber` for each number that would be rounded, as in an event of a
    record. Raises `Problem`.
    """
    try:
        value = json.loads(
            raw.decode(),
            parse_int=exact_number,
            parse_float=exact_number,
            parse_constant=_refuse,
            object_pairs_hook=_object,
        )
        _check(value, _MAX_DEPTH)
    except (ValueError, RecursionError):
        raise Problem(
            HTTPStatus.BAD_REQUEST,
            "json",
            "the body is not JSON in UTF-8, or nested too deeply",
        ) from None
    return value


def _check(value: Any, depth: int) -> None:
    """Raise `ValueError` for half a surrogate pair, which is no text, and for too deep nesting."""
    if isinstance(value, str):
        value.encode()
    elif isinstance(value, dict | list):
        if not depth:
            raise ValueError
        for item in value:
            _check(item, depth - 1)
        if isinstance(value, Mapping):
            for item in value.values():
                _check(item, depth - 1)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object of JSON. Raises `Problem` for a key that is there twice: what it means is anyone's
    guess.
    """
    found = dict(pairs)
    if len(found) != len(pairs):
        counts = Counter(name for name, _ in pairs)
        twice = next(name for name, count in counts.items() if count > 1)
        raise invalid_field(_shown(twice), "is there twice in one object", "give it once")
    return found


def _shown(name: str) -> str:
    """A key in an answer: short, and without halves of pairs."""
    return name.encode(errors="backslashreplace").decode()[:_MAX_SHOWN]


def _refuse(_constant: str) -> None:
    raise ValueError


def event_bytes(event: Mapping[str, Any]) -> bytes:
    """An event of a body as a record has it, its numbers with all their digits."""
    return orjson.dumps(event, default=as_written)
