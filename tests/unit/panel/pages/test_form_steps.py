"""The steps of a hook's form: braces and their labels, ids, rows, secrets, differences."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.control.difference import FieldChange
from consumer.errors import InvalidValue
from consumer.panel.pages.form_draft import Draft
from consumer.panel.pages.form_fields import HookForm, LabelRow, SecretRow, ValueRow
from consumer.panel.pages.form_steps import (
    copy_of,
    in_plain,
    moved_secrets,
    press,
    pressed_button,
    sealed,
    suggested_id,
    with_braces,
)
from consumer.panel.pages.form_view import FormPage, troubles
from consumer.panel.pages.hook_form import definition_of, keep_types
from consumer.panel.pages.sealed_texts import without_ciphertext
from consumer.panel.problems import FieldProblem

URI = "https://e.example/{a}/x?b={b}"


def _labels(form: HookForm) -> list[tuple[str, str]]:
    return [(row.name, row.label) for row in with_braces(form).labels]


def _seal(text: str, origin: str) -> str:
    if len(text) > 20:
        raise InvalidValue("is too long", "shorten it")
    return f"${{sealed:{origin.removeprefix('https://').replace('.', '-')}-{len(text)}}}"


def test_each_brace_of_the_uri_has_a_row() -> None:
    """Rows follow the URI's order; what was entered for a brace stays with it."""
    known = (LabelRow("b", "B"), LabelRow("a", "A"))
    assert _labels(HookForm(uri=URI)) == [("a", ""), ("b", "")]
    assert _labels(HookForm(uri=URI, labels=known)) == [("a", "A"), ("b", "B")]


def test_a_brace_that_is_renamed_keeps_its_label() -> None:
    """If one brace takes another's place, the label goes with it."""
    form = HookForm(uri="https://e.example/{campaign}", labels=(LabelRow("campain", "Code"),))
    assert _labels(form) == [("campaign", "Code")]


def test_a_label_whose_brace_is_gone_is_not_lost() -> None:
    """A row with an entry stays behind the others; an empty one goes with its brace."""
    known = (LabelRow("old", "Old"), LabelRow("empty"))
    form = HookForm(uri="https://e.example/", labels=known)
    assert _labels(form) == [("old", "Old")]
    two = HookForm(uri="https://e.example/{a}/{b}", labels=(LabelRow("old", "Old"),))
    assert _labels(two) == [("a", ""), ("b", ""), ("old", "Old")]


@pytest.mark.parametrize(
    ("name", "hook_id"),
    [
        ("Click analytics", "click-analytics"),
        ("Satın Alma Akışı (İstanbul)", "satin-alma-akisi-istanbul"),
        ("  -- ", ""),
        ("x" * 63 + " y", "x" * 63),
        ("Größe", "grosse"),
    ],
)
def test_an_id_is_suggested_from_the_name(name: str, hook_id: str) -> None:
    """A suggested id is the name without accents, in at most 64 characters."""
    assert suggested_id(name) == hook_id


@given(st.text())
def test_a_suggested_id_is_one(name: str) -> None:
    """Whatever the name, the suggestion is an id or nothing."""
    found = suggested_id(name)
    assert len(found) <= 64
    assert set(found) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")


def test_a_copy_has_an_id_of_its_own() -> None:
    """A copy's id says so, and is never longer than an id may be."""
    assert copy_of(HookForm(id="click")).id == "click-copy"
    assert len(copy_of(HookForm(id="x" * 64)).id) == 64


def test_a_button_of_a_row_moves_the_cursor_to_where_one_goes_on() -> None:
    """After "add" it is in the new row, after "remove" in the row in its place, or at "add"."""
    form = HookForm(headers=(ValueRow(key="A"), ValueRow(key="B")))
    added = press(form, "add-header")
    assert added is not None
    assert (added.focus, len(added.form.headers)) == ("headers.2.key", 3)
    removed = press(form, "remove-header.1")
    assert removed is not None
    assert (removed.focus, removed.form.headers[0].key) == ("headers.0.key", "A")
    none_left = press(removed.form, "remove-header.0")
    assert none_left is not None
    assert none_left.focus == "add-header"
    signing = press(HookForm(), "add-signing")
    assert signing is not None
    assert (signing.focus, len(signing.form.signing_secrets)) == ("signing_secrets.0.value", 1)
    assert press(form, "review") is None
    assert press(form, "remove-header.99") is not None


def test_the_button_that_was_pressed_is_known_by_its_name() -> None:
    """A form without a button is one that a page carried on: nothing is to be done."""
    assert pressed_button({"name": "save", "uri": "review"}) == ""
    assert pressed_button({"remove-parameter.3": "", "name": "x"}) == "remove-parameter.3"
    assert pressed_button({"review": ""}) == "review"


def test_a_typed_secret_is_sealed_for_the_origin_of_the_uri() -> None:
    """Sealing leaves no typed secret in the form, and a typed one replaces a sealed one."""
    rows = (
        ValueRow(key="A", source="fixed", value="s3cret", secret=True, sealed="${sealed:old}"),
        ValueRow(key="B", source="fixed", value="plain"),
        ValueRow(key="C", source="profile", value="city", secret=True),
    )
    form, notes = sealed(
        HookForm(uri=URI, headers=rows, signing_secrets=(SecretRow("whsec_eA"),)),
        _seal,
        (),
    )
    assert notes == []
    assert (form.headers[0].sealed, form.headers[0].sealed_for) == (
        "${sealed:e-example-6}",
        "https://e.example",
    )
    assert [row.value for row in form.headers] == ["", "plain", "city"]
    assert form.signing_secrets[0].sealed
    assert "s3cret" not in repr(form)


