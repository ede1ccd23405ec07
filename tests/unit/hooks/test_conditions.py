"""The tests of `when`, one by one, and what is refused at load."""

from pathlib import Path
from typing import Any

import pytest

from consumer.errors import ConfigError, Diagnostic
from consumer.events.numbers import LongNumber
from consumer.hooks.conditions import MAX_ELEMENTS, Conditions
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader

GOOD = "id: h\ntrigger: event\nuri: https://example.com/\nwhen:\n"
HUGE = LongNumber("123456789012345678901")
WITHOUT = object()
"""The event has nothing at the path."""


def load(folder: Path, text: str, name: str = "h.yaml") -> Conditions:
    """The conditions of a file."""
    (folder / name).write_text(text)
    [hook] = load_hooks(folder, LoadContext(SecretReader({}, []))).hooks.values()
    assert hook.when is not None
    return hook.when


def problems(folder: Path, text: str) -> tuple[Diagnostic, ...]:
    """What is wrong with a file."""
    (folder / "h.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_hooks(folder, LoadContext(SecretReader({}, [])))
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("test", "passes", "fails"),
    [
        # A type is equal to itself only, and a number to every spelling of it.
        (
            "1000",
            [1000, 1000.0, LongNumber("1000.00000000000000000")],
            ["1000", True, None, WITHOUT],
        ),
        ('"1000"', ["1000"], [1000, None]),
        ("1", [1, 1.0], [True, "1"]),
        ("true", [True], [1, "true", False]),
        ('"true"', ["true"], [True]),
        ("İstanbul", ["İstanbul"], ["istanbul", "İstanbul "]),
        ("[İstanbul, 5, false]", ["İstanbul", 5, False], ["5", 0, None, {}, [], WITHOUT]),
        ("{equals: a}", ["a"], ["A", None]),
        ("{any_of: [a, 2]}", ["a", 2], ["2", WITHOUT]),
        # `not` passes what is missing.
        ("{not: a}", ["b", None, WITHOUT, 1, {}], ["a"]),
        ("{not: [a, 1]}", ["b", True, "1", WITHOUT], ["a", 1, 1.0]),
        # Numbers compare with numbers.
        ("{below: 5}", [4, 4.9, -1e300], [5, "4", True, None, HUGE]),
        ("{at_most: 5}", [5, 5.0], [5.1, None]),
        ("{above: 5}", [5.1, HUGE, LongNumber("1e400")], [5, "6", WITHOUT]),
        ("{at_least: 5}", [5, 10**18], [4.9, "5"]),
        ("{above: 1, below: 3}", [2], [1, 3]),
        ("{at_least: 9007199254740993}", [9007199254740993], [9007199254740992]),
        ("{at_least: -1.5e3}", [-1500], [-1501]),
        # Texts.
        ("{starts_with: ab}", ["ab", "abc"], ["xab", 5, None]),
        ("{ends_with: ab}", ["ab", "xab"], ["abx", None]),
        ("{contains: ab}", ["xaby"], ["a b", None, {"ab": 1}]),
        ('{contains: "1"}', ["a1"], [1]),
        ("{same_text: STRASSE}", ["straße", "Strasse"], ["strase", None]),
        # What there is.
        ("{exists: true}", [0, "", False, {}, []], [None, WITHOUT]),
        ("{exists: false}", [None, WITHOUT], [0, "", []]),
        # Of an array one element must pass.
        ("gold", [["vip", "gold"]], [[], ["vip"], [["gold"]]]),
        ("{below: 5}", [[9, 4]], [[9, "4"], []]),
        ("{contains: ol}", [["vip", "gold"]], [["vip"]]),
        ("{not: gold}", [["vip", "gold"], [None]], [["gold"], []]),
        ("{below: 2, above: 1.5}", [[1, 2]], [[3, 2]]),
    ],
)
def test_each_test_passes_what_it_says(
    tmp_path: Path, test: str, passes: list[Any], fails: list[Any]
) -> None:
    """Each test passes the values that its documentation names, and no others."""
    conditions = load(tmp_path, f"{GOOD}  data.a: {test}")
    for value in [*passes, *fails]:
        document = {} if value is WITHOUT else {"data": {"a": value}}
        expected = any(value is one for one in passes)
        assert conditions.hold(document) is expected, (test, value)


def test_all_paths_and_one_of_any_must_pass(tmp_path: Path) -> None:
    """All paths of the mapping must pass, and one of the mappings in `any`."""
    conditions = load(tmp_path, f"{GOOD}  data.a: 1\n  any:\n  - data.b: 2\n  - {{data.c.0: 3}}\n")
    assert conditions.hold({"data": {"a": 1, "b": 2}})
    assert conditions.hold({"data": {"a": 1, "c": [3]}})
    assert not conditions.hold({"data": {"a": 1, "b": 3}})
    assert not conditions.hold({"data": {"b": 2}})


def test_a_json_file_tells_texts_from_numbers(tmp_path: Path) -> None:
    """In a JSON file a text in quotes is a text, and a number a number."""
    text = '{"id": "h", "trigger": "event", "uri": "https://x.example", "when": %s}'
    when = '{"data.a": "1", "data.b": 1.50, "data.c": true, "data.d": "true", "data.e": 7}'
    conditions = load(tmp_path, text % when, "h.json")
    good = {"a": "1", "b": 1.5, "c": True, "d": "true", "e": 7}
    assert conditions.hold({"data": good})
    for other in ({"a": 1}, {"b": "1.50"}, {"c": "true"}, {"d": True}, {"e": "7"}):
        assert not conditions.hold({"data": {**good, **other}})


