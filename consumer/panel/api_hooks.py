"""The API's routes about hooks: shown, checked and changed."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from http import HTTPStatus
from typing import Any, Final

from consumer.control.difference import FieldChange
from consumer.control.plain_secrets import (
    marked_signing_secrets,
    shown_difference,
    without_signing_secrets,
)
from consumer.control.records import AuditRecord
from consumer.panel import models
from consumer.panel.problems import Problem
from consumer.panel.routes import Answer, Call, Route
from consumer.services.catalogue import HookEntry
from consumer.services.hook_reader import Filter
from consumer.services.hooks import Changed, HookService, Who
from consumer.services.last_day import DayCounts, DayReader

_ETAG: Final = re.compile(r'"(0|[1-9][0-9]{0,17})"')
_ANY: Final = "*"
_DAY_WAIT_SECONDS: Final = 2.0
"""How long a look at hooks waits for their counts."""
_WRITE_FAILS: Final = (
    HTTPStatus.NOT_FOUND,
    HTTPStatus.CONFLICT,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.PRECONDITION_REQUIRED,
)


class HooksApi:
    """Handlers about hooks."""

    def __init__(self, hooks: HookService, day: DayReader) -> None:
        self._hooks = hooks
        self._day = day

    def routes(self) -> list[Route]:
        """The routes of these handlers."""
        change = {HTTPStatus.OK: models.Change}
        return [
            Route(
                "GET", "/hooks", "viewer", "List hooks", {HTTPStatus.OK: models.Hooks},
                self.list, query=models.HooksQuery,
            ),
            Route(
                "POST", "/hooks", "editor", "Create a hook",
                {HTTPStatus.CREATED: models.Change, HTTPStatus.OK: models.Change},
                self.create, (HTTPStatus.CONFLICT,), query=models.DryRun, body="definition",
                has_etag=True,
            ),
            Route(
                "POST", "/hooks:check", "viewer", "Check a definition",
                {HTTPStatus.OK: models.Checked}, self.check, body="definition",
            ),
            Route(
                "GET", "/hooks/{id}", "viewer", "Show a hook", {HTTPStatus.OK: models.Hook},
                self.get, (HTTPStatus.NOT_FOUND,), has_etag=True,
            ),
            Route(
                "PUT", "/hooks/{id}", "editor", "Change a hook", change, self.change,
                _WRITE_FAILS, query=models.DryRun, body="definition", if_match="required",
                has_etag=True,
            ),
            Route(
                "DELETE", "/hooks/{id}", "editor", "Delete a hook", change, self.delete,
                _WRITE_FAILS, query=models.DryRun, if_match="required",
            ),
            Route(
                "GET", "/hooks/{id}/history", "viewer", "List the revisions of a hook",
                {HTTPStatus.OK: models.History}, self.history, (HTTPStatus.NOT_FOUND,),
                query=models.HistoryQuery,
            ),
            Route(
                "POST", "/hooks/{id}/rollback", "operator",
                "Bring an earlier revision back, as a new one", change, self.roll_back,
                _WRITE_FAILS[:3], query=models.DryRun, body=models.Rollback, if_match="optional",
                has_etag=True,
            ),
            *(
                Route(
                    "POST", f"/hooks/{{id}}/{word}", "operator", f"{word.capitalize()} a hook",
                    change, handler, _WRITE_FAILS[:3], query=models.DryRun, if_match="optional",
                    has_etag=True,
                )
                for word, handler in (("pause", self.pause), ("resume", self.resume))
            ),
        ]  # fmt: skip

    async def list(self, call: Call) -> Answer:
        """A page of hooks."""
        query: models.HooksQuery = call.query
        listing, day = await self._hooks.reader.listing(), await self._counts()
        wanted = Filter(query.q, query.trigger, query.state)
        found = [entry for entry in listing.entries if wanted.matches(entry)]
        behind = [one for one in found if query.cursor is None or one.hook_id > query.cursor]
        page = behind[: query.limit]
        return Answer(
            models.Hooks(
                hooks=[models.HookSummary(**_summary(entry, day)) for entry in page],
                total=len(found),
                next=page[-1].hook_id if len(behind) > len(page) else None,
                file_problems=[
                    models.FileProblemItem(
                        file=one.file, line=one.line, field=one.field, message=one.message,
                        hint=one.hint,
                    )
                    for one in listing.problems
                ],
                replicas=listing.replicas,
            )
        )  # fmt: skip

    async def get(self, call: Call) -> Answer:
        """One hook."""
        entry = await self._hooks.reader.get(call.path["id"])
        record = entry.record
        hook = models.Hook(
            **_summary(entry, await self._counts()),
            file=entry.file or None,
            comment=record.comment if record is not None else None,
            definition=_mapping(entry.definition, call),
        )
        return Answer(hook, headers=_etag(entry.revision) if entry.source == "live" else {})

    async def _counts(self) -> Mapping[str, DayCounts] | None:
        """By hook, of those that have any; None: they cannot be read now, or not so soon."""
        day = await self._day.get(_DAY_WAIT_SECONDS)
        return day.counts if day is not None and day.exists else None

    async def check(self, call: Call) -> Answer:
        """A definition without a problem."""
        hook = self._hooks.check(await self._hooks.with_secrets(call.body))
        return Answer(models.Checked(hook=hook.id, trigger=hook.trigger, enabled=hook.enabled))

    async def create(self, call: Call) -> Answer:
        """Create a hook."""
        query: models.DryRun = call.query
        definition = await self._hooks.with_secrets(call.body)
        done = await self._hooks.create(definition, _who(call), dry_run=query.dry_run)
        answer = _changed(done, dry_run=query.dry_run)
        if query.dry_run:
            return answer
        headers = {**answer.headers, "Location": f"/api/v1/hooks/{done.hook_id}"}
        return Answer(answer.data, HTTPStatus.CREATED, headers)

    async def change(self, call: Call) -> Answer:
        """Change a hook."""
        query: models.DryRun = call.query
        seen, definition = _seen(call.if_match), await self._hooks.with_secrets(call.body)
        done = await self._hooks.change(
            call.path["id"], definition, seen, _who(call), dry_run=query.dry_run
        )
        return _changed(done, dry_run=query.dry_run)

    async def delete(self, call: Call) -> Answer:
        """Delete a hook."""
        query: models.DryRun = call.query
        done = await self._hooks.delete(
            call.path["id"], _seen(call.if_match), _who(call), dry_run=query.dry_run
        )
        return Answer(_changed(done, dry_run=query.dry_run).data)

    async def history(self, call: Call) -> Answer:
        """The revisions of a hook."""
        query: models.HistoryQuery = call.query
        found = (await self._hooks.reader.changes(call.path["id"])).records
        before = [one for one in found if query.before is None or one.revision < query.before]
        page = before[: query.limit]
        return Answer(
            models.History(
                hook=call.path["id"],
                revisions=[models.Revision(**revision(change, call)) for change in page],
                next=page[-1].revision if len(before) > len(page) else None,
            )
        )

    async def roll_back(self, call: Call) -> Answer:
        """Bring an earlier revision back."""
        query: models.DryRun = call.query
        wanted: models.Rollback = call.body
        done = await self._hooks.roll_back(
            call.path["id"],
            wanted.revision,
            _seen(call.if_match or _ANY),
            _who(call),
            dry_run=query.dry_run,
        )
        return _changed(done, dry_run=query.dry_run)

    async def pause(self, call: Call) -> Answer:
        """Stop a hook from firing."""
        return await self._switch(call, enabled=False)

    async def resume(self, call: Call) -> Answer:
        """Let a hook fire again."""
        return await self._switch(call, enabled=True)

    async def _switch(self, call: Call, *, enabled: bool) -> Answer:
        query: models.DryRun = call.query
        done = await self._hooks.switch(
            call.path["id"],
            _seen(call.if_match or _ANY),
            _who(call),
            enabled=enabled,
            dry_run=query.dry_run,
        )
        return _changed(done, dry_run=query.dry_run)


def revision(change: AuditRecord, call: Call) -> dict[str, Any]:
    """The fields of one revision, for the user of a request."""
    return {
        "revision": change.revision,
        "action": change.action,
        "at": change.at,
        "by": change.by,
        "comment": change.comment,
        "fields": _fields(shown_difference(change.before, change.after)),
        "definition": _mapping(change.after, call),
    }


def _summary(entry: HookEntry, day: Mapping[str, DayCounts] | None) -> dict[str, Any]:
    definition, record = entry.definition or {}, entry.record

    def text(name: str) -> str | None:
        value = definition.get(name)
        return value if isinstance(value, str) else None

    return {
        "hook": entry.hook_id,
        "name": entry.name,
        "owner": text("owner"),
        "source": entry.source,
        "state": entry.state,
        "trigger": text("trigger"),
        "uri": text("uri"),
        "revision": entry.revision or None,
        "at": record.at if record is not None else None,
        "by": record.by if record is not None else None,
        "problem": entry.problem or None,
        "day": asdict(day.get(entry.hook_id, DayCounts())) if day is not None else None,
    }


def _changed(done: Changed, *, dry_run: bool) -> Answer:
    change = models.Change(
        hook=done.hook_id,
        action=done.action or "unchanged",
        dry_run=dry_run,
        seen=done.seen,
        revision=done.seen if done.action is None else done.revision,
        fields=_fields(done.fields),
        definition=marked_signing_secrets(done.definition) if done.definition is not None else None,
    )
    return Answer(change, headers=_etag(done.revision or done.seen))


def _fields(fields: Iterable[FieldChange]) -> "list[models.FieldDifference]":
    return [
        models.FieldDifference(field=one.field, before=one.before, after=one.after)
        for one in fields
    ]


def _mapping(definition: Mapping[str, Any] | None, call: Call) -> dict[str, Any] | None:
    """A definition for the user of a request: an editor may write it back as it is."""
    if definition is None:
        return None
    shown = marked_signing_secrets if call.who.may("editor") else without_signing_secrets
    return shown(definition)


def _who(call: Call) -> Who:
    query: models.DryRun = call.query
    return Who(call.who.name, query.comment)


def _etag(revision: int) -> dict[str, str]:
    return {"ETag": f'"{revision}"'}


def _seen(if_match: str) -> int | None:
    """The revision that an `If-Match` names; None: any. Raises `Problem`."""
    if if_match == _ANY:
        return None
    match = _ETAG.fullmatch(if_match)
    if match is None:
        detail = 'If-Match is to be an ETag of one revision: "7"'
        if if_match.startswith("W/"):
            detail += "; a weak one is refused (a proxy may have made it): send it without W/"
        raise Problem(HTTPStatus.BAD_REQUEST, "header", detail)
    return int(match[1])
