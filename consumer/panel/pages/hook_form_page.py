"""The form that makes and changes a hook, its review, and what happens if two change it."""

from collections.abc import Iterable, Mapping
from dataclasses import replace
from http import HTTPStatus
from typing import Any, Final, Literal

from consumer.control.changes import UnknownOutcomeError
from consumer.control.difference import FieldChange
from consumer.documents.lines import one_line
from consumer.errors import ConfigError, HookstreamError, InvalidValue
from consumer.panel.errors import problem_of
from consumer.panel.models import MAX_TEXT
from consumer.panel.pages.data import Data
from consumer.panel.pages.form_conflict import as_in_force, newer_than, revision_now
from consumer.panel.pages.form_draft import Draft, draft_of
from consumer.panel.pages.form_fields import (
    HookForm,
    LabelRow,
    SecretRow,
    ValueRow,
    parse_form,
    posted_fields,
    without_typed_secrets,
)
from consumer.panel.pages.form_steps import (
    Note,
    copy_of,
    in_plain,
    moved_secrets,
    press,
    pressed_button,
    sealed,
    suggested_id,
    with_braces,
)
from consumer.panel.pages.form_view import (
    FormPage,
    Outcome,
    Review,
    Trouble,
    own_troubles,
    troubles,
)
from consumer.panel.pages.hook_form import definition_of, form_of, keep_types
from consumer.panel.pages.hook_writes import HookWrites
from consumer.panel.pages.kept_secrets import with_kept
from consumer.panel.pages.render import url
from consumer.panel.pages.sealed_texts import without_ciphertext
from consumer.panel.pages.trial import TRIAL_FIELDS
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit
from consumer.panel.problems import FieldProblem, of_diagnostics
from consumer.services.catalogue import HookEntry
from consumer.services.hook_reader import NotFoundError
from consumer.services.hooks import Changed, ExistsError, ReadOnlyError, Who
from consumer.services.sealing import Seal

NEW_PATH: Final = "/new-hook"
"""No hook's page has this address, whatever its id."""
_FIRST: Final = "name"
"""The first field of the form."""
MAX_KEPT_SECRETS: Final = 10
"""Typed secrets that are sealed for a request whose user is not known: more would take long."""


