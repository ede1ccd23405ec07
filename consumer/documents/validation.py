"""Pydantic's errors as sentences for people, none of which repeats a value: it may be secret."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Annotated, Any, get_args, get_origin

from pydantic import BaseModel, BeforeValidator, ValidationError
from pydantic_core import ErrorDetails

from consumer.documents.tree import DocumentPath
from consumer.errors import InvalidValue, InvalidValues


@dataclass(frozen=True, slots=True)
class Finding:
    """One problem of one document, with its path in the document."""

    path: DocumentPath
    message: str
    hint: str


def as_text(value: Any) -> Any:
    """Let JSON's true and false stand in a text field, as YAML's do."""
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else value


Scalar = str | int | float | bool
"""The types that an editor may take one text for: YAML gives `26`, `yes` and `1.5` other types."""

Text = Annotated[str, BeforeValidator(as_text, json_schema_input_type=Scalar)]
"""Text in whatever spelling its author chose: `26`, `yes` and `2026-11-24` are texts here."""

_SENTENCES: Mapping[str, tuple[str, str]] = {
    "missing": ("is missing", "add it"),
    "string_type": ("is not text", "write one text"),
    "string_too_short": ("is empty", "write at least {min_length} character(s)"),
    "string_too_long": ("is too long", "write at most {max_length} characters"),
    "string_pattern_mismatch": ("has characters that are not allowed", "match {pattern}"),
    "literal_error": ("is not one of the allowed words", "write {expected}"),
    "bool_type": ("is neither true nor false", "write true or false"),
    "bool_parsing": ("is neither true nor false", "write true or false"),
    "int_type": ("is not a whole number", "write digits"),
    "int_parsing": ("is not a whole number", "write digits"),
    "int_parsing_size": ("is too large", "write a smaller number"),
    "int_from_float": ("is not a whole number", "write digits"),
    "greater_than_equal": ("is too small", "write {ge} or more"),
    "less_than_equal": ("is too large", "write {le} or less"),
    "tuple_type": ("is not a list", "write [one, two], or a line with - for each item"),
    "too_short": ("has too few items", "write at least {min_length}"),
    "too_long": ("has too many items", "write at most {max_length}"),
    "dict_type": ("is not a mapping", "write `key: value` below it"),
    "model_type": ("is not a mapping", "write `key: value` below it"),
    "path_type": ("is not a path", "write one text"),
}


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Every problem that pydantic found while it validated one document against `model`."""
    details = error.errors(include_url=False)
    for detail in details:
        if not _follows(detail, details):
            path = tuple(step for step in detail["loc"] if step != "[key]")
            several = detail.get("ctx", {}).get("error")
            if isinstance(several, InvalidValues):
                yield from (
                    Finding((*path, *one.path), one.message, one.hint) for one in several.problems
                )
            else:
                yield _finding(detail, path, model)


def _follows(detail: ErrorDetails, details: list[ErrorDetails]) -> bool:
    """Whether an error only follows from another: a default worked out from a refused value, a
    list that is too short without its refused items.
    """
    loc = detail["loc"]
    if detail["type"] == "too_short":
        return any(other["loc"][: len(loc)] == loc != other["loc"] for other in details)
    return detail["type"] == "default_factory_not_called"


def _finding(detail: ErrorDetails, path: DocumentPath, model: type[BaseModel]) -> Finding:
    context = detail.get("ctx", {})
    invalid = context.get("error")
    if isinstance(invalid, InvalidValue):
        return Finding((*path, *invalid.path), invalid.message, invalid.hint)
    if detail["type"] == "extra_forbidden":
        return Finding(path, "is not a known field", _unknown(path, model))
    if detail["type"] == "literal_error":
        return Finding(path, *_wrong_word(detail["input"], context["expected"]))
    message, hint = _SENTENCES.get(detail["type"], (detail["msg"].lower(), "correct it"))
    return Finding(path, message, hint.format(**context))


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """A hint: the nearest of the known words, or all of them if none is near."""
    words = sorted(known)
    near = get_close_matches(word, words, n=1, cutoff=0.6)
    return f"did you mean `{near[0]}`?" if near else f"known here: {', '.join(words)}"


def _wrong_word(word: Any, expected: str) -> tuple[str, str]:
    words = expected.replace("'", "").replace(" or ", ", ").split(", ")
    if len(words) == 1:
        return f"is not {words[0]}, the only value", f"write {words[0]}, or take it out"
    near = get_close_matches(word, words, n=1) if isinstance(word, str) else []
    hint = f"did you mean `{near[0]}`?" if near else f"write one of {', '.join(words)}"
    return "is not one of the allowed words", hint


def _unknown(path: DocumentPath, model: type[BaseModel]) -> str:
    owner = model
    for step in path[:-1]:
        # A list's index or a mapping's free key leads to no other model.
        field = owner.model_fields.get(str(step))
        owner = _model_within(field.annotation) or owner if field else owner
    return did_you_mean(str(path[-1]), owner.model_fields)


def _model_within(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation is about: `tuple[Entry, ...] | None` is about Entry."""
    if isinstance(annotation, type) and get_origin(annotation) is None:
        return annotation if issubclass(annotation, BaseModel) else None
    return next(filter(None, map(_model_within, get_args(annotation))), None)
