"""The form of a hook and its definition: nothing is lost on the way, problems find their fields."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from consumer.control.difference import written_definition
from consumer.control.sealed import new_key, seal
from consumer.documents.tree import Document
from consumer.documents.yaml_reader import read_yaml
from consumer.panel.pages import hook_form
from consumer.panel.pages.form_fields import (
    HookForm,
    LabelRow,
    SecretRow,
    ValueRow,
    add_row,
    parse_form,
    posted_fields,
    remove_row,
    without_typed_secrets,
)
from consumer.panel.pages.form_places import field_finder
from consumer.panel.pages.form_steps import brace_names, with_braces
from consumer.panel.pages.form_view import troubles
from consumer.panel.pages.hook_form import definition_of, form_of
from consumer.panel.pages.kept_secrets import with_kept
from consumer.panel.problems import FieldProblem

SEALED = seal("s3cret", "https://e.example", new_key()[0])
FULL: dict[str, Any] = {
    "id": "click-analytics", "name": "Click analytics", "enabled": False, "app": "shop",
    "owner": "team-crm", "method": "GET", "trigger": "push_click",
    "select": ["spring-sale", "summer-sale"],
    "uri": "https://e.example/collect/{campaign}?x={a.b}",
    "uri_parameters": {
        "campaign": {"label": "Campaign code", "default": "none"},
        "a.b": {"label": "B", "default": "", "missing": "empty"},
    },
    "headers": [
        {"key": "X-Api-Key", "source": "fixed", "value": SEALED},
        {"key": "X-City", "source": "profile", "value": "city", "encode": "percent"},
    ],
    "parameters": [
        {"key": "uid", "source": "profile", "value": "id"},
        {"key": "category", "source": "event", "value": "data.category", "missing": "omit"},
    ],
    "when": {"data.price": {"at_least": 1000}}, "order": "user",
    "rate_limit": {"requests": 50, "per": "1s", "burst": 50},
    "retry_on": [403, 404], "timeout": "10s",
    "signing_secrets": [SEALED, "${file:/run/secrets/click}"],
}  # fmt: skip
TEXT = st.one_of(
    st.text(max_size=6), st.sampled_from(["", "GET", "fixed", "omit", "true", "1", SEALED, "\r\n"])
)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.floats(-9, 9) | TEXT,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXT, inner, max_size=3),
    max_leaves=6,
)
ENTRY = st.fixed_dictionaries(
    {"key": TEXT, "source": TEXT, "value": TEXT | JSON},
    optional={"missing": TEXT, "encode": TEXT, "more": JSON},
)
LABEL = st.fixed_dictionaries({"label": TEXT}, optional={"default": TEXT, "missing": TEXT})
DEFINITIONS = st.fixed_dictionaries(
    {},
    optional={
        **dict.fromkeys(("id", "name", "app", "owner", "method", "trigger"), TEXT | JSON),
        "uri": TEXT | st.just("https://e.example/{a}"),
        "enabled": st.booleans() | JSON,
        "select": st.lists(TEXT, max_size=3) | JSON,
        "uri_parameters": st.dictionaries(TEXT, LABEL, max_size=3) | JSON,
        "headers": st.lists(ENTRY, max_size=3) | JSON,
        "parameters": st.lists(ENTRY, max_size=3) | JSON,
        "rate_limit": st.dictionaries(st.sampled_from(["requests", "per", "burst"]), TEXT) | JSON,
        "signing_secrets": st.lists(TEXT, max_size=2) | JSON,
        "when": JSON,
        "a field of the future": JSON,
    },
)


def _posted(form: HookForm) -> HookForm:
    """The form after it went through a browser, which ends lines with CR LF, and a button."""
    posted = {name: text.replace("\n", "\r\n") for name, text in posted_fields(form).items()}
    return with_braces(parse_form(posted))


def _follows_the_uri(definition: dict[str, Any]) -> bool:
    """Whether each brace has its parameter, and one without a brace says something: the form adds a
    row for each brace, and takes out a blank row whose brace is gone.
    """
    form = form_of(definition)
    names, known = brace_names(form.uri), {row.name: row for row in form.labels}
    if "uri_parameters" in form.others:
        return True
    orphans = [row for name, row in known.items() if name not in names]
    return all(name in known for name in names) and all(
        row.label or row.default or row.missing for row in orphans
    )


@given(DEFINITIONS)
@example(FULL)
@example({"when": {"a": ["1", 1, "true", True, 1.5, "1.5", "x"], "b": "1e3", "c": {"not": "-0"}}})
@example({"enabled": True, "headers": [], "name": "", "uri_parameters": {}})
@example({"enabled": "no", "signing_secrets": ["${env:A}"] * 150})
@example({"uri": "https://e.example/{a}", "uri_parameters": {"a": {"label": "A\t"}}})
def test_a_definition_comes_out_of_the_form_as_it_went_in(definition: dict[str, Any]) -> None:
    """Whatever a definition holds, right or wrong, known or of a later version, the form gives it
    back unchanged after a browser has posted it.
    """
    assume(_follows_the_uri(definition))
    form, gone = with_kept(_posted(form_of(definition)), definition)
    assert gone == []
    parsed = definition_of(form)
    assert parsed.problems == []
    assert written_definition(parsed.definition) == written_definition(definition)


def test_a_definition_that_is_in_order_is_shown_in_fields() -> None:
    """Only what the form has no field for is left to the YAML of other settings."""
    form = form_of(FULL)
    assert (form.select, form.enabled) == ("spring-sale\nsummer-sale", False)
    assert form.labels[1] == LabelRow("a.b", "B", "", "empty", "default")
    assert form.headers[0] == ValueRow(
        key="X-Api-Key", source="fixed", secret=True, sealed=SEALED, sealed_for="https://e.example"
    )
    assert form.signing_secrets[1] == SecretRow("${file:/run/secrets/click}")
    assert form.others.split(":")[0] == "when"
    assert "headers" not in form.others
    assert form.written == {"method"}


def test_a_secret_that_was_typed_is_in_no_definition_and_in_no_field() -> None:
    """A secret that is not sealed yet is a problem at its field, and leaves the form nowhere."""
    row = ValueRow(key="X-Key", source="fixed", value="s3cret", secret=True, sealed=SEALED)
    form = HookForm(id="h", headers=(row,), signing_secrets=(SecretRow("s3cret"),))
    assert form.unsealed == 2
    parsed = definition_of(form)
    assert "s3cret" not in repr(parsed.definition)
    assert [one.field for one in parsed.problems] == ["headers.0.value", "signing_secrets.0.value"]
    assert "s3cret" not in repr(posted_fields(form))
    assert without_typed_secrets(form).unsealed == 0
    from_the_profile = HookForm(headers=(ValueRow(key="X", value="city", secret=True),))
    assert from_the_profile.unsealed == 0


def test_rows_are_added_and_removed() -> None:
    """A row is added at the end and taken out by its number; blank rows are not in a definition."""
    form = add_row(add_row(HookForm(), "parameters"), "parameters")
    assert definition_of(form).definition == {}
    form = parse_form(
        {"parameters.7.key": "b", "parameters.3.key": "a", "parameters.3.source": "event"}
    )
    assert [row.key for row in form.parameters] == ["a", "b"]
    assert [row.key for row in remove_row(form, "parameters", 0).parameters] == ["b"]


def test_a_key_that_stands_in_plain_is_kept_by_a_mark() -> None:
    """A signing key that a definition has in plain is in no field that is posted: a mark brings it
    back from the definition in force, and from no other.
    """
    plain = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"
    definition = {"id": "h", "signing_secrets": ["${env:KEY}", plain]}
    form = form_of(definition)
    assert plain not in repr(posted_fields(form))
    assert plain not in repr(form)
    posted = parse_form(posted_fields(form))
    found, gone = with_kept(posted, definition)
    assert (definition_of(found).definition, gone) == (definition, [])
    found, gone = with_kept(posted, {"signing_secrets": ["whsec_another"]})
    assert gone == ["signing_secrets.1.value"]
    assert definition_of(found).definition["signing_secrets"] == ["${env:KEY}"]
    typed = replace(posted, signing_secrets=(replace(posted.signing_secrets[1], value="${env:B}"),))
    assert with_kept(typed, None)[1] == []
    assert definition_of(with_kept(typed, definition)[0]).definition["signing_secrets"] == [
        "${env:B}"
    ]


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("name", "name"),
        ("select[1]", "select"),
        ("rate_limit", "rate_limit.requests"),
        ("rate_limit.per", "rate_limit.per"),
        ("uri_parameters.campaign", "labels.0.label"),
        ("uri_parameters.campaign.default", "labels.0.default"),
        ("uri_parameters.a.b.missing", "labels.1.missing"),
        ("uri_parameters.gone.label", "uri"),
        ("headers[0].value", "headers.1.value"),
        ("headers[1].encode", "headers.2.encode"),
        ("headers[1]", "headers.2.key"),
        ("headers[9]", "headers"),
        ("headers", "headers"),
        ("parameters[0].missing", "parameters.0.missing"),
        ("signing_secrets[1]", "signing_secrets.1.value"),
        ("when.data.price.at_least", "others"),
        ("a field of the future", ""),
        ("", ""),
    ],
)
def test_a_problem_is_placed_at_its_field(path: str, field: str) -> None:
    """Each path of the loader's errors leads to the field in which its value was entered."""
    form = parse_form(posted_fields(form_of(FULL)) | {"headers.2.key": "X-Third"})
    form = replace(form, headers=(ValueRow(), *form.headers))
    assert field_finder(form)(path) == field


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ("- a", "is not one mapping"),
        ("a: 1\n---\nb: 2", "is not one mapping"),
        ("a: {", "line 2: is not YAML"),
        ("name: other", "has name, which the form has a field for"),
        ("enabled: true", "has enabled, which the form has a field for"),
        ("enabled: false", "has enabled, which the form has a field for"),
    ],
)
def test_other_settings_that_cannot_be_meant_are_a_problem(others: str, message: str) -> None:
    """What is no mapping, or says again what a field says, is told at the other settings."""
    for enabled in (True, False):
        [problem] = definition_of(HookForm(name="Hook", enabled=enabled, others=others)).problems
        assert problem.field == "others"
        assert problem.message.startswith(message)


def test_many_problems_are_placed_at_the_cost_of_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """The YAML of other settings is read once for all problems of a form."""
    read = list[str]()

    def counted(text: str) -> Iterator[Document]:
        read.append(text)
        return read_yaml(text)

    monkeypatch.setattr(hook_form, "read_yaml", counted)
    problems = [FieldProblem(field=f"x[{one}]", message="m", hint="h") for one in range(100)]
    assert {one.field for one in troubles(HookForm(others="x: [1]"), problems)} == {"others"}
    assert len(read) == 1