class HookFormPage:
    """`/new-hook` and `/hooks/{hook}/edit`."""

    def __init__(self, data: Data, writes: HookWrites, seal: Seal | None, *, live: bool) -> None:
        """`seal`: None if the settings have no key; `live`: whether hooks may be in the topic."""
        self._data = data
        self._writes = writes
        self._seal = seal
        self._live = live

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        new, edit, begun = NEW_PATH, "/hooks/{hook}/edit", frozenset({"from"})
        return [
            PageRoute("GET", new, self.begin, "hooks", "editor", query=begun),
            PageRoute("POST", new, self.go_on, "hooks", "editor", keep=self.keep),
            PageRoute("GET", edit, self.edit, "hooks", "editor"),
            PageRoute("POST", edit, self.go_on, "hooks", "editor", keep=self.keep),
        ]

    def keep(self, posted: Mapping[str, str]) -> Mapping[str, str]:
        """The fields of a form that a page may carry on, its secrets sealed."""
        form = parse_form(posted)
        if form.unsealed > MAX_KEPT_SECRETS:
            form = without_typed_secrets(form)
        form, _ = sealed(form, self._seal, ())
        further = {
            name: posted[name] for name in ("seen", "comment", *TRIAL_FIELDS) if name in posted
        }
        return {**posted_fields(form), **further}

    async def begin(self, visit: Visit) -> Result:
        """An empty form, or one that begins as a copy."""
        if not self._live:
            return self._closed(None, "files")
        if (copied := visit.query.get("from")) is None:
            return self._shown(FormPage(Draft(None, HookForm(enabled=True)), focus=_FIRST))
        entry = await self._data.hook(copied)
        if entry.definition is None:
            return self._closed(entry, "unreadable")
        form, gone = with_kept(copy_of(form_of(entry.definition)), None)
        return self._shown(FormPage(Draft(None, form), troubles(form, (), _gone(gone))))

    async def edit(self, visit: Visit) -> Result:
        """The form of a hook; of one that is refused with its problems."""
        entry = await self._data.hook(visit.parameters["hook"])
        if entry.source == "file":
            return self._closed(entry, "file")
        if entry.definition is None:
            return self._closed(entry, "unreadable")
        draft = Draft(entry.hook_id, form_of(entry.definition), entry.revision)
        found = self._check(draft.form) if entry.hook is None else []
        return self._shown(FormPage(draft, found))

    async def go_on(self, visit: Visit) -> Result:
        """The form after one of its buttons."""
        draft, button = draft_of(visit), pressed_button(visit.form)
        focus = ""
        if visit.restored is None and (pressed := press(draft.form, button)) is not None:
            draft, focus = replace(draft, form=pressed.form), pressed.focus
        form, gone = with_kept(draft.form, await self._in_force(draft))
        draft = replace(draft, form=form)
        if gone or focus or visit.restored is not None:
            form, notes = sealed(form, self._seal, gone)
            found = troubles(form, (), [*_gone(gone), *notes])
            draft = replace(draft, form=form if visit.restored is not None else with_braces(form))
            return self._shown(FormPage(draft, found, focus, restored=visit.restored))
        draft = replace(draft, form=with_braces(draft.form))
        match button:
            case "validate":
                return self._validated(draft)
            case "review" | "save" | "mine":
                return await self._review(visit, draft, button)
            case _:
                form, notes = sealed(draft.form, self._seal, ())
                found, draft = troubles(form, (), notes), replace(draft, form=form)
                is_back = button == "edit" and not found
                return self._shown(FormPage(draft, found, _FIRST if is_back else ""))

    async def _in_force(self, draft: Draft) -> Mapping[str, Any] | None:
        """The definition that the marks of a form are of; None: there is none."""
        if draft.hook_id is None or not draft.form.has_kept:
            return None
        try:
            return (await self._data.hook(draft.hook_id)).definition
        except NotFoundError:
            return None

    def _validated(self, draft: Draft) -> Result:
        """The form with its braces: what is wrong with the URI is told, and nothing else yet."""
        found = [one for one in self._check(draft.form) if one.field == "uri"]
        form, notes = sealed(draft.form, self._seal, ())
        empty = (index for index, row in enumerate(form.labels) if not row.label)
        first = next((f"labels.{index}.label" for index in empty), "method")
        notes += moved_secrets(form)
        found += troubles(form, (), notes)
        focus = "uri" if found else first
        draft = replace(draft, form=form)
        return self._shown(FormPage(draft, found, focus, is_validated=not found))

    async def _review(
        self, visit: Visit, draft: Draft, button: Literal["review", "save", "mine"]
    ) -> Result:
        """What a save would do, or the save itself; if it cannot be done, the form says why."""
        if draft.hook_id is None and not draft.form.id:
            draft = replace(draft, form=replace(draft.form, id=suggested_id(draft.form.name)))
        found = self._check(draft.form)
        form, notes = sealed(draft.form, self._seal, [one.field for one in found])
        found += troubles(form, (), [*notes, *moved_secrets(form)])
        draft = replace(draft, form=form)
        found += _comment_troubles(draft.comment)
        if found:
            return self._shown(FormPage(draft, found), HTTPStatus.UNPROCESSABLE_ENTITY)
        if button == "mine":
            draft = replace(draft, seen=await revision_now(self._data, draft.hook_id or ""))
        try:
            done = await self._write(visit, draft, dry_run=button != "save")
        except HookstreamError as error:
            return await self._not_written(draft, error)
        action = _word(done)
        if button == "save":
            return MovedTo(url(f"/hooks/{done.hook_id}", done=action))
        return _review(draft, action, done.fields)

    async def _not_written(self, draft: Draft, error: HookstreamError) -> Result:
        if (entry := await as_in_force(self._data, draft.form, error)) is not None:
            same = replace(draft, hook_id=entry.hook_id, seen=entry.revision)
            return _review(same, "nothing", ())
        hook_id, newer = draft.hook_id, None
        if hook_id is not None:
            newer = await newer_than(self._data, hook_id, draft.seen, draft.form, error)
        if newer is None:
            return self._refused(draft, error)
        return self._shown(FormPage(draft, newer=newer), HTTPStatus.PRECONDITION_FAILED)

    async def _write(self, visit: Visit, draft: Draft, *, dry_run: bool) -> Changed:
        definition: Mapping[str, Any] = definition_of(draft.form).definition
        who = Who(visit.identity.name, draft.comment)
        if draft.hook_id is None or not draft.seen:
            return await self._writes.create(definition, who, dry_run=dry_run)
        before = (await self._data.hook(draft.hook_id)).definition
        definition = keep_types(definition, before or {})
        return await self._writes.change(
            draft.hook_id, definition, draft.seen, who, dry_run=dry_run
        )

    def _check(self, form: HookForm) -> list[Trouble]:
        """What the daemon would refuse."""
        plain = in_plain(form)
        parsed = definition_of(plain)
        problems = list[FieldProblem]()
        try:
            self._writes.check(parsed.definition)
        except ConfigError as error:
            problems = of_diagnostics(error.diagnostics)
        return [*troubles(plain, problems), *own_troubles(parsed.problems)]

    def _refused(self, draft: Draft, error: HookstreamError) -> Result:
        """The form with what the service says."""
        if isinstance(error, ConfigError):
            found = troubles(draft.form, of_diagnostics(error.diagnostics))
            return self._shown(FormPage(draft, found), HTTPStatus.UNPROCESSABLE_ENTITY)
        answer, hook_id = problem_of(error), draft.hook_id or draft.form.id
        field, hint, look_at = "", "what you wrote is kept: try it again", ""
        if isinstance(error, UnknownOutcomeError):
            hint, look_at = (
                "look at the hook before you try again: it may be saved already",
                hook_id,
            )
        elif isinstance(error, ReadOnlyError) or (isinstance(error, ExistsError) and draft.hook_id):
            hint = "what you wrote is kept"
        elif isinstance(error, ExistsError):
            field, hint, look_at = "id", "choose another id, or change that hook", hook_id
        problem = FieldProblem(field=field, message=answer.details.detail, hint=hint)
        found = [Trouble(field, problem, None, look_at)]
        return self._shown(FormPage(draft, found), answer.status)

    def _shown(self, page: FormPage, status: HTTPStatus = HTTPStatus.OK) -> Shown:
        form = without_typed_secrets(page.form)
        page = replace(page, draft=replace(page.draft, form=form))
        values = {
            "page": page,
            "form": form,
            "by_field": page.by_field,
            "theirs": page.theirs,
            "hook_id": page.draft.hook_id,
            "can_seal": self._seal is not None,
            "blank_label": LabelRow(),
            "blank_value": ValueRow(),
            "blank_secret": SecretRow(),
        }
        return Shown("hook_form.html", values, status)

    def _closed(
        self, entry: HookEntry | None, reason: Literal["file", "files", "unreadable"]
    ) -> Shown:
        """Why there is no form."""
        hook_id = entry.hook_id if entry is not None else ""
        values = {"entry": entry, "hook_id": hook_id, "reason": reason, "live": self._live}
        return Shown("hook_form_closed.html", values)


def _review(draft: Draft, action: Outcome, fields: Iterable[FieldChange]) -> Shown:
    review = Review(draft, action, without_ciphertext(fields))
    values = {"review": review, "hook_id": draft.hook_id}
    return Shown("hook_review.html", values)


def _gone(fields: Iterable[str]) -> list[Note]:
    """Notes on keys that the hook in force does not have."""
    return [Note(field, "gone", {}) for field in fields]


def _comment_troubles(comment: str) -> list[Trouble]:
    try:
        one_line(comment, MAX_TEXT)
    except InvalidValue as invalid:
        problem = FieldProblem(field="comment", message=invalid.message, hint=invalid.hint)
        return own_troubles([problem])
    return []


def _word(done: Changed) -> Outcome:
    if done.action is None:
        return "nothing"
    return "changed" if done.seen else "created"