@pytest.mark.parametrize(
    ("uri", "has_key", "value", "kind"),
    [
        ("https:/e.example", True, "s3cret", "no_origin"),
        (URI, False, "s3cret", "no_key"),
        (URI, True, "x" * 21, "size"),
    ],
)
def test_a_secret_that_cannot_be_sealed_is_taken_out_and_said(
    uri: str, has_key: bool, value: str, kind: str
) -> None:
    """A secret is never kept unsealed: its field says that it has to be entered again, and why."""
    row = ValueRow(key="A", source="fixed", value=value, secret=True)
    form, notes = sealed(HookForm(uri=uri, parameters=(row,)), _seal if has_key else None, ())
    assert value not in repr(form)
    assert [(one.field, one.kind) for one in notes] == [("parameters.0.value", kind)]


def test_a_secret_that_is_wrong_is_not_sealed() -> None:
    """A value that the check refuses is taken out, for sealed nothing would say what is wrong."""
    row = ValueRow(key="A", source="fixed", value="s3cret", secret=True)
    form, notes = sealed(HookForm(uri=URI, headers=(row,)), _seal, ["headers.0.value"])
    assert (form.headers[0].value, form.headers[0].sealed, notes) == ("", "", [])


def test_a_secret_is_checked_as_it_was_typed() -> None:
    """For the check alone a typed secret stands in the definition, its `${` as plain text."""
    row = ValueRow(key="A", source="fixed", value="a${env:X}", secret=True)
    [entry] = definition_of(in_plain(HookForm(headers=(row,)))).definition["headers"]
    assert entry["value"] == "a$${env:X}"


def test_another_origin_asks_for_sealed_values_again() -> None:
    """A value that is sealed for another origin than the URI's is told, unless it is replaced."""
    old = "https://old.example"
    row = ValueRow(key="A", source="fixed", sealed="${sealed:x}", sealed_for=old)
    [note] = moved_secrets(HookForm(uri=URI, headers=(row,)))
    assert (note.field, note.kind) == ("headers.0.value", "moved")
    assert note.values == {"sealed": old, "origin": "https://e.example"}
    same = ValueRow(key="A", source="fixed", sealed="${sealed:x}", sealed_for="https://e.example")
    typed = ValueRow(key="A", source="fixed", value="new", sealed="${sealed:x}", sealed_for=old)
    other = ValueRow(key="A", source="event", value="a", sealed="${sealed:x}", sealed_for=old)
    assert moved_secrets(HookForm(uri=URI, headers=(same, typed, other))) == []
    assert moved_secrets(HookForm(uri="https:/", headers=(row,))) == []


def test_what_is_wrong_is_told_in_the_order_of_the_form() -> None:
    """The summary names fields from top to bottom, rows by their numbers."""
    form = HookForm(
        name="x",
        headers=(ValueRow(key="A", value="a"), ValueRow(key="B", value="b")),
        others="z: 1",
    )
    paths = ["z", "headers[1].key", "headers[0].key", "trigger", "name", "parameters[0]"]
    problems = [FieldProblem(field=path, message="m", hint="h") for path in paths]
    found = FormPage(Draft(None, form), troubles(form, problems)).trouble
    assert [one.field for one in found] == [
        "name", "trigger", "headers.0.key", "headers.1.key", "parameters", "others",
    ]  # fmt: skip
    assert (found[2].row, found[2].part) == (("headers", 1), "key")
    assert (found[0].row, found[0].part) == (None, "name")


def test_the_same_problem_of_many_rows_is_one_sentence_with_a_count() -> None:
    """Sixty braces without a label are one line of the summary, which leads to the first of them;
    each field still has its own problem, and another sentence is another line.
    """
    form = HookForm(labels=tuple(LabelRow(f"b{index}") for index in range(60)))
    problems = [
        FieldProblem(field=f"uri_parameters.b{index}.label", message="is empty", hint="write it")
        for index in range(60)
    ]
    problems += [FieldProblem(field="uri_parameters.b3.label", message="is odd", hint="h")]
    page = FormPage(Draft(None, form), troubles(form, problems))
    assert [(one.field, more) for one, more in page.summary] == [
        ("labels.0.label", 59), ("labels.3.label", 0),
    ]  # fmt: skip
    assert len(page.by_field) == 60


def test_sealed_values_are_cut_short_in_a_difference() -> None:
    """A person sees that a sealed value has changed, and not all of it."""
    change = FieldChange("headers[0].value", "plain", "a ${sealed:abcdefghijkl} b")
    [short] = without_ciphertext([change])
    assert (short.before, short.after) == ("plain", "a ${sealed:abcdef…} b")


def test_values_that_mean_the_same_keep_their_types() -> None:
    """A form has texts only; numbers and booleans that it did not change stay what they were."""
    old = {"retry_on": [403, 404], "enabled": True, "when": {"a": {"below": 5}}, "name": "x"}
    new = {"retry_on": ["403", "404"], "enabled": "true", "when": {"a": {"below": 6}}, "b": "1"}
    assert keep_types(new, old) == {
        "retry_on": [403, 404], "enabled": True, "when": {"a": {"below": 6}}, "b": "1",
    }  # fmt: skip
    assert keep_types({"when": {"a": "5"}}, {"when": {"a": 5}}) == {"when": {"a": "5"}}
    assert keep_types({"retry_on": ["403", "500"]}, old) == {"retry_on": [403, "500"]}
