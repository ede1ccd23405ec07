"""Exported definitions: what is written is read back as it was."""

from typing import Any

import yaml
from hypothesis import example, given
from hypothesis import strategies as st

from consumer.control.difference import FieldChange, as_written, definition_yaml, difference
from consumer.documents.yaml_reader import read_yaml
from consumer.documents.yaml_writer import write_yaml

TEXTS = st.text(st.characters(codec="utf-8"), max_size=40) | st.sampled_from(
    [
        "", "yes", "no", "1.10", "null", "~", "007", "1:30", "2026-11-24", "true", "True", "a: b",
        "# c", "- d", "{e}", "[f]", "*g", "&h", "!i", "%j", "@k", "`l", "'", '"', "\\", "\x85",
        "a\n", "\r\n", "\t", " a ", "\x00", "\ufeff", "\u2028", "${env:KEY}", "50", "-1", "=", "<<",
        "İstanbul", "😀", "e" * 300, "?", "|", ">", "---", "...", "0x1f", "1e3", ".inf", "0o7",
    ]
)  # fmt: skip
VALUES = st.recursive(
    TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)
DEFINITIONS = st.dictionaries(TEXTS, VALUES, min_size=1, max_size=6)
JSON = st.recursive(
    TEXTS | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False) | st.none(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=12,
)


@given(DEFINITIONS)
@example({"\x85": "\x85"})
def test_what_is_exported_is_applied_as_it_was(definition: dict[str, Any]) -> None:
    """A definition that is exported and read again is the same one, with any text in it."""
    [document] = read_yaml(write_yaml(definition))
    assert document.data == definition


def test_conditions_differ_by_type() -> None:
    """In `when` a number is not its text: the difference shows it, and the export keeps it."""
    number, text = (
        {"when": {"data.a": 5, "data.b": True}},
        {"when": {"data.a": "5", "data.b": True}},
    )
    assert difference(number, text) == [FieldChange("when.data.a", "5", '"5"')]
    assert difference(number, number) == []
    assert definition_yaml(text) == 'when:\n  data.a: "5"\n  data.b: true\n'
    assert definition_yaml(number) == "when:\n  data.a: 5\n  data.b: true\n"


@given(DEFINITIONS)
def test_other_readers_take_texts_for_texts(definition: dict[str, Any]) -> None:
    """A reader that resolves YAML 1.1's types gets each text as text too, or as the integer or
    boolean of the same spelling.
    """
    assert _keys_as_text(as_written(yaml.safe_load(write_yaml(definition)))) == definition


def _keys_as_text(value: Any) -> Any:
    if isinstance(value, list):
        return [_keys_as_text(item) for item in value]
    if not isinstance(value, dict):
        return value
    return {as_written(key): _keys_as_text(item) for key, item in value.items()}


@given(JSON)
def test_the_written_form_is_one(value: Any) -> None:
    """The written form of a written form is itself, and differs from it in no field."""
    written = as_written({"v": value})
    assert as_written(written) == written
    assert difference({"v": value}, written) == []


@given(DEFINITIONS, DEFINITIONS)
def test_a_difference_names_each_field_that_differs(
    before: dict[str, Any], after: dict[str, Any]
) -> None:
    """Two definitions have no difference exactly if they are equal, and its two sides are
    exchanged with the definitions.
    """
    found = difference(before, after)
    assert bool(found) == (before != after)
    back = {(one.field, one.after, one.before) for one in difference(after, before)}
    assert {(one.field, one.before, one.after) for one in found} == back
