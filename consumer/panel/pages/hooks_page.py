"""The list of hooks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from consumer.events.triggers import TRIGGERS, Trigger
from consumer.panel.pages.choices import choice, number
from consumer.panel.pages.data import Data
from consumer.panel.pages.day_reports import DayReports
from consumer.panel.pages.figures import Day, no_day
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit
from consumer.services.catalogue import HookEntry, HookState
from consumer.services.hook_reader import Filter, Listing

PAGE_SIZE: Final = 50
_MAX_PAGES: Final = 99_999
_QUERY: Final = frozenset({"q", "trigger", "state", "page"})


@dataclass(frozen=True, slots=True)
class HookRow:
    """One hook of the list. Texts are empty if they are not known."""

    hook_id: str
    name: str
    owner: str
    trigger: str
    source: str
    file: str
    revision: int
    state: HookState
    problem: str
    day: Day | None
    """None: not known yet."""


@dataclass(frozen=True, slots=True)
class HookList:
    """One page of the list."""

    rows: Sequence[HookRow]
    found: int
    """Hooks that match."""
    total: int
    states: Mapping[HookState, int]
    """How many hooks of all are in each state."""
    page: int
    pages: int
    files: Sequence[str]
    """Files that cannot be read, each with its problem."""
    replicas: int | None
    """See `Listing`."""


def hook_list(
    listing: Listing, wanted: Filter, page: int, day: Mapping[str, Day] | None, now: float
) -> HookList:
    """What a page of the list shows; `now`: epoch seconds."""
    found = [entry for entry in listing.entries if wanted.matches(entry)]
    pages = max(1, -(-len(found) // PAGE_SIZE))
    page = min(page, pages)
    first = (page - 1) * PAGE_SIZE
    return HookList(
        [_row(entry, day, now) for entry in found[first : first + PAGE_SIZE]],
        len(found),
        len(listing.entries),
        Counter(entry.state for entry in listing.entries),
        page,
        pages,
        list(map(str, listing.problems)),
        listing.replicas,
    )


def text_of(entry: HookEntry, name: str) -> str:
    """A text of a definition, also of one that is refused."""
    value = (entry.definition or {}).get(name)
    return value if isinstance(value, str) else ""


def _row(entry: HookEntry, day: Mapping[str, Day] | None, now: float) -> HookRow:
    return HookRow(
        entry.hook_id,
        entry.name,
        text_of(entry, "owner"),
        text_of(entry, "trigger"),
        entry.source,
        entry.file,
        entry.revision,
        entry.state,
        entry.problem,
        None if day is None else day.get(entry.hook_id) or no_day(now),
    )


class HooksPage:
    """`/hooks`."""

    def __init__(self, data: Data, day: DayReports, *, live: bool) -> None:
        """`live`: whether definitions may be in the topic, too."""
        self._data = data
        self._day = day
        self._live = live

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        return [PageRoute("GET", "/hooks", self.show, "hooks", query=_QUERY)]

    async def show(self, visit: Visit) -> Result:
        """The list."""
        trigger: Trigger | None = choice(visit.query, "trigger", tuple(TRIGGERS))
        state = choice(visit.query, "state", tuple(HookState))
        wanted = Filter(visit.query.get("q"), trigger, state)
        page = number(visit.query, "page", 1, _MAX_PAGES)
        listing = await self._data.listing()
        day = await self._day.get()
        days = day.days if day is not None else None
        shown = hook_list(listing, wanted, page, days, visit.now)
        return Shown(
            "hooks.html",
            {
                "list": shown,
                "query": visit.query,
                "triggers": tuple(TRIGGERS),
                "states": tuple(HookState),
                "live": self._live,
            },
        )
