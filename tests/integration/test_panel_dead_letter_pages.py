"""The pages about dead letters: what they show of very many, and what a replay is asked for."""

import asyncio
import threading
from collections.abc import Iterator

import aiohttp
import pytest

from consumer.stream.dead_letters import Selection
from consumer.stream.replay import Plan
from support.fakes import FakeClock
from support.page_data import PageData, full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field
from support.waiting import wait_until


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


async def test_dead_letters_are_shown_page_by_page(panel: ServedPages) -> None:
    """The newest fifty are shown with the counts of all, and a link leads to older ones, without
    counts, until the last.
    """
    for number in range(90):
        panel.data.add_dead_letter("many", "expired", panel.data.clock.now(), f"detail-{number}-")
    visitor = await Visitor(panel).log_in("operator")
    first = await visitor("GET", "/dead-letters?hook=many")
    assert b"Send 90 again" in first.body
    assert b"detail-89-" in first.body
    assert b"detail-39-" not in first.body
    second = await visitor("GET", "/dead-letters?hook=many&cursor=50")
    assert b"Send 90 again" not in second.body
    assert b"detail-39-" in second.body
    assert b"detail-0-" in second.body
    assert b'rel="next"' not in second.body


async def test_dead_letters_that_take_long_to_count_are_shown_without_counts(
    panel: ServedPages,
) -> None:
    """The page comes with the newest, says that the rest is not counted, and the count is made on
    the way to a replay.
    """
    panel.data.is_uncountable = True
    visitor = await Visitor(panel).log_in("operator")
    page = await visitor("GET", "/dead-letters")
    assert b"Counting them takes longer" in page.body
    assert b'href="/dead-letters/replay"' in page.body
    assert b"store-visit" in page.body


async def test_a_replay_page_asks_with_a_moment(panel: ServedPages) -> None:
    """What a relative time means is fixed when the question is shown: the answer is about the same
    dead letters, however long the person thinks and whatever comes meanwhile; if some of them are
    gone, nothing is sent.
    """
    visitor = await Visitor(panel).log_in("operator")
    page = await visitor("GET", "/dead-letters/replay?since=1h")
    since = field(page, "since")
    assert since.endswith("Z")
    expected = field(page, "expected")
    assert int(expected) < 12
    panel.data.clock.advance(1800)
    form = {"csrf": field(page, "csrf"), "since": since, "expected": expected}
    panel.data.add_dead_letter("store-visit", "exhausted", panel.data.clock.now())
    assert (await visitor("POST", "/dead-letters/replay", form)).status == 303
    assert panel.data.sent == int(expected)
    assert len(panel.data.dead) == 12 - int(expected) + 1
    again = await visitor("POST", "/dead-letters/replay", {**form, "expected": "11"})
    assert b"The number has changed" in again.body
    assert panel.data.sent == int(expected)


class _HangingReplay(PageData):
    """An installation whose replay does not end by itself."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__(clock)
        self.began, self.ended = threading.Event(), threading.Event()

    async def replay(self, selection: Selection, plan: Plan, by: str) -> int:
        """Hang, and note the end."""
        self.began.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        return await super().replay(selection, plan, by)


async def test_a_replay_of_a_page_ends_with_its_browser() -> None:
    """A replay whose page is left ends, as one over the API does, and the page says so before."""
    data = _HangingReplay(FakeClock())
    data.add_dead_letter("a", "expired", data.clock.now())
    with served_pages(data) as panel:
        visitor = await Visitor(panel).log_in("operator")
        page = await visitor("GET", "/dead-letters/replay")
        assert b"if you leave, sending stops" in page.body
        form = {"csrf": field(page, "csrf"), "expected": "1"}
        sending = asyncio.create_task(visitor("POST", "/dead-letters/replay", form))
        await wait_until(data.began.is_set, "the replay to begin")
        sending.cancel()
        with pytest.raises((asyncio.CancelledError, aiohttp.ClientError)):
            await sending
        await wait_until(data.ended.is_set, "the replay to end")
