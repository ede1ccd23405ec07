"""What the pages say: how a hook goes, up to when reports count, what a refused user is told."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from html import unescape

import pytest

from consumer.errors import Diagnostic
from consumer.journal.report_reader import Reports
from consumer.journal.report_sums import HOUR_SECONDS, Report
from consumer.panel.pages.formats import readable
from support.fakes import FakeClock
from support.page_data import PageData, full, report, rfc3339
from support.panel_browser import PATHS
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor

_ENGLISH = re.compile(r"\b(the|is|are|was|and|which|with|this|there|has)\b", re.IGNORECASE)
"""Words of every other English sentence, which Turkish does not have."""
_COMMENT = "the summer campaign too"
"""What an author wrote in English."""


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


async def _text(visitor: Visitor, path: str) -> str:
    """The text of a page, without its tags."""
    page = (await visitor("GET", path, Accept_Language="en")).body.decode()
    return " ".join(unescape(re.sub(r"<[^>]*>", " ", page)).split()).replace(" .", ".")


async def test_the_page_of_a_failing_hook_names_its_last_answer(panel: ServedPages) -> None:
    """The status in words, how long ago it came, and why rows have no attempt stand on the page."""
    page = await _text(await Visitor(panel).log_in("viewer"), "/hooks/store-visit")
    assert "The last failed attempt: 503 Service Unavailable , 58 s ago." in page
    assert "overflow its receiver fails (open circuit)" in page
    assert "It fires for every matching event" not in page


async def test_a_hook_whose_deliveries_are_all_given_up_is_not_said_to_be_well() -> None:
    """A hook that is on and of which nothing is sent says so, with the reason."""
    data = full(FakeClock())
    data.report_list = [one for one in data.report_list if one.hook != "click-analytics"]
    start = max(one.start for one in data.report_list)
    data.report_list.append(_rejected("click-analytics", start))
    with served_pages(data) as served:
        page = await _text(await Visitor(served).log_in("viewer"), "/hooks/click-analytics")
    assert "but nothing is sent: every delivery since" in page
    assert "Most dead letters: a value is missing or cannot be sent." in page
    assert "50 requests in 1 s, at most 50 at once" in page


def _rejected(hook: str, start: float) -> Report:
    counts = report(hook, start, good=0, dead=7)
    return replace(counts, dead_lettered={"rejected": 7}, attempts={})


class _CountedData(PageData):
    """An installation that counts how often reports of a filter are asked for."""

    asked = 0

    async def reports(self, values: Mapping[str, str]) -> Reports:
        """See `Data`."""
        self.asked += 1
        return await super().reports(values)


async def test_reports_say_up_to_when_they_count() -> None:
    """The hour that runs is told from a whole one; of the last day one hook is read with all."""
    data = _CountedData(FakeClock())
    now = data.clock.now()
    hour = now - now % HOUR_SECONDS
    data.report_list = [report("h", hour - HOUR_SECONDS, good=3), report("h", hour, good=1)]
    partial = "The last hour is not over"
    with served_pages(data) as served:
        visitor = await Visitor(served).log_in("viewer")
        page = await _text(visitor, "/reports?hook=h&step=1h")
        assert f"Counted up to {readable(datetime.fromtimestamp(now, UTC))}." in page
        assert partial in page
        assert data.asked == 0
        until = rfc3339(hour - 1).replace("+", "%2B")
        page = await _text(visitor, f"/reports?hook=h&until={until}")
        assert f"Counted up to {readable(datetime.fromtimestamp(hour, UTC))}." in page
        assert data.asked == 1


async def test_the_deliveries_of_an_unknown_hook_say_so(panel: ServedPages) -> None:
    """A mistyped id is told from a hook without deliveries."""
    visitor = await Visitor(panel).log_in("viewer")
    said = "No hook has this id; its rows may still be in the log."
    assert said in await _text(visitor, "/deliveries?hook=click-analytic")
    assert said not in await _text(visitor, "/deliveries?hook=click-analytics")


async def test_a_refused_user_is_told_which_role_it_needs(panel: ServedPages) -> None:
    """The refusal names the role that is needed, the user's own, and who gives roles."""
    page = await _text(await Visitor(panel).log_in("viewer"), "/dead-letters/replay")
    assert "this needs the role operator, and" in page
    assert "has the role viewer: ask an administrator of hookstream" in page


async def test_the_page_of_replicas_judges_their_lag(panel: ServedPages) -> None:
    """A lag says how long it takes at the present pace, or that deliveries wait on purpose."""
    page = await _text(await Visitor(panel).log_in("viewer"), "/replicas")
    assert "12 none in about 30 s at this pace" in page
    assert "30 waits on purpose" in page
    assert "In retry and overflow topics deliveries wait on purpose" in page


async def test_turkish_pages_have_no_english_sentence(panel: ServedPages) -> None:
    """What stays English on a Turkish page are HTTP's own words, marked for screen readers."""
    panel.data.file_problems = [
        Diagnostic("is not UTF-8", "save the file as UTF-8", "hooks/a.yaml", 3)
    ]
    refused = "offset 7 is no JSON object (write definitions with `hookstream hooks`)"
    panel.data.entries = [replace(one, problem=refused) for one in panel.data.entries]
    visitor = await Visitor(panel).log_in("operator")
    english, unmarked = set[str](), set[str]()
    for path in PATHS.values():
        page = (await visitor("GET", path, Accept_Language="tr")).body.decode()
        assert '<html lang="tr"' in page
        marked = re.compile(r'lang="en"[^>]*>\s*([^<]+)')
        english |= {unescape(text) for text in marked.findall(page)}
        text = re.sub(r"<[^>]*>", "\n", marked.sub(">", page)).replace(_COMMENT, "")
        unmarked |= {line for line in text.splitlines() if _ENGLISH.search(line)}
    assert english == {"English", "OK", "Service Unavailable"}
    assert unmarked == set()
