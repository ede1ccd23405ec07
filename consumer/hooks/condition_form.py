"""The `when` of a definition as its author writes it, and the tests that it compiles to."""

from collections.abc import Callable, Mapping
from math import isfinite
from typing import Any, Final

from consumer.documents.tree import DocumentPath, Unquoted
from consumer.documents.validation import did_you_mean
from consumer.errors import InvalidValue, InvalidValues
from consumer.events.path import Path, parse_path
from consumer.hooks.conditions import (
    Above,
    AnyOf,
    Below,
    Conditions,
    Contains,
    EndsWith,
    Exists,
    Key,
    Not,
    SameText,
    StartsWith,
    Test,
    key_of,
)
from consumer.hooks.texts import without_secrets

MAX_TESTS: Final = 100
"""Tests of one hook, those of `any` among them."""
ANY: Final = "any"
_BOOLEANS: Final[Mapping[str, bool]] = {"true": True, "false": False}
_INT64_AND_UINT64: Final = range(-(2**63), 2**64)
_MAX_NUMBER_CHARACTERS: Final = 400
"""More than the largest double has."""
Scalar = str | int | float | bool


def parse_conditions(raw: Any) -> Conditions:
    """The conditions that `when` says.

    Raises:
        InvalidValues: everything that is wrong with it, with paths below `when`.
    """
    reader = _Reader()
    tests = reader.mapping(raw, ())
    alternatives = tuple(reader.alternatives)
    if reader.count > MAX_TESTS:
        reader.refuse((), f"has {reader.count} tests", f"write at most {MAX_TESTS}")
    if reader.problems:
        raise InvalidValues(reader.problems)
    return Conditions(tests, alternatives)


def json_value(raw: Any) -> Any:
    """The JSON value that a file's reader gave: numbers and booleans in place of `Unquoted` texts.
    It changes nothing that is JSON already.

    Raises:
        InvalidValue: a number has no JSON form here.
    """
    if isinstance(raw, dict):
        return {key: json_value(value) for key, value in raw.items()}
    if isinstance(raw, list):
        return [json_value(item) for item in raw]
    return _unquoted(raw) if isinstance(raw, Unquoted) else raw


def with_json_conditions(definition: Any) -> Any:
    """A definition that a file's reader gave, with the JSON values of its `when`: in a record or an
    answer of the API quotation marks no longer tell numbers from texts. A `when` that is refused
    stays as it is.
    """
    if not isinstance(definition, dict) or "when" not in definition:
        return definition
    try:
        return {**definition, "when": json_value(definition["when"])}
    except InvalidValue:
        return definition


def _unquoted(text: Unquoted) -> int | float | bool:
    word = _BOOLEANS.get(text.lower())
    if word is not None:
        return word
    digits = text.lstrip("+-")
    if len(digits) > 1 and digits[0] == "0" and digits[1].isdigit():
        raise InvalidValue(
            "begins with 0, which a number does not",
            f'write "{text}" in quotes if it is a text, else the number without the 0',
        )
    number: int | float
    if len(text) > _MAX_NUMBER_CHARACTERS:
        raise _too_large()
    number = int(text) if digits.isdecimal() else float(text)
    return _bounded(number)


def _bounded(number: float) -> int | float:
    fits = number in _INT64_AND_UINT64 if isinstance(number, int) else isfinite(number)
    if not fits:
        raise _too_large()
    return number


def _too_large() -> InvalidValue:
    return InvalidValue("is too large a number", "write one that 64 bits or a double can hold")


def _scalar(raw: Any) -> Scalar:
    if raw is None:
        raise InvalidValue("is null", "write {exists: false} for a missing value")
    if isinstance(raw, Unquoted):
        return _unquoted(raw)
    if isinstance(raw, str):
        return without_secrets(raw)
    if isinstance(raw, bool):
        return raw
    if isinstance(raw, int | float):
        return _bounded(raw)
    raise InvalidValue("is not one value", "write a text, a number, true or false")


def _number(raw: Any) -> int | float:
    found = _scalar(raw)
    if isinstance(found, bool | str):
        raise InvalidValue("is not a number", "write one without quotes, such as 1000 or 9.5")
    return found


def _text(raw: Any) -> str:
    found = _scalar(raw)
    if not isinstance(found, str):
        written = str(found).lower() if isinstance(found, bool) else str(found)
        raise InvalidValue("is not a text", f'write it in quotes: "{written}"')
    return found


def _part(raw: Any) -> str:
    found = _text(raw)
    if not found:
        raise InvalidValue(
            "is empty, and every text passes", "write at least one character, or {exists: true}"
        )
    return found


def _choice(raw: Any) -> bool:
    found = _scalar(raw)
    if not isinstance(found, bool):
        raise InvalidValue("is neither true nor false", "write true or false")
    return found


def _list(raw: Any) -> tuple[Scalar, ...]:
    if not isinstance(raw, list):
        raise InvalidValue("is not a list", "write [one, two]")
    if not raw:
        raise InvalidValue("is empty, and no value passes", "write at least one value")
    return tuple(_at((index,), item) for index, item in enumerate(raw))


def _at(path: DocumentPath, raw: Any) -> Scalar:
    try:
        return _scalar(raw)
    except InvalidValue as invalid:
        raise InvalidValue(invalid.message, invalid.hint, path=path) from None


def _keys(values: tuple[Scalar, ...]) -> frozenset[Key]:
    return frozenset(key for key in map(key_of, values) if key is not None)


