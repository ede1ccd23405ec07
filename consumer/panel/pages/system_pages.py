"""The replicas that run, and who changed what."""

from typing import Any, Final

from consumer.clock import Clock
from consumer.errors import InvalidValue
from consumer.panel.pages.choices import number
from consumer.panel.pages.data import Data
from consumer.panel.pages.hook_page import change_view
from consumer.panel.pages.render import url
from consumer.panel.pages.replica_view import replica_view
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit
from consumer.services.audit import AuditFilter
from consumer.services.times import milliseconds

PAGE_SIZE: Final = 30
_MAX_OFFSET: Final = 10**15
_AUDIT_FILTERS: Final = ("hook", "by", "since")


class SystemPages:
    """`/`, `/replicas` and `/audit`."""

    def __init__(self, data: Data, clock: Clock, *, live: bool) -> None:
        """`live`: whether there are live definitions, and so statuses and an audit."""
        self._data = data
        self._clock = clock
        self._live = live

    def routes(self) -> list[PageRoute]:
        """The routes of these pages."""
        return [
            PageRoute("GET", "/", self.first, "hooks"),
            PageRoute("GET", "/replicas", self.replicas, "replicas"),
            PageRoute(
                "GET", "/audit", self.audit, "audit",
                query=frozenset({*_AUDIT_FILTERS, "before"}),
            ),
        ]  # fmt: skip

    async def first(self, _visit: Visit) -> Result:
        """The first page."""
        return MovedTo("/hooks")

    async def replicas(self, _visit: Visit) -> Result:
        """The replicas that run."""
        found = await self._data.replicas()
        values = {"replicas": list(map(replica_view, found)), "live": self._live}
        return Shown("replicas.html", values)

    async def audit(self, visit: Visit) -> Result:
        """Who changed what."""
        query = dict(visit.query)
        before = number(query, "before", _MAX_OFFSET, _MAX_OFFSET)
        query.pop("before", None)
        values: dict[str, Any] = {"query": query, "live": self._live, "problems": {}}
        try:
            since = milliseconds(query["since"], self._clock) if "since" in query else None
        except InvalidValue as error:
            values |= {"problems": {"since": error}, "changes": [], "next": None}
            return Shown("audit.html", values)
        wanted = AuditFilter(query.get("hook"), query.get("by"), since, before)
        found = await self._data.audit(wanted, PAGE_SIZE)
        values["changes"] = [change_view(one.change, one.offset) for one in found.entries]
        following = found.next_before
        values["next"] = None if following is None else url("/audit", **query, before=following)
        return Shown("audit.html", values)
