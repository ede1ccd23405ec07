"""The deletion of a hook: asked for, with its name, before it is done."""

from http import HTTPStatus

from consumer.control.changes import Conflict, ConflictError
from consumer.panel.models import MAX_TEXT
from consumer.panel.pages.data import Data
from consumer.panel.pages.form_draft import posted_revision
from consumer.panel.pages.hook_writes import HookWrites
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit, keep_all
from consumer.panel.problems import invalid_field
from consumer.services.hooks import Who


class HookDeletePage:
    """`/hooks/{hook}/delete`."""

    def __init__(self, data: Data, writes: HookWrites, *, live: bool) -> None:
        """`live`: whether definitions may be in the topic."""
        self._data = data
        self._writes = writes
        self._live = live

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        path = "/hooks/{hook}/delete"
        return [
            PageRoute("GET", path, self.ask, "hooks", "editor"),
            PageRoute("POST", path, self.delete, "hooks", "editor", keep=keep_all),
        ]

    async def ask(self, visit: Visit) -> Result:
        """Whether it shall be deleted."""
        return await self._asked(visit, None)

    async def delete(self, visit: Visit) -> Result:
        """Delete it, if it is still as it was shown."""
        if visit.restored is not None:
            return await self._asked(visit, None)
        hook_id, comment = visit.parameters["hook"], visit.form.get("comment", "").strip()
        if len(comment) > MAX_TEXT:
            raise invalid_field("comment", f"is longer than {MAX_TEXT} characters", "shorten it")
        who = Who(visit.identity.name, comment)
        try:
            await self._writes.delete(hook_id, posted_revision(visit.form), who, dry_run=False)
        except ConflictError as error:
            return await self._asked(visit, error.conflicts[0])
        return MovedTo(f"/hooks/{hook_id}")

    async def _asked(self, visit: Visit, newer: Conflict | None) -> Result:
        entry = await self._data.hook(visit.parameters["hook"])
        if entry.source == "file":
            values = {
                "entry": entry, "hook_id": entry.hook_id, "reason": "file", "live": self._live,
            }  # fmt: skip
            return Shown("hook_form_closed.html", values)
        values = {
            "entry": entry,
            "hook_id": entry.hook_id,
            "newer": newer,
            "comment": visit.form.get("comment", ""),
        }
        status = HTTPStatus.OK if newer is None else HTTPStatus.PRECONDITION_FAILED
        return Shown("hook_delete.html", values, status)
