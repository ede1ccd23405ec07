"""What others did to a hook while its form was written, and what a save on top would undo."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consumer.control.changes import ConflictError
from consumer.control.difference import FieldChange, difference, written_definition
from consumer.control.plain_secrets import without_signing_secrets_in
from consumer.errors import HookstreamError
from consumer.panel.pages.data import Data
from consumer.panel.pages.form_fields import HookForm
from consumer.panel.pages.form_places import field_finder
from consumer.panel.pages.hook_form import definition_of
from consumer.panel.pages.hook_page import Change, change_view
from consumer.panel.pages.sealed_texts import without_ciphertext
from consumer.services.catalogue import HookEntry
from consumer.services.hook_reader import NotFoundError
from consumer.services.hooks import ExistsError


@dataclass(frozen=True, slots=True)
class Overwrite:
    """A field that others changed, and that a save on top would change again. Texts as in
    `FieldChange`; None: there is no value.
    """

    field: str
    """Its path in the definition."""
    name: str
    """The form's field that it is about; empty: the form has none for it."""
    base: str | None
    """When the form began."""
    theirs: str | None
    mine: str | None
    is_untouched: bool
    """Whether the form has the value with which it began: a save would undo a change of others that
    its author never saw.
    """


@dataclass(frozen=True, slots=True)
class Newer:
    """What others did to a hook since a form began."""

    revision: int
    """The newest one; 0: the hook was deleted."""
    by: str
    at: str
    """RFC 3339; empty if it is not known."""
    changes: Sequence[Change]
    """The newest first; none: they cannot be read."""
    overwrites: Sequence[Overwrite] = ()

    @property
    def by_field(self) -> Mapping[str, Sequence[Overwrite]]:
        """What a save on top would undo, by the form's field."""
        found = dict[str, list[Overwrite]]()
        for one in self.overwrites:
            found.setdefault(one.name, []).append(one)
        return found


def overwrites(
    base: Mapping[str, Any] | None, theirs: Mapping[str, Any], form: HookForm
) -> list[Overwrite]:
    """The fields in which others changed `base`, the definition with which `form` began, and in
    which the form differs from theirs; without a base all in which it differs from theirs. Signing
    secrets are hidden.
    """
    mine, field_of = definition_of(form).definition, field_finder(form)
    changed = {one.field: one for one in difference(base, theirs)} if base is not None else {}
    return [
        _overwrite(one, changed.get(one.field), field_of(one.field))
        for one in difference(theirs, mine)
        if base is None or one.field in changed
    ]


def _overwrite(yours: FieldChange, others: FieldChange | None, name: str) -> Overwrite:
    """`yours`: from theirs to mine; `others`: from the base to theirs, None if it is not known."""
    is_untouched = others is not None and others.before == yours.after
    shown, before = _readable(yours), _readable(others) if others is not None else None
    base = before.before if before is not None else None
    return Overwrite(yours.field, name, base, shown.before, shown.after, is_untouched)


def _readable(change: FieldChange) -> FieldChange:
    return without_ciphertext(without_signing_secrets_in([change]))[0]


async def revision_now(data: Data, hook_id: str) -> int:
    """The revision of a hook; 0: there is no such hook."""
    try:
        return (await data.hook(hook_id)).revision
    except NotFoundError:
        return 0


async def newer_than(
    data: Data, hook_id: str, seen: int, form: HookForm, error: HookstreamError
) -> Newer | None:
    """Who changed a hook since revision `seen`, and what; None: that is not why a write failed
    with `error`.
    """
    if not isinstance(error, ConflictError | NotFoundError | ExistsError):
        return None
    entry = await _entry(data, hook_id)
    if isinstance(error, ExistsError) and (entry is None or not entry.revision):
        return None  # a file defines it meanwhile
    try:
        records = (await data.changes(hook_id)).records
    except HookstreamError:
        records = []
    found: Sequence[Overwrite] = ()
    if entry is not None and entry.definition is not None:
        known = {one.revision: one.after for one in records}
        known |= {one.revision - 1: one.before for one in records}
        found = overwrites(known.get(seen), entry.definition, form)
    changes = [change_view(one) for one in records if one.revision > seen]
    if isinstance(error, ConflictError):
        conflict = error.conflicts[0]
        return Newer(conflict.newest, conflict.by, conflict.at, changes, found)
    by, at = (changes[0].by, changes[0].at) if changes else ("", "")
    return Newer(entry.revision if entry is not None else 0, by, at, changes, found)


async def as_in_force(data: Data, form: HookForm, error: HookstreamError) -> HookEntry | None:
    """The hook as it is now, if that is what the form says already: "Save" was pressed twice, or
    again after a way back in the browser's history. None: it is not why a write failed with
    `error`.
    """
    if not isinstance(error, ConflictError | ExistsError):
        return None
    entry = await _entry(data, form.id)
    if entry is None or entry.source == "file" or entry.definition is None:
        return None
    mine = definition_of(form).definition
    is_same = written_definition(mine) == written_definition(entry.definition)
    return entry if is_same else None


async def _entry(data: Data, hook_id: str) -> HookEntry | None:
    try:
        return await data.hook(hook_id)
    except HookstreamError:
        return None
