"""From a path in a definition to the field of the form that it is about; it is pure."""

import re
from collections.abc import Callable, Sequence
from functools import partial
from typing import Final

from consumer.panel.pages.form_fields import LINES, HookForm, SecretRow
from consumer.panel.pages.hook_form import ORDER, names_in_others

_INDEXED: Final = re.compile(r"(headers|parameters|signing_secrets)\[([0-9]+)\](?:\.([a-z_]+))?.*")


def field_finder(form: HookForm) -> Callable[[str], str]:
    """From a path in the definition, `headers[0].value`, to the name of the form's field that it is
    about; `headers` and `parameters` stand for the whole list, and an empty name for the form.
    """
    return partial(_field_of, form, names_in_others(form))


def _field_of(form: HookForm, in_others: frozenset[str], path: str) -> str:
    top = re.split(r"[.\[]", path, maxsplit=1)[0]
    if top in in_others:
        return "others"
    if top in {*LINES, "enabled", "select"}:
        return top
    if top == "rate_limit":
        return path if path in {"rate_limit.per", "rate_limit.burst"} else "rate_limit.requests"
    if top == "uri_parameters":
        return _label_field(form, path.removeprefix("uri_parameters."))
    if (match := _INDEXED.fullmatch(path)) is not None:
        return _row_field(form, match)
    return top if top in ORDER else ""


def _label_field(form: HookForm, path: str) -> str:
    """A brace's name may have points in it, so the names of the form decide."""
    for index, row in enumerate(form.labels):
        if path == row.name:
            return f"labels.{index}.label"
        rest = path.removeprefix(f"{row.name}.")
        if rest != path and rest in {"label", "default", "missing"}:
            return f"labels.{index}.{rest}"
    return "uri"


def _row_field(form: HookForm, match: re.Match[str]) -> str:
    """Blank rows are not in the definition, so its indexes pass over them."""
    name, wanted, part = match[1], int(match[2]), match[3]
    rows: Sequence[SecretRow] = getattr(form, name)
    numbers = [number for number, row in enumerate(rows) if not row.is_blank]
    if wanted >= len(numbers):
        return name
    if name == "signing_secrets":
        part = "value"
    return f"{name}.{numbers[wanted]}.{part or 'key'}"
