"""Dead letters by hook and reason, and their replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.errors import InvalidValue
from consumer.panel.pages.data import Data, selection_of
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit
from consumer.panel.problems import Problem, invalid_field
from consumer.reasons import Reason
from consumer.services.dead_letters import FOREIGN_LABEL, Found, facts
from consumer.stream.dead_letters import Selection

PATH: Final = "/dead-letters"
REPLAY_PATH: Final = "/dead-letters/replay"
NEWEST: Final = 50
SHOWN_KINDS: Final = 100
_FILTERS: Final = ("hook", "reason", "since")
_REPLAY_SECONDS: Final = 600.0


@dataclass(frozen=True, slots=True)
class Kind:
    """The dead letters of one hook and reason."""

    hook: str
    reason: str
    count: int
    is_foreign: bool
    """Whether another program wrote them."""


@dataclass(frozen=True, slots=True)
class DeadLetterList:
    """What the page shows."""

    kinds: Sequence[Kind]
    """The most frequent first."""
    more_kinds: int
    newest: Sequence[dict[str, Any]]
    """Facts of the newest ones, the newest first; without keys, which may name users."""
    total: int
    replayable: int
    sent_before: int
    not_replayable: dict[str, int]
    """By the reason why."""


def dead_letter_list(found: Found) -> DeadLetterList:
    """What the page shows of dead letters."""
    kinds = [
        Kind(hook, reason, count, reason == FOREIGN_LABEL)
        for (hook, reason), count in found.counts.most_common()
    ]
    plan = found.plan
    return DeadLetterList(
        kinds[:SHOWN_KINDS],
        max(0, len(kinds) - SHOWN_KINDS),
        [_facts(one) for one in reversed(found.newest)],
        found.counts.total(),
        plan.total if plan is not None else 0,
        plan.sent_before if plan is not None else 0,
        dict(plan.not_replayable) if plan is not None else {},
    )


def _facts(found: Any) -> dict[str, Any]:
    names = ("hook", "reason", "delivery_id", "attempts", "last_status", "detail", "trigger")
    known = {**dict.fromkeys(names), **facts(found)}
    known.pop("key")
    return known


class DeadLettersPage:
    """`/dead-letters`."""

    def __init__(self, data: Data, clock: Clock) -> None:
        self._data = data
        self._clock = clock

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        filters = frozenset(_FILTERS)
        return [
            PageRoute(
                "GET", PATH, self.show, "dead_letters", query=filters | {"sent", "planned"}
            ),
            PageRoute("GET", REPLAY_PATH, self.ask, "dead_letters", "operator", query=filters),
            PageRoute(
                "POST", REPLAY_PATH, self.replay, "dead_letters", "operator",
                seconds=_REPLAY_SECONDS,
            ),
        ]  # fmt: skip

    async def show(self, visit: Visit) -> Result:
        """The dead letters of a filter."""
        query = dict(visit.query)
        sent, planned = query.pop("sent", None), query.pop("planned", None)
        try:
            selection = selection_of(query, self._clock)
        except InvalidValue as error:
            problem, shown = {str(error.path[0]): error}, None
        else:
            problem, shown = {}, dead_letter_list(await self._data.dead_letters(selection, NEWEST))
        return Shown(
            "dead_letters.html",
            {
                "query": query,
                "list": shown,
                "problems": problem,
                "reasons": tuple(Reason),
                "replay": url(REPLAY_PATH, **query),
                "sent": _count(sent),
                "planned": _count(planned),
            },
        )

    async def ask(self, visit: Visit) -> Result:
        """What a replay would send, and whether it shall."""
        plan = await self._data.replay_plan(self._selection(visit.query))
        values = {"query": visit.query, "plan": plan, "changed": False}
        return Shown("replay.html", values)

    async def replay(self, visit: Visit) -> Result:
        """Send them, if there are as many as were shown."""
        query = {name: visit.form[name] for name in _FILTERS if name in visit.form}
        selection = self._selection(query)
        plan = await self._data.replay_plan(selection)
        if str(plan.total) != visit.form.get("expected"):
            return Shown("replay.html", {"query": query, "plan": plan, "changed": True})
        sent = await self._data.replay(selection, plan)
        return MovedTo(url(PATH, **query, sent=str(sent), planned=str(plan.total)))

    def _selection(self, query: Any) -> Selection:
        try:
            return selection_of(query, self._clock)
        except InvalidValue as error:
            raise _problem(error) from None


def _problem(error: InvalidValue) -> Problem:
    return invalid_field(str(error.path[0]), error.message, error.hint)


def _count(text: str | None) -> int | None:
    """A number that the page's own address has."""
    max_digits = 12
    if text is None or not (text.isascii() and text.isdigit()) or len(text) > max_digits:
        return None
    return int(text)