def test_a_test_looks_at_the_first_elements_of_a_long_array(tmp_path: Path) -> None:
    """An array of a million elements does not hold up the loop: its first 10,000 count."""
    conditions = load(tmp_path, f"{GOOD}  data: 1")
    assert conditions.hold({"data": [*[0] * (MAX_ELEMENTS - 1), 1]})
    assert not conditions.hold({"data": [*[0] * MAX_ELEMENTS, 1]})


@pytest.mark.parametrize(
    ("text", "line", "field", "message", "hint"),
    [
        ("  data.a: {at_leest: 5}", 5, "data.a.at_leest", "not a known test", "`at_least`"),
        ("  data.a: {max: 5}", 5, "data.a.max", "not a known test", "known here: above"),
        ("  data.a:\n    below: x", 6, "data.a.below", "is not a number", "without quotes"),
        ('  data.a: {below: "5"}', 5, "data.a.below", "is not a number", "without quotes"),
        ("  data.a: {below: true}", 5, "data.a.below", "is not a number", "without quotes"),
        ("  data.a: {below: 1e999}", 5, "data.a.below", "too large a number", "64 bits"),
        ("  data.a: 123456789012345678901", 5, "data.a", "too large a number", "64 bits"),
        ("  data.a: 00700", 5, "data.a", "begins with 0", '"00700" in quotes'),
        ("  data.a: {contains: 5}", 5, "data.a.contains", "is not a text", 'quotes: "5"'),
        ("  data.a: {same_text: true}", 5, "data.a.same_text", "is not a text", '"true"'),
        ('  data.a: {contains: ""}', 5, "data.a.contains", "every text passes", "one character"),
        ("  data.a: {exists: yes}", 5, "data.a.exists", "neither true nor false", "true or false"),
        ("  data.a: []", 5, "data.a", "no value passes", "at least one value"),
        ("  data.a: {any_of: []}", 5, "data.a.any_of", "no value passes", "at least one value"),
        ("  data.a: {any_of: a}", 5, "data.a.any_of", "is not a list", "[one, two]"),
        ("  data.a:\n  - x\n  - [y]", 7, "data.a[1]", "is not one value", "a text, a number"),
        ("  data.a: {not: {equals: 1}}", 5, "data.a.not", "is not one value", "a text, a number"),
        ("  data.a: {}", 5, "data.a", "names no test", "{exists: true}"),
        ("  data.a:", 5, "data.a", "is null", "{exists: false}"),
        ("  data..a: 1", 5, "data..a", "not a dotted path", "data.price"),
        ("  data.a: ${env:KEY}", 5, "data.a", "secrets cannot stand here", "fixed"),
        ("  any: []", 5, "any", "no event passes", "write a mapping"),
        ("  any: {data.a: 1}", 5, "any", "is not a list", "list of mappings"),
        ("  any:\n  - {}", 6, "any[0]", "is empty", "data.price: 5"),
        ("  any:\n  - any: [{a: 1}]", 6, "any[0].any", "inside another `any`", "beside"),
        ("  any: [x]", 5, "any[0]", "is not a mapping", "data.price: 5"),
        ("  data.a: {below: 1, above: 5}", 5, "data.a", "no number passes `above: 5`", "smaller"),
        ("  data.a: {at_most: 5, above: 5}", 5, "data.a", "no number passes", "smaller"),
        ("  data.a: {exists: false, below: 1}", 5, "data.a", "no value passes", "keep one"),
        (f"  data.a: {{{'x' * 9}: 1}}", 5, "data.a.xxxxxxxxx", "not a known test", "known here"),
    ],
)
def test_each_problem_names_its_line_and_test(  # noqa: PLR0917  # columns of the table
    tmp_path: Path, text: str, line: int, field: str, message: str, hint: str
) -> None:
    """A condition that cannot be used is refused with line, path, test and a hint."""
    [found] = problems(tmp_path, GOOD + text)
    assert (found.line, found.hook, found.field) == (line, "h", f"when.{field}")
    assert message in found.message
    assert hint in found.hint


@pytest.mark.parametrize("text", ["when: {}", "when: x", "when: [1]"])
def test_conditions_are_a_mapping(tmp_path: Path, text: str) -> None:
    """`when` itself must be a mapping with a test."""
    [found] = problems(tmp_path, GOOD.replace("when:", text))
    assert (found.line, found.field) == (4, "when")
    assert "data.price" in found.hint


def test_all_problems_of_conditions_come_together(tmp_path: Path) -> None:
    """Every problem of the conditions is told at once, with those of other fields."""
    text = f"{GOOD}  data.a: {{below: x, nope: 1}}\n  data.b: []\nretry_on: [200]\n"
    assert [found.line for found in problems(tmp_path, text)] == [5, 5, 6, 7]


def test_a_hook_has_at_most_a_hundred_tests(tmp_path: Path) -> None:
    """A hundred tests are accepted, those in `any` among them, and one more is refused."""
    several = [f"  data.a{number}: {{above: 1, below: 5}}" for number in range(49)]
    text = "\n".join([GOOD, *several, "  any: [{x: 1}, {y: 2}]"])
    load(tmp_path, text)
    [found] = problems(tmp_path, f"{text}\n  z: 1\n")
    assert (found.field, "has 101 tests" in found.message) == ("when", True)
