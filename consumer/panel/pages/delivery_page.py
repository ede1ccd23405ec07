"""One delivery: its attempts, the times between them, and how it ended."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

from consumer.errors import HookstreamError
from consumer.journal.log_search import SearchEnd
from consumer.journal.records import DeliveryRecord, Followed, Phases
from consumer.panel.pages.data import GLANCE_SECONDS, SEARCH_SECONDS, Data
from consumer.panel.pages.deliveries_page import horizon_key
from consumer.panel.pages.formats import moment
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit
from consumer.panel.problems import invalid_field

PATH: Final = "/delivery"
FOUND_PATH: Final = "/delivery/found"
MAX_ATTEMPTS: Final = 200
PHASE_WIDTH: Final = 320.0
PHASES: Final = ("dns", "connect", "tls", "first_byte", "rest")
_SECOND_MS: Final = 1000.0
_QUERY: Final = frozenset({"id", "hook"})


@dataclass(frozen=True, slots=True)
class Phase:
    """One phase of an attempt, and its part of the bar."""

    name: str
    ms: float
    x: float
    width: float


@dataclass(frozen=True, slots=True)
class Entry:
    """One attempt, or the end without one."""

    record: DeliveryRecord
    wait: float | None
    """Seconds since the end of the one before; None: it is the first, or the times are not known.
    """
    phases: Sequence[Phase]


End = Literal["delivered", "waiting", "due", "overflow", "dead_letter", "unknown"]


@dataclass(frozen=True, slots=True)
class Timeline:
    """All that the log has of one delivery."""

    entries: Sequence[Entry]
    """The oldest first."""
    end: End
    """`waiting`: for its next attempt at a known time; `due`: that time is over."""
    next_at: str
    """RFC 3339 of the next attempt; empty: not known."""
    seconds: float
    """From the first entry to the last."""
    starts_late: bool
    """Whether earlier attempts are not in the log: it does not keep all, and not for ever."""


def timeline(records: Sequence[DeliveryRecord], now: float) -> Timeline:
    """The story of a delivery from its records, in any order; `now`: epoch seconds."""
    ordered = sorted(records, key=lambda one: (one.at, one.attempt))
    entries = list[Entry]()
    before: datetime | None = None
    for record in ordered:
        at = moment(record.at)
        begun = at.timestamp() - record.ms.all / _SECOND_MS if at is not None else None
        wait = begun - before.timestamp() if begun is not None and before is not None else None
        entries.append(Entry(record, None if wait is None else max(0.0, wait), phases(record.ms)))
        before = at
    if not entries:
        return Timeline([], "unknown", "", 0.0, starts_late=False)
    last = entries[-1].record
    return Timeline(
        entries,
        _end(last, now),
        last.retry_at or "",
        _seconds(moment(entries[0].record.at), before),
        starts_late=entries[0].record.attempt > 1,
    )


def phases(ms: Phases) -> list[Phase]:
    """What an attempt spent its time on. The record has the end of each phase since its start."""
    whole = max(ms.all, ms.first_byte, ms.tls, ms.connect, ms.dns)
    if whole <= 0:
        return []
    found, before = list[Phase](), 0.0
    for name, end in zip(PHASES, (ms.dns, ms.connect, ms.tls, ms.first_byte, whole), strict=True):
        if end > before:
            x, width = before / whole * PHASE_WIDTH, (end - before) / whole * PHASE_WIDTH
            found.append(Phase(name, end - before, round(x, 1), round(width, 1)))
            before = end
    return found


def _end(last: DeliveryRecord, now: float) -> End:
    match last.outcome:
        case Followed.DELIVERED:
            return "delivered"
        case Followed.DEAD_LETTER:
            return "dead_letter"
        case Followed.OVERFLOW:
            return "overflow"
        case Followed.RETRY:
            at = moment(last.retry_at)
            return "due" if at is None or at.timestamp() <= now else "waiting"


def _seconds(first: datetime | None, last: datetime | None) -> float:
    return (last - first).total_seconds() if first is not None and last is not None else 0.0


class DeliveryPageView:
    """`/delivery`: its id and hook are parameters, since an id may hold any character. The page
    takes a short look at the log; what a longer search finds comes after it, or with `further`.
    """

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        return [
            PageRoute("GET", PATH, self.show, "deliveries", query=_QUERY | {"further"}),
            PageRoute(
                "GET", FOUND_PATH, self.search, "deliveries", query=_QUERY, ends_with_client=True
            ),
        ]

    async def show(self, visit: Visit) -> Result:
        """One delivery."""
        seconds = SEARCH_SECONDS if "further" in visit.query else GLANCE_SECONDS
        return Shown("delivery.html", await self._values(visit, seconds))

    async def search(self, visit: Visit) -> Result:
        """A part of a page: what a longer search than the page's finds."""
        return Shown("delivery_found.html", await self._values(visit, SEARCH_SECONDS))

    async def _values(self, visit: Visit, seconds: float) -> dict[str, Any]:
        if "id" not in visit.query:
            raise invalid_field("id", "is missing", "open a delivery out of the log")
        values = {name: visit.query[name] for name in ("id", "hook") if name in visit.query}
        wanted = self._data.delivery_filter(values)
        page = await self._data.deliveries(wanted, MAX_ATTEMPTS, seconds=seconds)
        is_cut = page.horizon.end is SearchEnd.BOUND and seconds < SEARCH_SECONDS
        records = [one.record for one in page.deliveries]
        found = timeline(records, visit.now)
        hook_id = records[0].hook if records else visit.query.get("hook", "")
        return {
            "id": visit.query["id"],
            "hook_id": hook_id,
            "timeline": found,
            "record": found.entries[-1].record if found.entries else None,
            "horizon": page.horizon,
            "horizon_key": horizon_key(page.horizon),
            "curl": await self._curl(hook_id) if hook_id else "",
            "phase_width": PHASE_WIDTH,
            "longer": url(FOUND_PATH, **values) if is_cut else None,
            "further": url(PATH, **values, further="1") if is_cut else None,
        }

    async def _curl(self, hook_id: str) -> str:
        """The request of its hook; empty if there is none any more."""
        try:
            entry = await self._data.hook(hook_id)
        except HookstreamError:
            return ""
        return self._data.curl(entry.hook) if entry.hook is not None else ""
