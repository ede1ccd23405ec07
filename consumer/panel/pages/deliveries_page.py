"""The delivery log."""

from collections.abc import Mapping
from dataclasses import replace
from http import HTTPStatus
from re import fullmatch
from typing import Any, Final

from consumer.errors import ConfigError
from consumer.journal.log_filter import LogFilter
from consumer.journal.log_search import Horizon, SearchEnd
from consumer.journal.records import Followed
from consumer.panel.pages.data import GLANCE_SECONDS, SEARCH_SECONDS, Data
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import MovedTo, PageRoute, Result, Shown, Visit
from consumer.panel.problems import Problem, invalid_field
from consumer.services.deliveries import DeliveryPage

PATH: Final = "/deliveries"
FOUND_PATH: Final = "/deliveries/found"
PAGE_SIZE: Final = 100
TIMES: Final = ("1h", "24h", "7d")
_FILTERS: Final = ("hook", "outcome", "status", "since", "until", "id", "event")
_QUERY: Final = frozenset({*_FILTERS, "person", "cursor"})
_PERSON: Final = r"[0-9a-f]{32}"
"""A user as the log has one: a keyed hash, so that no address of a page names a user."""


def horizon_key(horizon: Horizon) -> str:
    """The message that says what was searched."""
    is_bounded = horizon.end in {SearchEnd.NO_LOG, SearchEnd.BEGINNING}
    back = "" if is_bounded or horizon.searched_to is None else ".back"
    return f"horizon.{horizon.end}{back}"


class DeliveriesPage:
    """`/deliveries`. The first page takes a short look; what a longer search finds comes after it,
    or on the next page.
    """

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[PageRoute]:
        """The routes of this page."""
        return [
            PageRoute("GET", PATH, self.show, "deliveries", query=_QUERY),
            PageRoute(
                "GET",
                FOUND_PATH,
                self.search,
                "deliveries",
                query=_QUERY - {"cursor"},
                ends_with_client=True,
            ),
            PageRoute("POST", PATH, self.look_up, "deliveries", "editor"),
        ]

    async def show(self, visit: Visit) -> Result:
        """A page of the log."""
        query = dict(visit.query)
        cursor, problems, page = query.pop("cursor", None), list[Any](), None
        seconds = GLANCE_SECONDS if cursor is None else SEARCH_SECONDS
        try:
            page = await self._data.deliveries(self._wanted(visit), PAGE_SIZE, cursor, seconds)
        except ConfigError as error:
            problems = list(error.diagnostics)
        values = self._values(query, page, problems, cursor)
        hook_id = query.get("hook")
        is_unknown = hook_id is not None and not await self._data.knows_hook(hook_id)
        return Shown("deliveries.html", {**values, "is_unknown_hook": is_unknown})

    async def search(self, visit: Visit) -> Result:
        """A part of a page: what a longer search than the page's finds. Raises `ConfigError`."""
        page = await self._data.deliveries(self._wanted(visit), PAGE_SIZE, None, SEARCH_SECONDS)
        return Shown("deliveries_found.html", self._values(visit.query, page, [], None))

    async def look_up(self, visit: Visit) -> Result:
        """The deliveries of one user: the address of the answer has a hash in the user's place."""
        user = visit.form.get("user")
        if user is None:
            return MovedTo(PATH)
        given = {name: text for name, text in visit.form.items() if name in _FILTERS}
        person = self._data.delivery_filter({"user": user}).user
        return MovedTo(url(PATH, **given, person=person))

    def _wanted(self, visit: Visit) -> LogFilter:
        texts = {name: text for name, text in visit.query.items() if name in _FILTERS}
        wanted = self._data.delivery_filter(texts)
        person = visit.query.get("person")
        if person is None:
            return wanted
        if not visit.identity.may("editor"):
            raise Problem(HTTPStatus.FORBIDDEN, "forbidden", visit.identity.refusal("editor"))
        if not fullmatch(_PERSON, person):
            raise invalid_field("person", "is no hash of a user", "look the user up by the form")
        return replace(wanted, user=person)

    def _values(
        self,
        query: Mapping[str, str],
        page: DeliveryPage | None,
        problems: list[Any],
        cursor: str | None,
    ) -> dict[str, Any]:
        following = page.horizon.cursor if page is not None else None
        is_cut = page is not None and cursor is None and page.horizon.end is SearchEnd.BOUND
        return {
            "query": query,
            "page": page,
            "horizon_key": horizon_key(page.horizon) if page is not None else "",
            "problems": {one.field: one for one in problems},
            "outcomes": tuple(Followed),
            "times": TIMES,
            "next": url(PATH, **query, cursor=following) if following is not None else None,
            "longer": url(FOUND_PATH, **query) if is_cut else None,
            "is_first": cursor is None,
            "is_filtered": bool(query),
        }
