"""Dead letters by hook and reason, and their replay."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.clock import Clock
from consumer.errors import ConfigError, InvalidValue
from consumer.panel.pages.data import Data, selection_of
from consumer.panel.pages.deliveries_page import horizon_key
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit, keep_all
from consumer.panel.problems import Problem, invalid_field
from consumer.reasons import Reason
from consumer.services.dead_letters import FOREIGN_LABEL, Counted, DeadLetterPage, facts
from consumer.services.times import rfc3339
from consumer.stream.dead_letters import DeadLetterRecord, Selection

PATH: Final = "/dead-letters"
REPLAY_PATH: Final = "/dead-letters/replay"
PAGE_SIZE: Final = 50
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
class DeadLetterCounts:
    """What the page shows of all together."""

    kinds: Sequence[Kind]
    """The most frequent first."""
    more_kinds: int
    total: int
    replayable: int
    sent_before: int
    not_replayable: dict[str, int]
    """By the reason why."""


def dead_letter_counts(found: Counted) -> DeadLetterCounts:
    """What the page shows of all together."""
    kinds = [
        Kind(hook, reason, count, reason == FOREIGN_LABEL)
        for (hook, reason), count in found.counts.most_common()
    ]
    plan = found.plan
    return DeadLetterCounts(
        kinds[:SHOWN_KINDS],
        max(0, len(kinds) - SHOWN_KINDS),
        found.counts.total(),
        plan.total if plan is not None else 0,
        plan.sent_before if plan is not None else 0,
        dict(plan.not_replayable) if plan is not None else {},
    )


def _facts(found: DeadLetterRecord) -> dict[str, Any]:
    """Facts without the key, which may name a user."""
    names = ("hook", "reason", "delivery_id", "attempts", "last_status", "detail", "trigger")
    known = {**dict.fromkeys(names), **facts(found)}
    known.pop("key")
    return known


@dataclass(frozen=True, slots=True)
class _Shown:
    """What was found."""

    page: DeadLetterPage | None = None
    """None: the filter or the cursor is refused."""
    counts: Counted | None = None
    """None: they were not counted, or that takes too long."""


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
                "GET", PATH, self.show, "dead_letters",
                query=filters | {"sent", "planned", "cursor"},
            ),
            PageRoute("GET", REPLAY_PATH, self.ask, "dead_letters", "operator", query=filters),
            PageRoute(
                "POST", REPLAY_PATH, self.replay, "dead_letters", "operator",
                seconds=_REPLAY_SECONDS, ends_with_client=True, keep=keep_all,
            ),
        ]  # fmt: skip

    async def show(self, visit: Visit) -> Result:
        """The dead letters of a filter."""
        query = dict(visit.query)
        sent, planned = query.pop("sent", None), query.pop("planned", None)
        cursor, problems, found = query.pop("cursor", None), dict[str, Any](), _Shown()
        try:
            found = await self._found(selection_of(query, self._clock), cursor)
        except InvalidValue as error:
            problems = {str(error.path[0]): error}
        except ConfigError as error:
            problems = {one.field: one for one in error.diagnostics}
        page, counts = found.page, found.counts
        following = page.horizon.cursor if page is not None else None
        return Shown(
            "dead_letters.html",
            {
                "query": query,
                "page": page,
                "newest": [_facts(one) for one in page.dead_letters] if page is not None else [],
                "horizon_key": horizon_key(page.horizon) if page is not None else "",
                "counts": dead_letter_counts(counts) if counts is not None else None,
                "is_first": cursor is None,
                "next": url(PATH, **query, cursor=following) if following is not None else None,
                "problems": problems,
                "reasons": tuple(Reason),
                "replay": url(REPLAY_PATH, **query),
                "sent": _count(sent),
                "planned": _count(planned),
            },
        )

    async def _found(self, selection: Selection, cursor: str | None) -> "_Shown":
        """A page of dead letters, and on the first one the counts of all.

        Raises `ConfigError` for another search's cursor.
        """
        if cursor is not None:
            return _Shown(await self._data.dead_letters(selection, PAGE_SIZE, cursor))
        return _Shown(*await self._data.dead_letters_and_counts(selection, PAGE_SIZE))

    async def ask(self, visit: Visit) -> Result:
        """What a replay would send, and whether it shall: since a moment, which stays what it is
        until the form comes.
        """
        selection = self._selection(visit.query)
        query = dict(visit.query)
        if selection.since is not None:
            query["since"] = rfc3339(selection.since / 1000) or ""
        plan = await self._data.replay_plan(selection)
        return Shown("replay.html", {"query": query, "plan": plan, "changed": False})

    async def replay(self, visit: Visit) -> Result:
        """Send those that were shown, if all of them are still there. Others may have come since:
        they are newer, and stay.
        """
        query = {name: visit.form[name] for name in _FILTERS if name in visit.form}
        selection, expected = self._selection(query), _count(visit.form.get("expected")) or 0
        plan = await self._data.replay_plan(selection, expected)
        changed = plan.total != expected or not expected
        if changed or visit.restored is not None:
            plan = await self._data.replay_plan(selection)
            return Shown("replay.html", {"query": query, "plan": plan, "changed": changed})
        sent = await self._data.replay(selection, plan, visit.identity.name)
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
