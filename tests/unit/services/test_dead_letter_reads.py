"""Reads of dead letters: a page and counts at once, and few counts at a time."""

import asyncio
from collections.abc import Callable

import pytest

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.journal.log_search import Horizon, SearchEnd
from consumer.panel.errors import problem_of
from consumer.services import dead_letter_reads
from consumer.services.dead_letter_reads import MAX_COUNTS, DeadLetterReads
from consumer.services.dead_letters import Counted, DeadLetterPage, Replay
from consumer.services.topic_view import BusyError
from consumer.settings import Settings
from consumer.stream.dead_letters import Selection
from consumer.stream.replay import Plan
from support.waiting import wait_until

PAGE = DeadLetterPage([], Horizon(SearchEnd.BEGINNING, None, 0, 0), {})
ALL = Selection()


async def always_there() -> None:
    """Kafka answers."""


class _Reads:
    """Pages and counts that end when the test says so."""

    def __init__(self) -> None:
        self.under_way = 0
        self.most = 0
        self.go_on = asyncio.Event()
        self.page_error: HookstreamError | None = None
        self.count_error: HookstreamError | None = None

    async def page(self, *_: object, **__: object) -> DeadLetterPage:
        """As `read_page`."""
        if self.page_error is not None:
            raise self.page_error
        return PAGE

    async def count(self, _: Replay) -> Counted:
        """As `Replay.count`."""
        self.under_way += 1
        self.most = max(self.most, self.under_way)
        try:
            await self.go_on.wait()
        finally:
            self.under_way -= 1
        if self.count_error is not None:
            raise self.count_error
        return Counted()

    async def plan(self, replay: Replay) -> Plan:
        """As `Replay.plan`."""
        await self.count(replay)
        return Plan(ALL, None, {}, {}, {})


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> _Reads:
    """In place of Kafka."""
    reads = _Reads()
    monkeypatch.setattr(dead_letter_reads, "read_page", reads.page)

    async def count(replay: Replay) -> Counted:
        return await reads.count(replay)

    async def plan(replay: Replay) -> Plan:
        return await reads.plan(replay)

    monkeypatch.setattr(Replay, "count", count)
    monkeypatch.setattr(Replay, "plan", plan)
    return reads


def _reader(wait_seconds: float = 60.0) -> DeadLetterReads:
    return DeadLetterReads(Settings(), always_there, SystemClock(), wait_seconds)


def _replay() -> Replay:
    return Replay(Settings(), ALL, limit=None, again=False)


async def test_a_page_with_counts_asks_once_whether_kafka_answers(reads: _Reads) -> None:
    """Each question to the broker is time that a person waits."""
    asked = 0

    async def require() -> None:
        nonlocal asked
        asked += 1

    reads.go_on.set()
    await _look(DeadLetterReads(Settings(), require, SystemClock()))
    assert asked == 1


async def _look(reader: DeadLetterReads, seconds: float = 60.0) -> Counted | None:
    _, counted = await reader.page_and_counts(ALL, limit=5, seconds=60.0, count_seconds=seconds)
    return counted


def _fail_page(reads: _Reads, error: HookstreamError) -> None:
    reads.page_error = error


def _fail_count(reads: _Reads, error: HookstreamError) -> None:
    reads.count_error = error
    reads.go_on.set()


@pytest.mark.parametrize("fail", [_fail_page, _fail_count])
async def test_an_error_is_the_error_itself_and_leaves_nothing_under_way(
    reads: _Reads, fail: Callable[[_Reads, HookstreamError], None]
) -> None:
    """If the page or the counts fail, the answer is that very error and not a group of errors, and
    the other one is not left under way.
    """
    error = HookstreamError("refused")
    fail(reads, error)
    with pytest.raises(HookstreamError) as caught:
        await _look(_reader())
    assert caught.value is error
    assert reads.under_way == 0


async def test_a_count_ends_with_its_reader(reads: _Reads) -> None:
    """A look at dead letters that is cancelled leaves no count under way."""
    looking = asyncio.create_task(_look(_reader()))
    await wait_until(lambda: reads.under_way, "the count to begin")
    looking.cancel()
    await asyncio.wait([looking])
    assert reads.under_way == 0


async def test_few_counts_are_made_at_a_time(reads: _Reads) -> None:
    """At most two counts and plans are made at a time, and the others wait for their turn; a page
    whose counts do not come in time is there without them, and a plan is refused with 503.
    """
    reader = _reader(wait_seconds=0.01)
    patient = [asyncio.create_task(_look(reader)) for _ in range(2 * MAX_COUNTS)]
    await wait_until(lambda: reads.under_way == MAX_COUNTS, "the counts to begin")
    assert await _look(reader, seconds=0.01) is None
    with pytest.raises(BusyError) as caught:
        await reader.plan(_replay())
    assert problem_of(caught.value).status == 503
    reads.go_on.set()
    assert all(found is not None for found in await asyncio.gather(*patient))
    assert (await reader.plan(_replay())).total == 0
    assert reads.most == MAX_COUNTS
