"""The fields of a hook's form as they are posted, and as values with types; it is pure.

| name of a field | content |
|---|---|
| `id`, `name`, `uri`, `method`, `trigger`, `owner`, `app`, `order` | one line of text |
| `select` | one subject a line |
| `enabled` | `on`, or absent |
| `labels.N.` `name`, `label`, `default`, `missing`, `written` | a brace of the URI; N is 0, 1 ... |
| `headers.N.` `key`, `source`, `value`, `missing`, `encode`, `secret`, `sealed`, `sealed_for` | \
a header |
| `parameters.N.` | likewise, without `encode` |
| `signing_secrets.N.` `value`, `sealed`, `sealed_for`, `kept` | a key that signs |
| `rate_limit.` `requests`, `per`, `burst` | one line of text each |
| `others` | YAML of all further fields of the definition |
| `written` | names of fields, between blanks, that the definition has although they say nothing: \
`enabled: true`, `headers: []` |

`secret` is `on` if the value that was typed is to be sealed; a key that signs always is. `sealed`
is a value that is sealed already (`${sealed:...}`), which a typed one replaces, and `sealed_for`
the origin that it is sealed for. `kept` stands for a key that signs and that the definition in
force has in plain: no field has its text (`kept_secrets`). `labels.N.written` is `default` if the
default is an empty text, and not absent.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, Final, TypeVar

from consumer.control.plain_secrets import is_reference

LINES: Final = ("id", "name", "uri", "method", "trigger", "owner", "app", "order")
"""Fields of one line of text each."""
MAX_ROWS: Final = 200
"""To which rows are added: more than a definition may have, so that its own check says what is too
many. Posted rows are all kept.
"""
_ROW: Final = re.compile(r"(labels|headers|parameters|signing_secrets)\.([0-9]{1,4})\.([a-z_]+)")
_ON: Final = "on"


@dataclass(frozen=True, slots=True)
class LabelRow:
    """One brace of the URI."""

    name: str = ""
    label: str = ""
    default: str = ""
    missing: str = ""
    """Empty: not said."""
    written: str = ""
    """`default` if an empty default is meant."""


@dataclass(frozen=True, slots=True)
class SecretRow:
    """A text that may be sealed: a key that signs, or the value of a `ValueRow`."""

    value: str = ""
    secret: bool = False
    """Whether a typed value is to be sealed."""
    sealed: str = ""
    """A sealed value that holds as long as no value is typed; empty: none."""
    sealed_for: str = ""
    """The origin that it is sealed for; empty: not known."""
    kept: str = ""
    """Stands for a text of the definition in force that no page shows; empty: there is none."""
    plain: str = field(default="", repr=False)
    """A text of the definition that is never posted; empty: there is none, or `kept` was not looked
    up yet.
    """

    @property
    def is_blank(self) -> bool:
        """Whether nothing was entered."""
        return not (self.value or self.sealed or self.kept or self.plain)

    @property
    def is_unsealed(self) -> bool:
        """Whether a secret was typed that must not leave the form as it is: a reference may."""
        return bool(self.value) and not is_reference(self.value)


@dataclass(frozen=True, slots=True)
class ValueRow(SecretRow):
    """One header or parameter."""

    key: str = ""
    source: str = "profile"
    missing: str = ""
    encode: str = ""

    @property
    def is_blank(self) -> bool:
        """Whether nothing was entered."""
        has_text = self.value or self.plain or (self.sealed and self.source == "fixed")
        return not (self.key or has_text)

    @property
    def is_unsealed(self) -> bool:
        """Whether a secret was typed that must not leave the form as it is."""
        is_secret = self.secret and self.source == "fixed"
        return is_secret and super(ValueRow, self).is_unsealed


@dataclass(frozen=True, slots=True)
class RateLimitFields:
    """The rate limit as it was typed."""

    requests: str = ""
    per: str = ""
    burst: str = ""


@dataclass(frozen=True, slots=True)
class HookForm:
    """What the form holds."""

    id: str = ""
    name: str = ""
    uri: str = ""
    method: str = "GET"
    trigger: str = ""
    owner: str = ""
    app: str = ""
    order: str = ""
    select: str = ""
    """One subject a line; empty: every event."""
    enabled: bool = True
    labels: tuple[LabelRow, ...] = ()
    headers: tuple[ValueRow, ...] = ()
    parameters: tuple[ValueRow, ...] = ()
    signing_secrets: tuple[SecretRow, ...] = ()
    rate_limit: RateLimitFields = RateLimitFields()
    others: str = ""
    """YAML."""
    written: frozenset[str] = frozenset()
    """Fields that the definition has although they say nothing."""

    @property
    def has_kept(self) -> bool:
        """Whether a mark in it stands for a signing secret."""
        return any(row.kept for row in self.signing_secrets)

    @property
    def unsealed(self) -> int:
        """How many secrets are in it that must not leave the form as it is."""
        rows = (*self.headers, *self.parameters, *self.signing_secrets)
        return sum(row.is_unsealed for row in rows)


_Row = TypeVar("_Row", SecretRow, ValueRow)


def parse_form(posted: Mapping[str, str]) -> HookForm:
    """The form of posted fields. Unknown ones are passed over: they are buttons and the page's."""
    rows = _rows(posted)
    lines = {name: _line(posted.get(name, "")) for name in LINES}
    return HookForm(
        **lines,
        select=_lines(posted.get("select", "")),
        enabled=posted.get("enabled") == _ON,
        labels=tuple(_label(row) for row in rows["labels"]),
        headers=tuple(_value(row) for row in rows["headers"]),
        parameters=tuple(_value(row) for row in rows["parameters"]),
        signing_secrets=tuple(_secret(row) for row in rows["signing_secrets"]),
        rate_limit=RateLimitFields(
            **{
                one.name: _line(posted.get(f"rate_limit.{one.name}", ""))
                for one in fields(RateLimitFields)
            }
        ),
        others=_unix(posted.get("others", "")),
        written=frozenset(posted.get("written", "").split()),
    )


