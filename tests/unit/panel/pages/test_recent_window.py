"""The last events of a trigger are read once for all who look at them."""

import asyncio
import gc
import weakref
from collections.abc import Callable
from dataclasses import fields

import pytest

from consumer.errors import HookstreamError
from consumer.events.triggers import Trigger
from consumer.panel.pages.data import Recent
from consumer.panel.pages.recent_window import WINDOW_SECONDS, RecentWindow
from support.fakes import FakeClock
from support.page_data import PageData
from support.waiting import wait_until


class _Kept(Recent):
    """Events of which a test sees whether anything holds them."""

    __slots__ = ("__weakref__",)


class _Data(PageData):
    """An installation that counts the reads, and answers once it may."""

    def __init__(self) -> None:
        super().__init__(FakeClock())
        self.reads = 0
        self.fails = False
        self.may_answer = asyncio.Event()
        self.may_answer.set()

    async def events(self, trigger: Trigger, count: int) -> Recent:
        """The last events."""
        self.reads += 1
        await self.may_answer.wait()
        if self.fails:
            raise HookstreamError("Kafka has not answered")
        found = await super().events(trigger, count)
        return _Kept(*(getattr(found, one.name) for one in fields(Recent)))


async def test_events_are_read_once_within_some_seconds() -> None:
    """Who asks meanwhile gets the same events; afterwards they are read again."""
    data = _Data()
    window = RecentWindow(data, data.clock)
    both = await asyncio.gather(window.get("event"), window.get("event"))
    assert both[0] is both[1]
    data.clock.advance(WINDOW_SECONDS - 1)
    await window.get("event")
    assert data.reads == 1
    data.clock.advance(2)
    await window.get("event")
    assert data.reads == 2
    await window.close()


async def test_events_are_let_go_when_no_page_asks_again() -> None:
    """Events are users' data: some seconds after they were read they are let go by a timer."""
    data, timers = _Data(), list[tuple[float, Callable[[], object]]]()
    window = RecentWindow(data, data.clock, lambda seconds, call: timers.append((seconds, call)))
    found = await window.get("event")
    assert found is not None
    kept = weakref.ref(found)
    del found
    gc.collect()
    assert kept() is not None
    await wait_until(lambda: timers, "the timer")
    [(seconds, call)] = timers
    data.clock.advance(seconds)
    call()
    gc.collect()
    assert kept() is None
    await window.close()


async def test_a_page_does_not_wait_for_a_slow_read() -> None:
    """A read that takes longer than a page waits goes on, and the next one who asks has it."""
    data = _Data()
    data.may_answer.clear()
    window = RecentWindow(data, data.clock)
    assert await window.get("event", 0.0) is None
    data.may_answer.set()
    assert await window.get("event") is not None
    assert data.reads == 1
    await window.close()


async def test_a_read_that_failed_is_tried_again() -> None:
    """An error is told to who asked, and is not kept."""
    data = _Data()
    data.fails = True
    window = RecentWindow(data, data.clock)
    with pytest.raises(HookstreamError):
        await window.get("event")
    data.fails = False
    assert await window.get("event") is not None
    await window.close()
