"""The tests of a hook's `when`: what an event's values must be. No test raises for any JSON value.

A new test is a class here and its entry in `condition_form.py`.
"""

from itertools import islice
from typing import Any, Final

from consumer.events.numbers import LongNumber
from consumer.events.path import Path, walk

Key = str | int | float | tuple[bool]
"""A scalar, so that equal keys are equal values: to Python, `True` is 1. A number of any type is
itself, since equal numbers have equal hashes."""

MAX_ELEMENTS: Final = 10_000
"""Elements of an array that a test looks at: one of a million would keep the event loop for a tenth
of a second."""
_MAX_EXACT_DIGITS: Final = 1_000
"""Integers of more are infinite beside a definition's numbers, which have 64 bits; Python would
refuse to convert those of 4,300."""
_TRUE: Final[Key] = (True,)
_FALSE: Final[Key] = (False,)


def key_of(value: Any) -> Key | None:
    """The key of an event's value; None if it is missing, null, an object or an array."""
    kind = type(value)
    if kind is str or kind is int or kind is float:
        found: Key = value
        return found
    if kind is bool:
        return _TRUE if value else _FALSE
    return _long_number(value) if kind is LongNumber else None


def number_of(value: Any) -> int | float | None:
    """The number that a value is; None if it is none."""
    kind = type(value)
    if kind is int or kind is float:
        found: int | float = value
        return found
    return _long_number(value) if kind is LongNumber else None


def _long_number(number: LongNumber) -> int | float:
    """Integers are exact. Other numbers are doubles, as in the definition."""
    text = number.text
    if len(text) <= _MAX_EXACT_DIGITS and number.is_integer:
        return int(text)
    return float(text)


class Test:
    """One test of the value at one path: slotted and compiled, since a match runs many."""

    __slots__ = ("argument", "name", "path", "steps")

    def __init__(self, path: str, steps: Path, name: str, argument: object) -> None:
        self.path = path
        """As its author wrote it."""
        self.steps = steps
        self.name = name
        """As in the definition; of a plain value `equals`, of a list `any_of`."""
        self.argument = argument
        """What the value is compared with: a scalar, or a tuple of them."""

    def passes(self, document: dict[str, Any]) -> bool:
        """Whether the event passes. Of an array one element must."""
        value = walk(document, self.steps)
        if type(value) is list:
            elements: list[Any] = value
            return any(self.holds(element) for element in islice(elements, MAX_ELEMENTS))
        return self.holds(value)

    def holds(self, value: Any) -> bool:
        """Whether a value that is no array passes; None is a missing one."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Test) and self._identity() == other._identity()

    def __hash__(self) -> int:
        return hash(self._identity())

    def __repr__(self) -> str:
        return f"{self.path}: {{{self.name}: {self.argument!r}}}"

    def _identity(self) -> tuple[object, ...]:
        # By their texts, since 1, 1.0 and true are equal to Python.
        return self.path, self.name, repr(self.argument)


class KeyTest(Test):
    """Compares with some scalars by their keys."""

    __slots__ = ("keys",)

    def __init__(
        self, path: str, steps: Path, name: str, argument: object, keys: frozenset[Key]
    ) -> None:
        super().__init__(path, steps, name, argument)
        self.keys = keys


class AnyOf(KeyTest):
    """`equals` and `any_of`: the value is one of some scalars. The index can look it up."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        key = key_of(value)
        return key is not None and key in self.keys


class Not(KeyTest):
    """`not`: the value is none of some scalars; a missing one is none of them."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return key_of(value) not in self.keys


class BoundTest(Test):
    """Compares with a number."""

    __slots__ = ("bound", "inclusive")

    def __init__(self, path: str, steps: Path, name: str, bound: Any, inclusive: bool) -> None:  # noqa: FBT001  # compiled, keywords cost more
        super().__init__(path, steps, name, bound)
        self.bound = bound  # compiled as a float, a large integer would be rounded
        self.inclusive = inclusive


class Below(BoundTest):
    """`below` and `at_most`: the value is a number up to a bound."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        number = number_of(value)
        if number is None:
            return False
        return bool(number <= self.bound if self.inclusive else number < self.bound)


class Above(BoundTest):
    """`above` and `at_least`: the value is a number from a bound on."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        number = number_of(value)
        if number is None:
            return False
        return bool(number >= self.bound if self.inclusive else number > self.bound)


class TextTest(Test):
    """Compares with a text."""

    __slots__ = ("text",)

    def __init__(self, path: str, steps: Path, name: str, text: str) -> None:
        super().__init__(path, steps, name, text)
        self.text = text


class StartsWith(TextTest):
    """`starts_with`."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return type(value) is str and value.startswith(self.text)


class EndsWith(TextTest):
    """`ends_with`."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return type(value) is str and value.endswith(self.text)


class Contains(TextTest):
    """`contains`: the value is a text that has another one in it."""

    __slots__ = ()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return type(value) is str and self.text in value


class SameText(Test):
    """`same_text`: the value is the same text by Unicode case folding."""

    __slots__ = ("folded",)

    def __init__(self, path: str, steps: Path, name: str, text: str) -> None:
        super().__init__(path, steps, name, text)
        self.folded = text.casefold()

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return type(value) is str and value.casefold() == self.folded


class Exists(Test):
    """`exists`: whether there is a value other than null, an array among them."""

    __slots__ = ("wanted",)

    def __init__(self, path: str, steps: Path, name: str, wanted: bool) -> None:  # noqa: FBT001  # compiled, keywords cost more
        super().__init__(path, steps, name, wanted)
        self.wanted = wanted

    def passes(self, document: dict[str, Any]) -> bool:
        """See `Test.passes`; an array is one value here."""
        return self.holds(walk(document, self.steps))

    def holds(self, value: Any) -> bool:
        """See `Test.holds`."""
        return (value is not None) is self.wanted


class Conditions:
    """A hook's `when`."""

    __slots__ = ("alternatives", "tests")

    def __init__(
        self, tests: tuple[Test, ...], alternatives: tuple[tuple[Test, ...], ...] = ()
    ) -> None:
        self.tests = tests
        """All must pass."""
        self.alternatives = alternatives
        """Of one of these all must pass too, if there are any (`any`)."""

    def hold(self, document: dict[str, Any]) -> bool:
        """Whether an event passes."""
        for test in self.tests:
            if not test.passes(document):
                return False
        if not self.alternatives:
            return True
        return any(first_failing(tests, document) is None for tests in self.alternatives)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, Conditions)
            and self.tests == other.tests
            and self.alternatives == other.alternatives
        )

    def __hash__(self) -> int:
        return hash((self.tests, self.alternatives))

    def __repr__(self) -> str:
        return f"Conditions({self.tests!r}, {self.alternatives!r})"


def first_failing(tests: tuple[Test, ...], document: dict[str, Any]) -> Test | None:
    """The first of some tests that the event does not pass; None if it passes all."""
    for test in tests:
        if not test.passes(document):
            return test
    return None