def posted_fields(form: HookForm) -> dict[str, str]:
    """The fields of a form as a browser posts them, without empty ones. A typed secret is none of
    them.
    """
    form = without_typed_secrets(form)
    posted = {name: getattr(form, name) for name in (*LINES, "select", "others")}
    posted["enabled"] = _ON if form.enabled else ""
    posted["written"] = " ".join(sorted(form.written))
    for one in fields(RateLimitFields):
        posted[f"rate_limit.{one.name}"] = getattr(form.rate_limit, one.name)
    for name in ("labels", "headers", "parameters", "signing_secrets"):
        posted |= _posted_rows(name, getattr(form, name))
    return {name: text for name, text in posted.items() if text}


def without_typed_secrets(form: HookForm) -> HookForm:
    """The form without the secrets that were typed and not sealed."""
    return replace(
        form,
        headers=_emptied(form.headers),
        parameters=_emptied(form.parameters),
        signing_secrets=_emptied(form.signing_secrets),
    )


def add_row(form: HookForm, name: str) -> HookForm:
    """The form with one more row of `headers`, `parameters` or `signing_secrets`."""
    row = SecretRow() if name == "signing_secrets" else ValueRow()
    rows = getattr(form, name)
    if len(rows) >= MAX_ROWS:
        return form
    return _with_rows(form, name, (*rows, row))


def remove_row(form: HookForm, name: str, index: int) -> HookForm:
    """The form without one row of `labels`, `headers`, `parameters` or `signing_secrets`."""
    rows = getattr(form, name)
    return _with_rows(form, name, (*rows[:index], *rows[index + 1 :]))


def _with_rows(form: HookForm, name: str, rows: Sequence[Any]) -> HookForm:
    changed: dict[str, Any] = {name: tuple(rows)}
    return replace(form, **changed)


def _posted_rows(name: str, rows: Sequence[LabelRow | SecretRow]) -> dict[str, str]:
    posted = dict[str, str]()
    for index, row in enumerate(rows):
        for one in fields(row):
            if one.name == "plain":
                continue
            value = getattr(row, one.name)
            posted[f"{name}.{index}.{one.name}"] = _ON if value is True else value or ""
    return posted


def _emptied(rows: Sequence[_Row]) -> tuple[_Row, ...]:
    return tuple(replace(row, value="") if row.is_unsealed else row for row in rows)


def _rows(posted: Mapping[str, str]) -> dict[str, list[dict[str, str]]]:
    """The posted rows of each list in the order of their numbers, which may have gaps."""
    found: dict[str, dict[int, dict[str, str]]] = {
        name: {} for name in ("labels", "headers", "parameters", "signing_secrets")
    }
    for name, text in posted.items():
        if (match := _ROW.fullmatch(name)) is not None:
            found[match[1]].setdefault(int(match[2]), {})[match[3]] = text
    return {name: [rows[number] for number in sorted(rows)] for name, rows in found.items()}


def _label(row: Mapping[str, str]) -> LabelRow:
    return LabelRow(
        name=_line(row.get("name", "")),
        label=_line(row.get("label", "")),
        default=row.get("default", ""),
        missing=_line(row.get("missing", "")),
        written=_line(row.get("written", "")),
    )


def _secret(row: Mapping[str, str]) -> SecretRow:
    return SecretRow(
        value=_line(row.get("value", "")),
        sealed=_line(row.get("sealed", "")),
        sealed_for=_line(row.get("sealed_for", "")),
        kept=_line(row.get("kept", "")),
    )


def _value(row: Mapping[str, str]) -> ValueRow:
    source, value = _line(row.get("source", "")), row.get("value", "")
    return ValueRow(
        value=value if source == "fixed" else _line(value),
        secret=row.get("secret") == _ON,
        sealed=_line(row.get("sealed", "")),
        sealed_for=_line(row.get("sealed_for", "")),
        key=_line(row.get("key", "")),
        source=source,
        missing=_line(row.get("missing", "")),
        encode=_line(row.get("encode", "")),
    )


def _line(text: str) -> str:
    return text.strip()


def _lines(text: str) -> str:
    return "\n".join(subjects(text))


def subjects(text: str) -> Iterator[str]:
    """The subjects of the field `select`."""
    return (line.strip() for line in _unix(text).split("\n") if line.strip())


def _unix(text: str) -> str:
    """A text of several lines, whose ends browsers post as CR LF."""
    return text.replace("\r\n", "\n").replace("\r", "\n")
