"""From a hook's form to its definition and back; it is pure.

`form_fields` names the fields. Nothing of a definition is lost on the way: what the form has no
field for, or cannot show as it is, stands as YAML in `others`. Definitions are compared in their
written form (`as_written`): a number and its text mean the same.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.control.difference import as_written, definition_yaml, written_definition
from consumer.control.plain_secrets import is_reference
from consumer.documents.yaml_reader import read_yaml
from consumer.errors import InvalidValue
from consumer.hooks.condition_form import with_json_conditions
from consumer.hooks.template import parse_template
from consumer.panel.pages.form_fields import (
    LINES,
    HookForm,
    LabelRow,
    RateLimitFields,
    SecretRow,
    ValueRow,
    subjects,
)
from consumer.panel.pages.kept_secrets import kept_row
from consumer.panel.pages.sealed_texts import is_sealed
from consumer.panel.pages.shown_in_form import (
    BLANK,
    are_labels,
    are_secrets,
    are_values,
    is_blank,
    is_line,
    is_rate_limit,
    is_select,
)
from consumer.panel.problems import FieldProblem

ORDER: Final = (
    "id", "name", "enabled", "app", "owner", "method", "trigger", "select", "uri",
    "uri_parameters", "headers", "parameters", "order", "rate_limit", "signing_secrets",
)  # fmt: skip
"""The fields of a definition that the form has fields for, in the order in which it is written."""
_COUNT: Final = re.compile(r"[1-9][0-9]{0,8}")


@dataclass(frozen=True, slots=True)
class Parsed:
    """The definition of a form."""

    definition: dict[str, Any]
    problems: Sequence[FieldProblem]
    """Why the form has no definition; their fields are the form's. A secret that is not sealed is
    one, and is not in the definition.
    """


def form_of(definition: Mapping[str, Any]) -> HookForm:
    """The form that shows a definition."""
    others = _written_fields(definition)
    blank = {name for name in ORDER if name in others and is_blank(name, others[name])}
    for name in blank:
        del others[name]
    origin = origin_of(definition.get("uri"))
    taken = {name: others.pop(name) for name in LINES if is_line(others.get(name))}
    if "enabled" in others:  # `true` says nothing, and is among the blank ones
        taken["enabled"] = False
        if others["enabled"] == "false":
            del others["enabled"]
    if is_select(others.get("select")):
        taken["select"] = "\n".join(others.pop("select"))
    if are_labels(others.get("uri_parameters")):
        taken["labels"] = tuple(_label_rows(others.pop("uri_parameters")))
    for name in ("headers", "parameters"):
        if are_values(others.get(name), with_encode=name == "headers"):
            taken[name] = tuple(_value_row(one, origin) for one in others.pop(name))
    if is_rate_limit(others.get("rate_limit")):
        taken["rate_limit"] = RateLimitFields(**others.pop("rate_limit"))
    if are_secrets(others.get("signing_secrets")):
        secrets = others.pop("signing_secrets")
        taken["signing_secrets"] = tuple(_signing_row(one, origin) for one in secrets)
    return HookForm(
        **taken, others=definition_yaml(others) if others else "", written=frozenset(blank)
    )


def _written_fields(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The fields in their written form, but for `when`: a number and its text differ there."""
    return {
        name: value if name == "when" else as_written(value)
        for name, value in definition.items()
        if value is not None
    }


def definition_of(form: HookForm) -> Parsed:
    """The definition of a form."""
    others, problems = _read_others(form.others)
    found = dict(_given(form))
    if "enabled" in others and not form.enabled:
        del found["enabled"]  # a box that is not ticked leaves it to what it cannot show
    for name in form.written:
        if name in ORDER:
            found.setdefault(name, BLANK.get(name, ""))
    if twice := [name for name in others if name in found or _is_ticked(form, others, name)]:
        problems.append(
            FieldProblem(
                field="others",
                message=f"has {', '.join(twice)}, which the form has a field for",
                hint="take it out here, or empty that field",
            )
        )
    problems += _unsealed(form)
    ordered: dict[str, Any] = {name: found[name] for name in ORDER if name in found}
    return Parsed({**ordered, **others}, problems)


def origin_of(uri: object) -> str:
    """The origin of a URI, `scheme://host[:port]`; empty if it has none."""
    try:
        return parse_template(uri).origin if isinstance(uri, str) else ""
    except InvalidValue:
        return ""


def names_in_others(form: HookForm) -> frozenset[str]:
    """The fields of the definition that stand in the YAML of other settings."""
    return frozenset(map(str, _read_others(form.others)[0]))


def _is_ticked(form: HookForm, others: Mapping[str, Any], name: str) -> bool:
    """Whether the box for `enabled` says what the other settings say again."""
    return name == "enabled" and (form.enabled or as_written(others[name]) in ["true", "false"])