def _equals(path: str, steps: Path, raw: Any) -> Test:
    value = _scalar(raw)
    return AnyOf(path, steps, "equals", value, _keys((value,)))


def _any_of(path: str, steps: Path, raw: Any) -> Test:
    values = _list(raw)
    return AnyOf(path, steps, "any_of", values, _keys(values))


def _not(path: str, steps: Path, raw: Any) -> Test:
    values = _list(raw) if isinstance(raw, list) else (_scalar(raw),)
    argument = values if isinstance(raw, list) else values[0]
    return Not(path, steps, "not", argument, _keys(values))


TESTS: Final[Mapping[str, Callable[[str, Path, Any], Test]]] = {
    "equals": _equals,
    "any_of": _any_of,
    "not": _not,
    "below": lambda path, steps, raw: Below(path, steps, "below", _number(raw), False),  # noqa: FBT003
    "at_most": lambda path, steps, raw: Below(path, steps, "at_most", _number(raw), True),  # noqa: FBT003
    "above": lambda path, steps, raw: Above(path, steps, "above", _number(raw), False),  # noqa: FBT003
    "at_least": lambda path, steps, raw: Above(path, steps, "at_least", _number(raw), True),  # noqa: FBT003
    "starts_with": lambda path, steps, raw: StartsWith(path, steps, "starts_with", _part(raw)),
    "ends_with": lambda path, steps, raw: EndsWith(path, steps, "ends_with", _part(raw)),
    "contains": lambda path, steps, raw: Contains(path, steps, "contains", _part(raw)),
    "exists": lambda path, steps, raw: Exists(path, steps, "exists", _choice(raw)),
    "same_text": lambda path, steps, raw: SameText(path, steps, "same_text", _text(raw)),
}
"""Makes each test that a mapping may name of a path and what stands behind the name; raises
`InvalidValue`."""


class _Reader:
    """Reads mappings of paths, and remembers what is wrong."""

    def __init__(self) -> None:
        self.problems: list[InvalidValue] = []
        self.alternatives: list[tuple[Test, ...]] = []
        self.count = 0
        """Tests so far."""

    def refuse(self, path: DocumentPath, message: str, hint: str) -> None:
        self.problems.append(InvalidValue(message, hint, path=path))

    def mapping(self, raw: Any, at: DocumentPath) -> tuple[Test, ...]:
        """The tests of a mapping from paths; all must pass."""
        if not isinstance(raw, dict):
            self.refuse(at, "is not a mapping", "write `data.price: 5` below it")
            return ()
        if not raw:
            self.refuse(at, "is empty", "write `data.price: 5` below it, or take it out")
        tests: list[Test] = []
        for path, test in raw.items():
            if path == ANY:
                self._any(test, at)
            elif not all(path.split(".")) or "${" in path:
                hint = "write names joined by single dots: data.price"
                self.refuse((*at, path), "is not a dotted path", hint)
            else:
                tests += self._tests(path, test, (*at, path))
        return tuple(tests)

    def _any(self, raw: Any, at: DocumentPath) -> None:
        if at:
            self.refuse(
                (*at, ANY), "is inside another `any`", "write its mappings beside the others"
            )
        elif not isinstance(raw, list):
            self.refuse((ANY,), "is not a list", "write a list of mappings, a line with - for each")
        elif not raw:
            self.refuse((ANY,), "is empty, and no event passes", "write a mapping, or take it out")
        else:
            for index, item in enumerate(raw):
                self.alternatives.append(self.mapping(item, (ANY, index)))

    def _tests(self, path: str, raw: Any, at: DocumentPath) -> list[Test]:
        if isinstance(raw, list):
            return self._test("any_of", path, raw, at, at)
        if not isinstance(raw, dict):
            return self._test("equals", path, raw, at, at)
        if not raw:
            self.refuse(at, "names no test", "write {exists: true}, or another test")
        found: list[Test] = []
        for name, argument in raw.items():
            if name in TESTS:
                found += self._test(name, path, argument, at, (*at, name))
            else:
                self.refuse((*at, name), "is not a known test", did_you_mean(name, TESTS))
        self._look_for_contradiction(found, at)
        return found

    def _test(
        self, name: str, path: str, raw: Any, at: DocumentPath, named_at: DocumentPath
    ) -> list[Test]:
        self.count += 1
        try:
            return [TESTS[name](path, parse_path(path), raw)]
        except InvalidValue as invalid:
            where = named_at if name in TESTS else at
            self.refuse((*where, *invalid.path), invalid.message, invalid.hint)
            return []

    def _look_for_contradiction(self, tests: list[Test], at: DocumentPath) -> None:
        """Tests of one path of which no value passes all."""
        named = {test.name: test for test in tests}
        exists = named.get("exists")
        if exists is not None and exists.argument is False and named.keys() - {"exists", "not"}:
            self.refuse(at, "no value passes `exists: false` and another test", "keep one of them")
        above = [test for test in tests if isinstance(test, Above)]
        below = [test for test in tests if isinstance(test, Below)]
        for low in above:
            for high in below:
                both = low.inclusive and high.inclusive
                if low.bound > high.bound or (low.bound == high.bound and not both):
                    self.refuse(
                        at,
                        f"no number passes `{low.name}: {low.bound}` and "
                        f"`{high.name}: {high.bound}`",
                        "write the smaller number at the lower bound",
                    )
