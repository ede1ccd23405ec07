"""Keys that sign and that a definition has in plain: a form has a mark in their place; it is pure.

No page has such a key, and the form keeps nothing on the server. So a posted mark is looked up in
the definition in force.
"""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import Any, Final

from consumer.control.difference import as_written
from consumer.panel.pages.form_fields import HookForm, SecretRow

_MARK_CHARACTERS: Final = 16


def kept_row(text: str) -> SecretRow:
    """The row of a key that stands in a definition in plain."""
    return SecretRow(kept=_mark(text), plain=text)


def with_kept(form: HookForm, definition: Mapping[str, Any] | None) -> tuple[HookForm, list[str]]:
    """The form with the keys that its marks stand for, and the fields whose mark the definition in
    force has no key for: it is another one by now, or another hook's.
    """
    known = {_mark(text): text for text in _texts(definition)}
    rows, gone = list[SecretRow](), list[str]()
    for index, row in enumerate(form.signing_secrets):
        is_gone = bool(row.kept) and row.kept not in known
        if is_gone and not row.value:
            gone.append(f"signing_secrets.{index}.value")
        plain = known.get(row.kept, "")
        rows.append(replace(row, kept="" if is_gone else row.kept, plain=plain))
    return replace(form, signing_secrets=tuple(rows)), gone


def _texts(definition: Mapping[str, Any] | None) -> Iterator[str]:
    """In their written form, as a form has them."""
    found = as_written((definition or {}).get("signing_secrets"))
    return (one for one in found if isinstance(one, str)) if isinstance(found, list) else iter(())


def _mark(text: str) -> str:
    """It gives nothing away: a key that signs has at least 192 random bits."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_MARK_CHARACTERS]
