"""A table that is brought up to date for each look at it."""

import asyncio
from collections.abc import Callable

import pytest

from consumer.clock import Clock, SystemClock
from consumer.errors import HookstreamError
from consumer.records.record import Record
from consumer.services import topic_view
from consumer.services.topic_view import TopicView, UnavailableError
from consumer.settings import KafkaSettings
from consumer.stream import table_reader
from support.fake_topic_log import FakeTopicLog
from support.live_topics import MemoryRecord
from support.waiting import wait_until


class _Table:
    def __init__(self) -> None:
        self.taken: list[int] = []

    def take(self, record: Record) -> None:
        self.taken.append(record.offset)

    def clear(self) -> None:
        self.taken.clear()


class _Topic:
    """A topic in memory, and the reader of it."""

    def __init__(self) -> None:
        self.end = 0
        self.reads = 0
        self.opened = 0
        self.error: HookstreamError | None = None
        self.gate = asyncio.Event()
        self.gate.set()

    def reader(
        self,
        _settings: KafkaSettings,
        _topic: str,
        take: Callable[[Record], object],
        _restarted: Callable[[], object],
        _clock: Clock,
    ) -> "_Reader":
        return _Reader(self, take)


class _Reader:
    def __init__(self, topic: _Topic, take: Callable[[Record], object]) -> None:
        self._topic = topic
        self._take = take
        self._next = 0

    async def open(self) -> None:
        self._topic.opened += 1
        self._next = 0

    async def read_to_end(self) -> None:
        self._topic.reads += 1
        end = self._topic.end
        await self._topic.gate.wait()
        if self._topic.error is not None:
            raise self._topic.error
        for offset in range(self._next, end):
            self._take(MemoryRecord("t", offset, b"k", b"v"))
        self._next = end

    async def close(self) -> None:
        pass


@pytest.fixture
async def topic(monkeypatch: pytest.MonkeyPatch) -> _Topic:
    """An empty topic, which the view reads."""
    topic = _Topic()
    monkeypatch.setattr(topic_view, "TableReader", topic.reader)
    await asyncio.sleep(0)
    return topic


def _view() -> TopicView[_Table]:
    return TopicView(KafkaSettings(), "t", _Table(), SystemClock())


async def test_a_read_sees_what_was_there_when_it_was_asked_for(topic: _Topic) -> None:
    """A read that is asked for while another one is under way sees what came since that began, and
    any number of them share one read.
    """
    view = _view()
    topic.end = 1
    topic.gate.clear()
    first = asyncio.create_task(view.read())
    await wait_until(lambda: topic.reads == 1, "the first read")
    topic.end = 2
    later = [asyncio.create_task(view.read()) for _ in range(20)]
    await asyncio.sleep(0)
    topic.gate.set()
    await first
    assert {len((await one).taken) for one in later} == {2}
    assert (topic.reads, topic.opened) == (2, 1)
    await view.close()


async def test_a_read_that_takes_too_long_is_told_and_goes_on(topic: _Topic) -> None:
    """A caller that waits too long is told so; the read goes on, and the next call has it."""
    view = _view()
    topic.end = 3
    topic.gate.clear()
    with pytest.raises(UnavailableError, match="about the topic t: look at the brokers"):
        await view.read(seconds=0.01)
    topic.gate.set()
    assert (await view.read()).taken == [0, 1, 2]
    assert topic.opened == 1
    await view.close()


async def test_a_read_that_fails_begins_anew_the_next_time(topic: _Topic) -> None:
    """After a failure, which all callers are told, the table is read from the beginning."""
    view = _view()
    topic.end = 1
    assert (await view.read()).taken == [0]
    topic.error = HookstreamError("no broker answers")
    both = await asyncio.gather(view.read(), view.read(), return_exceptions=True)
    assert list(map(str, both)) == ["no broker answers"] * 2
    topic.error, topic.end = None, 2
    assert (await view.read()).taken == [0, 1]
    assert topic.opened == 3
    await view.close()


async def test_a_closed_view_reads_no_more(topic: _Topic) -> None:
    """Closing ends the reads under way."""
    view = _view()
    topic.gate.clear()
    waiting = asyncio.create_task(view.read())
    await wait_until(lambda: topic.reads == 1, "the read")
    await view.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting


class _Client:
    """A connection that answers at once."""

    open_ones = 0

    def __init__(self, **_: object) -> None:
        _Client.open_ones += 1

    async def bootstrap(self) -> None:
        pass

    def add_topic(self, _topic: str) -> None:
        pass

    async def close(self) -> None:
        _Client.open_ones -= 1


async def test_reads_never_overlap_however_they_are_asked_for(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The reader of a table reads for one call after the other, whenever calls come: each record is
    taken once, and one connection is open.
    """
    log = FakeTopicLog()
    monkeypatch.setattr(table_reader, "ClusterClient", _Client)
    monkeypatch.setattr(table_reader, "TopicLog", lambda _client, _topic: log)
    monkeypatch.setattr(_Client, "open_ones", 0)
    view, reads = _view(), list[asyncio.Task[_Table]]()
    for number in range(200):
        log.append([(b"%d" % number, b"", [])])
        reads.append(asyncio.create_task(view.read()))
        await asyncio.sleep(0)
    for one in reads:
        await one
    assert _Client.open_ones == 1
    assert (await view.read()).taken == [record.offset for record in log.records]
    await view.close()
    assert _Client.open_ones == 0