def _given(form: HookForm) -> Iterator[tuple[str, Any]]:
    """The fields of the definition that were entered."""
    for name in LINES:
        text = getattr(form, name)
        if text and not (name == "method" and text == "GET"):
            yield name, text
    if not form.enabled:
        yield "enabled", False
    if chosen := list(subjects(form.select)):
        yield "select", chosen
    if form.labels:
        yield "uri_parameters", {row.name: _label_entry(row) for row in form.labels}
    for name in ("headers", "parameters"):
        rows: Sequence[ValueRow] = getattr(form, name)
        if entries := [_value_entry(row) for row in rows if not row.is_blank]:
            yield name, entries
    if limit := _rate_limit(form.rate_limit):
        yield "rate_limit", limit
    if secrets := [_text(row) for row in form.signing_secrets if not row.is_blank]:
        yield "signing_secrets", secrets


def _label_entry(row: LabelRow) -> dict[str, str]:
    entry = {"label": row.label}
    if row.default or row.written == "default":
        entry["default"] = row.default
    if row.missing:
        entry["missing"] = row.missing
    return entry


def _value_entry(row: ValueRow) -> dict[str, str]:
    value = _text(row) if row.source == "fixed" else row.value
    entry = {"key": row.key, "source": row.source, "value": value}
    further = {"missing": row.missing, "encode": row.encode}
    return entry | {name: text for name, text in further.items() if text}


def _text(row: SecretRow) -> str:
    """The text of a definition: never a secret that is not sealed."""
    return (row.value if not row.is_unsealed else "") or row.sealed or row.plain


def _rate_limit(limit: RateLimitFields) -> dict[str, Any]:
    texts = {"requests": limit.requests, "per": limit.per, "burst": limit.burst}
    return {
        name: int(text) if name != "per" and _COUNT.fullmatch(text) else text
        for name, text in texts.items()
        if text
    }


def _unsealed(form: HookForm) -> Iterator[FieldProblem]:
    for name in ("headers", "parameters", "signing_secrets"):
        for index, row in enumerate(getattr(form, name)):
            if row.is_unsealed:
                yield FieldProblem(
                    field=f"{name}.{index}.value",
                    message="is a secret that is not sealed yet",
                    hint="correct the URI, for whose origin it is sealed",
                )


def _read_others(text: str) -> tuple[dict[str, Any], list[FieldProblem]]:
    try:
        documents = list(read_yaml(text))
    except InvalidValue as invalid:
        message = f"line {invalid.line}: {invalid.message}" if invalid.line else invalid.message
        return {}, [FieldProblem(field="others", message=message, hint=invalid.hint)]
    if not documents:
        return {}, []
    if len(documents) > 1 or not isinstance(documents[0].data, dict):
        hint = "write `field: value`, one field a line"
        return {}, [FieldProblem(field="others", message="is not one mapping", hint=hint)]
    return with_json_conditions(documents[0].data), []


def _label_rows(value: Mapping[str, Any]) -> Iterator[LabelRow]:
    for name, one in value.items():
        written = "default" if one.get("default") == "" else ""
        yield LabelRow(name, written=written, **one)


def _value_row(one: Mapping[str, Any], origin: str) -> ValueRow:
    is_fixed = one["source"] == "fixed"
    texts = {name: text for name, text in one.items() if name != "value"}
    value = _sealed(one["value"], origin) if is_fixed else {"value": one["value"]}
    return ValueRow(**texts, **value, secret="sealed" in value)


def _signing_row(text: str, origin: str) -> SecretRow:
    if is_sealed(text) or is_reference(text):
        return SecretRow(**_sealed(text, origin))
    return kept_row(text)


def _sealed(text: str, origin: str) -> dict[str, Any]:
    if is_sealed(text):
        return {"sealed": text, "sealed_for": origin}
    return {"value": text}


def keep_types(new: Mapping[str, Any], old: Mapping[str, Any]) -> Mapping[str, Any]:
    """A definition with the numbers and booleans of an earlier one in place of texts that mean the
    same: a form has texts only, but for `when`, which has its own.
    """
    if written_definition(new) == written_definition(old):
        return old
    return {
        name: _keep(value, old[name]) if name in old and name != "when" else value
        for name, value in new.items()
    }


def _keep(new: Any, old: Any) -> Any:
    if as_written(new) == as_written(old):
        return old
    if isinstance(new, Mapping) and isinstance(old, Mapping):
        return {
            name: _keep(value, old[name]) if name in old else value for name, value in new.items()
        }
    if isinstance(new, list) and isinstance(old, list):
        pairs = zip(new, old, strict=False)
        return [_keep(*pair) for pair in pairs] + new[len(old) :]
    return new
