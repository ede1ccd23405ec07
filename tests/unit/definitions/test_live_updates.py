"""Records of the definitions' topic come into force in batches, in their order."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager

import pytest

from consumer.clock import Clock, SystemClock
from consumer.definitions import updates
from consumer.definitions.updates import BATCH_RECORDS, LiveUpdates
from consumer.hooks.source import ids_of
from consumer.matching.store import Prepared
from consumer.records.record import Record
from consumer.settings import KafkaSettings
from support.definitions_harness import DefinitionsHarness, definition
from support.fakes import FakeRecord
from support.waiting import wait_until


class FakeReader:
    """A `TableReader` whose topic is a list, and goes on as the test says."""

    first: Sequence[FakeRecord] = ()
    """What the topic holds at the start."""
    made: "FakeReader"

    def __init__(
        self,
        settings: KafkaSettings,
        topic: str,
        take: Callable[[Record], object],
        restarted: Callable[[], object],
        clock: Clock,
    ) -> None:
        self.topic, self.take, self.restarted = topic, take, restarted
        self.is_at_end = True
        self.is_open = False
        FakeReader.made = self
        del settings, clock

    async def open(self) -> None:
        """See `TableReader`."""
        self.is_open = True

    async def read_to_end(self) -> None:
        """See `TableReader`."""
        for record in self.first:
            self.take(record)

    async def follow(self) -> None:
        """See `TableReader`."""
        await asyncio.Event().wait()

    async def close(self) -> None:
        """See `TableReader`."""
        self.is_open = False


class UpdatesHarness:
    """The updates of one daemon, and what came into force."""

    def __init__(self, harness: DefinitionsHarness) -> None:
        self.harness = harness
        self.changes: list[list[str]] = []
        """The hooks of each view that came into force."""
        self.finished = 0
        self.updates = LiveUpdates(
            KafkaSettings(), harness.definitions, self._changed, self._finish, SystemClock()
        )

    @property
    def reader(self) -> FakeReader:
        """The reader of the topic."""
        return FakeReader.made

    def _changed(self, prepared: Prepared) -> None:
        assert self.harness.definitions.view is prepared.view
        self.changes.append(ids_of(prepared.changes))

    def _finish(self, _prepared: Prepared) -> None:
        self.finished += 1


@contextmanager
def topic_with(monkeypatch: pytest.MonkeyPatch, *first: FakeRecord) -> Iterator[None]:
    """A topic that holds these records at the start."""
    with monkeypatch.context() as patch:
        patch.setattr(updates, "TableReader", FakeReader)
        patch.setattr(FakeReader, "first", first)
        yield


@asynccontextmanager
async def running(
    harness: DefinitionsHarness, monkeypatch: pytest.MonkeyPatch, *first: FakeRecord
) -> AsyncIterator[UpdatesHarness]:
    """Updates that have loaded these records and wait for more."""
    with topic_with(monkeypatch, *first):
        bench = UpdatesHarness(harness)
        assert not bench.updates.is_loaded
        await bench.updates.load()
        assert bench.updates.is_loaded
        task = asyncio.create_task(bench.updates.run())
        try:
            yield bench
        finally:
            task.cancel()
            await asyncio.wait({task})
            await bench.updates.close()
            assert not bench.reader.is_open


def value(hook_id: str, target: str) -> dict[str, object]:
    """A record's value."""
    return {"format": 1, "revision": 1, "definition": definition(hook_id, target)}


async def test_of_the_first_records_the_newest_of_each_hook_counts(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """At the start only the newest record of a hook counts: one that is refused leaves it off,
    whatever was before it, and all is one change of the table.
    """
    harness = DefinitionsHarness(definition("file"))
    records = [
        harness.record("a", value("a", "/1")),
        harness.record("b", value("b", "/1")),
        harness.record("a", value("a", "/2")),
        harness.record("b", b"bad"),
        harness.record("c", value("c", "/1")),
        harness.record("c", None),
    ]
    async with running(harness, monkeypatch, *records) as bench:
        assert harness.targets == {"file": "/", "a": "/2"}
        assert bench.changes == [["a"]]
        assert harness.definitions.live.problem_count == 1
        assert harness.definitions.live.offset == 6


async def test_the_offset_is_the_last_records(monkeypatch: pytest.MonkeyPatch) -> None:
    """The offset in force is that of the last record, though its hook came first."""
    harness = DefinitionsHarness()
    records = [harness.record(name, value(name, "/")) for name in "aba"]
    async with running(harness, monkeypatch, *records):
        assert harness.definitions.live.offset == 3


async def test_later_records_count_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    """A record that is refused leaves in force what came just before it, even together."""
    harness = DefinitionsHarness()
    async with running(harness, monkeypatch) as bench:
        bench.reader.take(harness.record("a", value("a", "/1")))
        bench.reader.take(harness.record("a", b"bad"))
        await wait_until(lambda: harness.definitions.live.offset == 2, "both records")
        assert harness.targets == {"a": "/1"}
        await wait_until(lambda: bench.finished == 2, "the rest of it")


async def test_many_records_come_in_batches(monkeypatch: pytest.MonkeyPatch) -> None:
    """A change of very many definitions comes into force in batches, so that the loop goes on."""
    harness = DefinitionsHarness()
    number = BATCH_RECORDS * 2 + 1
    async with running(harness, monkeypatch) as bench:
        for index in range(number):
            bench.reader.take(harness.record(f"h{index}", value(f"h{index}", "/")))
        await wait_until(lambda: harness.definitions.live.offset == number, "all records")
        assert [len(ids) for ids in bench.changes] == [0, BATCH_RECORDS, BATCH_RECORDS, 1]
        assert len(harness.hooks) == number


async def test_a_reload_between_compiling_and_applying(monkeypatch: pytest.MonkeyPatch) -> None:
    """Records that were compiled before a reload came into force are compiled again."""
    harness = DefinitionsHarness()
    compiled = []
    original = harness.definitions.compile

    def compile_and_reload(records: Sequence[Record]) -> object:
        done = original(records)
        compiled.append(done)
        if len(compiled) == 2:  # the first one is of the start
            harness.reload(definition("file"))
        return done

    monkeypatch.setattr(harness.definitions, "compile", compile_and_reload)
    async with running(harness, monkeypatch) as bench:
        bench.reader.take(harness.record("a", value("a", "/1")))
        await wait_until(lambda: harness.definitions.live.offset == 1, "the record")
    assert len(compiled) == 3
    assert harness.targets == {"file": "/", "a": "/1"}


async def test_a_topic_that_is_read_anew(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """A topic that was made anew is in force in the order of its records, and what it no longer
    has stays in force and is told once it was read to its end.
    """
    harness = DefinitionsHarness()
    first = [harness.record(name, value(name, "/1")) for name in "ab"]
    async with running(harness, monkeypatch, *first) as bench:
        bench.reader.take(harness.record("b", value("b", "/2")))
        bench.reader.is_at_end = False
        bench.reader.restarted()
        bench.reader.take(harness.record("a", value("a", "/3")))
        await wait_until(lambda: harness.targets == {"a": "/3", "b": "/2"}, "the new topic")
        assert harness.definitions.live.problem_count == 1
        said = "has lost records"
        assert not [line for line in caplog.records if said in line.message]
        bench.reader.is_at_end = True
        await wait_until(
            lambda: [line for line in caplog.records if said in line.message], "the line"
        )
        bench.reader.take(harness.record("b", value("b", "/4")))
        await wait_until(lambda: harness.targets["b"] == "/4", "later records")
        assert harness.definitions.live.problem_count == 0
