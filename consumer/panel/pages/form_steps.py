"""What happens to a hook's form between two answers: braces, ids, secrets, buttons; it is pure."""

import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final, TypeVar

from consumer.errors import InvalidValue
from consumer.panel.pages.form_fields import (
    HookForm,
    LabelRow,
    SecretRow,
    ValueRow,
    add_row,
    remove_row,
)
from consumer.panel.pages.hook_form import names_in_others, origin_of
from consumer.services.sealing import Seal

_MAX_ID: Final = 64
_BRACE: Final = re.compile(r"(?<!\$)\{([A-Za-z0-9_.%]+)\}")
_ROW_BUTTON: Final = re.compile(
    r"(add-(?P<add>label|header|parameter|signing)"
    r"|remove-(?P<remove>label|header|parameter|signing)\.(?P<index>[0-9]{1,4}))"
)
_LISTS: Final = {
    "label": "labels", "header": "headers", "parameter": "parameters",
    "signing": "signing_secrets",
}  # fmt: skip
BUTTONS: Final = ("validate", "review", "save", "edit", "mine")
"""Names of buttons beside those of rows."""
_LETTERS: Final = str.maketrans({"ı": "i", "İ": "i", "ß": "ss", "ø": "o", "Ø": "o", "ł": "l"})
_Secret = TypeVar("_Secret", SecretRow, ValueRow)


@dataclass(frozen=True, slots=True)
class Note:
    """What is wrong with a secret, as a message of the catalogue: `form.secret.KIND`."""

    field: str
    kind: str
    values: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pressed:
    """The form after a button of a row."""

    form: HookForm
    focus: str
    """The field that the cursor goes to."""


def pressed_button(posted: Mapping[str, str]) -> str:
    """The name of the button that posted a form; empty: none."""
    rows = (name for name in posted if _ROW_BUTTON.fullmatch(name))
    return next((name for name in BUTTONS if name in posted), next(rows, ""))


def press(form: HookForm, button: str) -> Pressed | None:
    """The form after the button of a row; None: the button is none of these."""
    match = _ROW_BUTTON.fullmatch(button)
    if match is None:
        return None
    name = _LISTS[match["add"] or match["remove"]]
    part = "value" if name == "signing_secrets" else "key"
    if match["add"]:
        form = add_row(form, name)
        return Pressed(form, f"{name}.{len(getattr(form, name)) - 1}.{part}")
    index = int(match["index"])
    form = remove_row(form, name, index)
    last = min(index, len(getattr(form, name)) - 1)
    add = next(f"add-{one}" for one, its in _LISTS.items() if its == name)
    return Pressed(form, f"{name}.{last}.{part}" if last >= 0 else add)


def brace_names(uri: str) -> list[str]:
    """The names of a URI's braces in their order, each once."""
    return list(dict.fromkeys(_BRACE.findall(uri)))


def with_braces(form: HookForm) -> HookForm:
    """The form with a row of labels for each brace of its URI, in the URI's order. A row whose
    brace was renamed goes with it; others of which something was entered stay behind these. There
    are no rows for what stands in the other settings since rows cannot show it.
    """
    if "uri_parameters" in form.others and "uri_parameters" in names_in_others(form):
        return replace(form, labels=tuple(filter(_is_entered, form.labels)))
    names = brace_names(form.uri)
    rows = {row.name: row for row in form.labels}
    missing = [name for name in names if name not in rows]
    orphans = [row for row in form.labels if row.name not in names and _is_entered(row)]
    if len(missing) == len(orphans) == 1:
        rows[missing[0]] = replace(orphans.pop(), name=missing[0])
    found = [rows.get(name, LabelRow(name)) for name in names]
    return replace(form, labels=(*found, *orphans))


def _is_entered(row: LabelRow) -> bool:
    return bool(row.label or row.default or row.missing)


def suggested_id(name: str) -> str:
    """An id for a hook of this name; empty if the name gives none."""
    plain = unicodedata.normalize("NFKD", name.translate(_LETTERS))
    text = "".join(one for one in plain if not unicodedata.combining(one)).lower()
    return re.sub(r"[^a-z0-9]+", "-", text).strip("-")[:_MAX_ID].rstrip("-")


def copy_of(form: HookForm) -> HookForm:
    """The form of a new hook that begins as a copy. What a mark stands for is the other hook's."""
    end = "-copy"
    form = replace(form, id=f"{form.id[: _MAX_ID - len(end)]}{end}")
    return replace(
        form, signing_secrets=tuple(replace(row, plain="") for row in form.signing_secrets)
    )


def in_plain(form: HookForm) -> HookForm:
    """The form with its typed secrets as plain values, to be checked and then thrown away: what is
    wrong with a secret cannot be seen once it is sealed.
    """
    return _map_secrets(form, lambda _, row: _plain(row) if row.is_unsealed else row)


def sealed(
    form: HookForm, seal: Seal | None, refused: Sequence[str]
) -> tuple[HookForm, list[Note]]:
    """The form with its typed secrets sealed. One that cannot be is taken out, with a note; of the
    fields `refused` something else is wrong that is told already.
    """
    origin, notes = origin_of(form.uri), list[Note]()

    def one(name: str, row: _Secret) -> _Secret:
        if not row.is_unsealed:
            return row
        emptied = replace(row, value="")
        if name in refused:
            return emptied
        if seal is None or not origin:
            kind = "no_key" if seal is None else "no_origin"
            notes.append(Note(name, kind, {}))
            return emptied
        try:
            text = seal(row.value, origin)
        except InvalidValue:
            notes.append(Note(name, "size", {}))
            return emptied
        return replace(emptied, sealed=text, sealed_for=origin, kept="", plain="")

    return _map_secrets(form, one), notes


def moved_secrets(form: HookForm) -> list[Note]:
    """Notes on sealed values that are of no use at the URI's present origin."""
    origin, notes = origin_of(form.uri), list[Note]()

    def one(name: str, row: _Secret) -> _Secret:
        is_used = row.sealed and not row.value and getattr(row, "source", "fixed") == "fixed"
        if is_used and origin and row.sealed_for not in {"", origin}:
            values = {"sealed": row.sealed_for, "origin": origin}
            notes.append(Note(name, "moved", values))
        return row

    _map_secrets(form, one)
    return notes


def _plain(row: _Secret) -> _Secret:
    text = row.value.replace("${", "$${")
    return replace(row, value="", sealed="", kept="", plain=text)


def _map_secrets(form: HookForm, change: Callable[[str, Any], Any]) -> HookForm:
    """The form with each row that may have a secret changed, by its field's name."""
    lists = {
        name: tuple(
            change(f"{name}.{index}.value", row) for index, row in enumerate(getattr(form, name))
        )
        for name in ("headers", "parameters", "signing_secrets")
    }
    return replace(
        form,
        headers=lists["headers"],
        parameters=lists["parameters"],
        signing_secrets=lists["signing_secrets"],
    )
