"""Pages over a log and a history that take long to search: what comes at once, and what after."""

from collections.abc import Iterator
from dataclasses import replace

import pytest

from consumer.journal.log_filter import LogFilter
from consumer.journal.log_search import UNBOUNDED, SearchBounds, SearchEnd
from consumer.panel.pages.data import GLANCE_SECONDS, SEARCH_SECONDS
from consumer.services.deliveries import DeliveryPage
from consumer.services.hook_reader import HookChanges
from consumer.stream.backward_merge import CHUNK_BYTES
from support.fakes import FakeClock
from support.page_data import PageData, full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor

_NEWEST, _NEXT, _OLDEST = "01JDCLICK0%3A", "01JDCLICK2%3A", "01JDCLICK9%3A"


class _LongData(PageData):
    """An installation whose log and history take longer than a short look."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.__dict__ |= full(clock).__dict__
        self.asked: list[float | None] = []
        """The seconds of each search."""

    async def deliveries(
        self,
        wanted: LogFilter,
        limit: int,
        cursor: str | None = None,
        seconds: float = SEARCH_SECONDS,
    ) -> DeliveryPage:
        """Two deliveries at once, and all by a longer search."""
        self.asked.append(seconds)
        if seconds == SEARCH_SECONDS:
            return await super().deliveries(wanted, limit, cursor, seconds)
        page = await super().deliveries(wanted, 2, cursor, seconds)
        return replace(page, horizon=replace(page.horizon, end=SearchEnd.BOUND))

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """One change at once, and all by a longer search."""
        self.asked.append(seconds)
        found = await super().changes(hook_id, seconds)
        return found if seconds is None else HookChanges(found.records[:1], is_cut=True)


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """Its pages."""
    with served_pages(_LongData(FakeClock())) as served:
        yield served


async def _page(panel: ServedPages, path: str) -> str:
    visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("viewer")
    answer = await visitor("GET", path)
    assert answer.status == 200, path
    return answer.body.decode()


async def test_the_log_is_looked_at_shortly_before_a_page_comes(panel: ServedPages) -> None:
    """The first page of a long log comes with what a short look finds, says how far it came, and
    has a link that goes on from there for longer; with script what a longer search finds takes its
    place.
    """
    page = await _page(panel, "/deliveries?hook=click-analytics")
    assert 'data-fragment="/deliveries/found?hook=click-analytics"' in page
    assert "fragment." in page
    assert "The search stopped there; older pages go on." in page
    assert (_NEWEST in page, _NEXT in page) == (True, False)
    older = await _page(panel, "/deliveries?hook=click-analytics&cursor=2")
    assert (_NEWEST in older, _NEXT in older, "data-fragment" in older) == (False, True, False)
    part = await _page(panel, "/deliveries/found?hook=click-analytics")
    assert (_NEWEST in part, _OLDEST in part, "<html" in part) == (True, True, False)
    assert isinstance(panel.data, _LongData)
    assert panel.data.asked == [GLANCE_SECONDS, SEARCH_SECONDS, SEARCH_SECONDS]


async def test_a_hook_is_shown_before_its_log_is_searched(panel: ServedPages) -> None:
    """The page of a hook whose deliveries are far apart in the log comes with those of a short
    look; a part after it has the last ten.
    """
    page = await _page(panel, "/hooks/click-analytics")
    assert 'data-fragment="/hooks/click-analytics/further"' in page
    assert (_NEWEST in page, _NEXT in page) == (True, False)
    part = await _page(panel, "/hooks/click-analytics/further")
    assert (_NEWEST in part, _OLDEST in part, "<html" in part) == (True, True, False)


async def test_a_delivery_is_shown_before_the_log_is_searched_for_more(
    panel: ServedPages,
) -> None:
    """The page of a delivery comes with the attempts that a short look finds, and says how far that
    came; the earlier ones come after it, and without script by a link.
    """
    page = await _page(panel, "/delivery?id=e7:store-visit&hook=store-visit")
    assert 'data-fragment="/delivery/found?id=e7%3Astore-visit&amp;hook=store-visit"' in page
    assert ("Attempt 3" in page, "Attempt 1" in page) == (True, False)
    further = "/delivery?id=e7%3Astore-visit&hook=store-visit&further=1"
    assert f'href="{further.replace("&", "&amp;")}"' in page
    for path in (further, "/delivery/found?id=e7%3Astore-visit&hook=store-visit"):
        whole = await _page(panel, path)
        assert ("Attempt 3" in whole, "Attempt 1" in whole) == (True, True)
        assert "data-fragment" not in whole


async def test_a_history_that_is_not_searched_yet_says_so(panel: ServedPages) -> None:
    """The page of a hook does not wait for changes that are far back: it says that there may be
    older ones, and its link searches for them.
    """
    page = await _page(panel, "/hooks/click-analytics")
    assert "Older changes were not searched yet." in page
    assert 'href="/hooks/click-analytics?before=3#h-history"' in page
    older = await _page(panel, "/hooks/click-analytics?before=3")
    assert "Older changes were not searched yet." not in older
    assert isinstance(panel.data, _LongData)
    assert None in panel.data.asked


def test_a_short_search_reads_little_at_a_time() -> None:
    """A search ends near its time, which it looks at between two chunks: the shorter it is, the
    less it reads in one go.
    """
    assert UNBOUNDED.chunk_bytes == SearchBounds(seconds=3.0).chunk_bytes == CHUNK_BYTES
    assert SearchBounds(seconds=0.1).chunk_bytes == CHUNK_BYTES // 10
