"""What operators do with a hook as it is: pause it, resume it, bring an earlier revision back."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol, assert_never, get_args

from consumer.control.changes import Conflict, ConflictError
from consumer.panel.models import MAX_TEXT
from consumer.panel.pages.choices import choice, number
from consumer.panel.pages.data import Data
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit, keep_all
from consumer.panel.problems import invalid_field
from consumer.services.hooks import Changed, Who
from consumer.services.replicas import Replica

HookAction = Literal["pause", "resume", "rollback"]
ACTIONS: Final[tuple[HookAction, ...]] = get_args(HookAction)
MAX_REVISION: Final = 10**9
IN_FORCE_SECONDS: Final = 8.0
"""How long a page waits for replicas: each tells its status every five seconds."""
_POLL_SECONDS: Final = 0.25


class HookChanges(Protocol):
    """The writes; `HookService` has them. Each raises `HookstreamError`."""

    async def switch(
        self, hook_id: str, seen: int | None, who: Who, *, enabled: bool, dry_run: bool
    ) -> Changed:
        """Pause a hook, or resume it."""
        ...

    async def roll_back(
        self, hook_id: str, revision: int, seen: int | None, who: Who, *, dry_run: bool
    ) -> Changed:
        """Bring an earlier revision back."""
        ...


@dataclass(frozen=True, slots=True)
class InForce:
    """At how many of the replicas that run the newest definition of a hook is in force."""

    current: int
    running: int

    @property
    def everywhere(self) -> bool:
        """Whether it is in force at all of them."""
        return self.current == self.running


def in_force(replicas: Sequence[Replica], hook_id: str) -> InForce:
    """What the replicas' statuses say of a hook."""
    current = sum(
        one.is_current and all(problem.hook != hook_id for problem in one.status.problems)
        for one in replicas
    )
    return InForce(current, len(replicas))


async def wait_in_force(
    replicas: Callable[[], Awaitable[Sequence[Replica]]], hook_id: str, seconds: float
) -> InForce:
    """What the replicas say once all have the newest definition, or after so many seconds."""
    found = in_force(await replicas(), hook_id)
    try:
        async with asyncio.timeout(seconds):
            while not found.everywhere:
                await asyncio.sleep(_POLL_SECONDS)
                found = in_force(await replicas(), hook_id)
    except TimeoutError:
        pass
    return found


class HookActionsPage:
    """`/hooks/{hook}/pause`, `resume` and `rollback` ask, and do it by a form; `in-force` waits."""

    def __init__(self, data: Data, changes: HookChanges, seconds: float = IN_FORCE_SECONDS) -> None:
        """`seconds`: see `IN_FORCE_SECONDS`."""
        self._data = data
        self._changes = changes
        self._seconds = seconds

    def routes(self) -> list[PageRoute]:
        """The routes of these pages."""
        return [
            *(route for action in ACTIONS for route in self._of(action)),
            PageRoute("GET", "/hooks/{hook}/in-force", self.wait, "hooks", ends_with_client=True),
        ]

    def _of(self, action: HookAction) -> list[PageRoute]:
        async def ask(visit: Visit) -> Result:
            return await self.ask(visit, action)

        async def do(visit: Visit) -> Result:
            return await self.do(visit, action)

        path = f"/hooks/{{hook}}/{action}"
        query = frozenset({"revision"} if action == "rollback" else ())
        return [
            PageRoute("GET", path, ask, "hooks", "operator", query=query),
            PageRoute("POST", path, do, "hooks", "operator", keep=keep_all),
        ]

    async def ask(self, visit: Visit, action: HookAction) -> Result:
        """What would change, and whether it shall."""
        return await self._asked(visit, action, visit.query)

    async def do(self, visit: Visit, action: HookAction) -> Result:
        """Do it, if the hook is still as it was shown."""
        if visit.restored is not None:
            return await self._asked(visit, action, visit.form)
        seen = _number(visit.form, "seen")
        try:
            done = await self._change(visit, action, visit.form, seen, dry_run=False)
        except ConflictError as error:
            return await self._asked(visit, action, visit.form, error.conflicts[0])
        path = f"/hooks/{visit.parameters['hook']}"
        return MovedTo(url(path, done=action if done.action is not None else "nothing"))

    async def wait(self, visit: Visit) -> Result:
        """A part of a page: at how many replicas a hook is in force."""
        hook_id = visit.parameters["hook"]
        found = await wait_in_force(self._data.replicas, hook_id, self._seconds)
        return Shown("in_force.html", {"in_force": found, "hook_id": hook_id, "waited": True})

    async def _asked(
        self,
        visit: Visit,
        action: HookAction,
        given: Mapping[str, str],
        conflict: Conflict | None = None,
    ) -> Shown:
        planned = await self._change(visit, action, given, None, dry_run=True)
        values: dict[str, Any] = {
            "action": action,
            "hook_id": planned.hook_id,
            "name": _name(planned, action),
            "planned": planned,
            "fields": planned.fields,
            "revision": given.get("revision"),
            "comment": given.get("comment", ""),
            "conflict": conflict,
        }
        status = HTTPStatus.OK if conflict is None else HTTPStatus.PRECONDITION_FAILED
        return Shown("hook_action.html", values, status)

    async def _change(
        self,
        visit: Visit,
        action: HookAction,
        given: Mapping[str, str],
        seen: int | None,
        *,
        dry_run: bool,
    ) -> Changed:
        hook_id, who = visit.parameters["hook"], Who(visit.identity.name, _comment(given))
        match action:
            case "pause" | "resume":
                return await self._changes.switch(
                    hook_id, seen, who, enabled=action == "resume", dry_run=dry_run
                )
            case "rollback":
                revision = _number(given, "revision")
                return await self._changes.roll_back(hook_id, revision, seen, who, dry_run=dry_run)
            case _:
                assert_never(action)


def done_action(query: Mapping[str, str]) -> str | None:
    """What the page that led here did with a hook. Raises `Problem`."""
    return choice(query, "done", (*ACTIONS, "created", "changed", "nothing"))


def _name(planned: Changed, action: HookAction) -> str:
    """What the hook is called now: an earlier revision may have had another name."""
    name = (planned.definition or {}).get("name") if action != "rollback" else None
    return name if isinstance(name, str) else planned.hook_id


def _number(given: Mapping[str, str], name: str) -> int:
    """A revision that the page's own form or link names. Raises `Problem`."""
    if name not in given:
        raise invalid_field(name, "is missing", "start again from the page of the hook")
    if given[name] == "0":
        return 0  # a hook that is deleted
    return number(given, name, 0, MAX_REVISION)


def _comment(given: Mapping[str, str]) -> str:
    comment = given.get("comment", "").strip()
    if len(comment) > MAX_TEXT:
        raise invalid_field("comment", f"is longer than {MAX_TEXT} characters", "shorten it")
    return comment
