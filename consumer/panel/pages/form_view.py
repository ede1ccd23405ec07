"""What the page of a hook's form shows beside the form itself; it is pure."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Literal

from consumer.control.difference import FieldChange, definition_yaml
from consumer.control.plain_secrets import plain_secrets, without_signing_secrets
from consumer.panel.pages.form_conflict import Newer, Overwrite
from consumer.panel.pages.form_draft import Draft
from consumer.panel.pages.form_fields import HookForm, posted_fields
from consumer.panel.pages.form_places import field_finder
from consumer.panel.pages.form_steps import Note, brace_names
from consumer.panel.pages.hook_form import definition_of
from consumer.panel.pages.visit import Restored
from consumer.panel.problems import FieldProblem

Outcome = Literal["created", "changed", "nothing"]
"""What a save does."""
_ROW: Final = re.compile(r"(labels|headers|parameters|signing_secrets)\.([0-9]+)\.([a-z_]+)")


@dataclass(frozen=True, slots=True)
class Trouble:
    """Something that is wrong with a field: a sentence of the loader, or a note."""

    field: str
    """The form's; empty: the form as a whole."""
    problem: FieldProblem | None
    note: Note | None
    hook: str = ""
    """The id of the hook to look at before another try; empty: none."""

    @property
    def sentence(self) -> tuple[object, ...]:
        """What it says, to be compared."""
        if self.problem is not None:
            return self.problem.message, self.problem.hint
        return (self.note.kind, *self.note.values.items()) if self.note is not None else ()

    @property
    def row(self) -> tuple[str, int] | None:
        """The list and the number, from 1, of the row that it is in."""
        match = _ROW.fullmatch(self.field)
        return (match[1], int(match[2]) + 1) if match is not None else None

    @property
    def part(self) -> str:
        """The field's name within its row or group."""
        return self.field.rpartition(".")[2]


@dataclass(frozen=True, slots=True)
class FormPage:
    """What the page shows."""

    draft: Draft
    found: Sequence[Trouble] = ()
    """What is wrong, in any order."""
    focus: str = ""
    """The field that the cursor goes to; empty: the first one."""
    restored: Restored | None = None
    is_validated: bool = False
    """Whether the URI was just found right."""
    newer: Newer | None = None

    @property
    def form(self) -> HookForm:
        """The form."""
        return self.draft.form

    @property
    def trouble(self) -> Sequence[Trouble]:
        """What is wrong, in the order of the form's fields."""
        return sorted(
            self.found, key=lambda one: (_ORDER.index(_top(one.field)), _number(one.field))
        )

    @property
    def summary(self) -> Sequence[tuple[Trouble, int]]:
        """What is wrong, each with the number of others like it, which are not in it: the same
        sentence at the same part of other rows of a list.
        """
        found = dict[object, tuple[Trouble, int]]()
        for one in self.trouble:
            place = one.row[0] if one.row is not None else one.field
            key = (place, one.part, one.sentence)
            first, more = found.get(key, (one, -1))
            found[key] = first, more + 1
        return list(found.values())

    @property
    def by_field(self) -> Mapping[str, Sequence[Trouble]]:
        """What is wrong, by field."""
        found = dict[str, list[Trouble]]()
        for one in self.trouble:
            found.setdefault(one.field, []).append(one)
        return found

    @property
    def theirs(self) -> Mapping[str, Sequence[Overwrite]]:
        """What a save on top of a newer revision would undo, by field."""
        return self.newer.by_field if self.newer is not None else {}

    @property
    def named_overwrites(self) -> Sequence[tuple[Trouble | None, Overwrite]]:
        """What a save on top would undo, each with its field; None: the form has none for it."""
        found = self.newer.overwrites if self.newer is not None else ()
        return [(Trouble(one.name, None, None) if one.name else None, one) for one in found]

    @property
    def braces(self) -> Sequence[str]:
        """The names in braces of the URI."""
        return brace_names(self.form.uri)

    @property
    def yaml(self) -> str:
        """The definition, as far as the form makes one; signing secrets are hidden."""
        definition = without_signing_secrets(definition_of(self.form).definition)
        return definition_yaml(definition)


@dataclass(frozen=True, slots=True)
class Review:
    """What a save would do."""

    draft: Draft
    action: Outcome
    fields: Sequence[FieldChange]

    @property
    def named(self) -> Sequence[tuple[Trouble | None, FieldChange]]:
        """The differences, each with its field of the form; None: the form has none for it."""
        field_of = field_finder(self.draft.form)
        fields = (field_of(one.field) for one in self.fields)
        return [
            (Trouble(name, None, None) if name else None, one)
            for name, one in zip(fields, self.fields, strict=True)
        ]

    @property
    def plain(self) -> Sequence[Trouble]:
        """The fields with secrets that would be stored as they are."""
        form = self.draft.form
        paths = plain_secrets(definition_of(form).definition)
        return [Trouble(name, None, None) for name in map(field_finder(form), paths)]

    @property
    def posted(self) -> Mapping[str, str]:
        """The fields that the page carries on."""
        return posted_fields(self.draft.form)


def troubles(
    form: HookForm, problems: Iterable[FieldProblem], notes: Iterable[Note] = ()
) -> list[Trouble]:
    """What is wrong with a form; `problems` are of its definition."""
    wrong = list(problems)
    field_of = field_finder(form) if wrong else str
    found = [Trouble(field_of(one.field), one, None) for one in wrong]
    return [*found, *(Trouble(one.field, None, one) for one in notes)]


def own_troubles(problems: Iterable[FieldProblem]) -> list[Trouble]:
    """Problems whose fields are the form's already."""
    return [Trouble(one.field, one, None) for one in problems]


_ORDER: Final = (
    "", "name", "id", "uri", "labels", "method", "trigger", "select", "headers", "parameters",
    "rate_limit", "order", "owner", "app", "enabled", "signing_secrets", "others", "comment",
)  # fmt: skip


def _top(field: str) -> str:
    top = field.partition(".")[0]
    return top if top in _ORDER else ""


def _number(field: str) -> int:
    match = _ROW.fullmatch(field)
    return int(match[2]) if match is not None else 0
