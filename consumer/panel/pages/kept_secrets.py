"""Keys that sign and that a definition has in plain: a form has a mark in their place; it is pure.

No page has such a key, and the form keeps nothing on the server. So a posted mark is looked up in
the definition in force.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from consumer.control.plain_secrets import mark, secrets_by_mark
from consumer.panel.pages.form_fields import HookForm, SecretRow


def kept_row(text: str) -> SecretRow:
    """The row of a key that stands in a definition in plain."""
    return SecretRow(kept=mark(text), plain=text)


def with_kept(form: HookForm, definition: Mapping[str, Any] | None) -> tuple[HookForm, list[str]]:
    """The form with the keys that its marks stand for, and the fields whose mark the definition in
    force has no key for: it is another one by now, or another hook's.
    """
    known = secrets_by_mark(definition)
    rows, gone = list[SecretRow](), list[str]()
    for index, row in enumerate(form.signing_secrets):
        is_gone = bool(row.kept) and row.kept not in known
        if is_gone and not row.value:
            gone.append(f"signing_secrets.{index}.value")
        plain = known.get(row.kept, "")
        rows.append(replace(row, kept="" if is_gone else row.kept, plain=plain))
    return replace(form, signing_secrets=tuple(rows)), gone
