"""The table of live definitions, against a model that only remembers what was written."""

import asyncio
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from consumer.clock import SystemClock
from consumer.control.changes import ConflictError, WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.write_plan import Author, plan_write
from consumer.settings import KafkaSettings
from consumer.stream.table_reader import TableReader
from support.definition_topics import definition, in_force
from support.fake_topic_log import FakeTopicLog

HOOKS = ("a", "b", "c")
IDS = st.sampled_from(HOOKS)
NAMES = st.sampled_from(("one", "two"))


class Replica:
    """A process that holds the table, and reads the topic from its beginning."""

    def __init__(self, log: FakeTopicLog) -> None:
        self.table = LiveTable()
        self.reader = TableReader(
            KafkaSettings(), "hooks", self.table.take, self.table.clear, SystemClock()
        )
        self.reader._log, self.reader._topic_id = log, log.topic_id

    def read(self) -> LiveTable:
        """The table, with everything that is in the topic now."""
        asyncio.run(self.reader.read_to_end())
        return self.table


class LiveTableMachine(RuleBasedStateMachine):
    """Writers, replicas that restart, compaction, dead writers, poisoned records, and a topic that
    is made anew, in any order.
    """

    def __init__(self) -> None:
        super().__init__()
        self.log = FakeTopicLog()
        self.replicas = [Replica(self.log) for _ in range(2)]
        self.writer = Replica(self.log)
        self.model: dict[str, Any] = {}
        """The definitions in force."""
        self.newest: dict[str, int] = {}
        """The newest revision of each hook, deletions included."""
        self.poisoned: set[str] = set()

    @rule(hook=IDS, name=st.none() | NAMES, stale=st.booleans())
    def write(self, hook: str, name: str | None, *, stale: bool) -> None:
        """A definition is changed or deleted, by somebody who may have seen an old revision."""
        table = self.writer.read()
        wanted = None if name is None else definition(hook, name=name)
        seen = table.revision(hook) - 1 if stale else table.revision(hook)
        change = WantedChange(hook, wanted, seen)
        try:
            plan = plan_write(table, [change], Author("x", "", "", ""))
        except ConflictError:
            assert stale
            return
        assert not stale
        if not plan.written:
            assert self.model.get(hook) == wanted
            return
        [record] = plan.written
        assert record.revision == self.newest.get(hook, 0) + 1
        self.log.append(plan.hook_records())
        self.newest[hook] = record.revision
        self.poisoned.discard(hook)
        self.model.pop(hook, None)
        if wanted is not None:
            self.model[hook] = wanted

    @rule(records=st.integers(1, 4))
    def die(self, records: int) -> None:
        """A writer dies with its transaction open."""
        self.log.leave_open(records)

    @rule(hook=IDS, key=st.booleans())
    def poison(self, hook: str, *, key: bool) -> None:
        """Another program writes a record that is no definition."""
        self.log.append([(hook.encode() if key else b"", b"not JSON", [])])
        if key:
            self.poisoned.add(hook)

    @rule()
    def compact(self) -> None:
        """The broker compacts the topic."""
        self.log.compact(deletions=False)

    @rule(number=st.integers(0, 1))
    def restart(self, number: int) -> None:
        """A replica restarts: it reads everything again."""
        self.replicas[number] = Replica(self.log)

    @rule(number=st.integers(0, 1))
    def read(self, number: int) -> None:
        """A replica reads on, so that the others have read less."""
        self.replicas[number].read()

    @rule()
    def remake(self) -> None:
        """The topic is deleted and made anew."""
        self.log.remake()
        self.model.clear()
        self.newest.clear()
        self.poisoned.clear()

    @invariant()
    def a_late_reader_holds_the_model(self) -> None:
        """A reader that starts now holds what was written, and knows what is poisoned."""
        self._agrees(Replica(self.log).read())

    @invariant()
    def the_writer_holds_the_model(self) -> None:
        """A reader that was there all the time holds the same."""
        self._agrees(self.writer.read())

    def teardown(self) -> None:
        """All replicas end with the same table, whenever they read last."""
        for replica in self.replicas:
            self._agrees(replica.read())

    def _agrees(self, table: LiveTable) -> None:
        unreadable = {hook for hook in table.unreadable if hook}
        assert unreadable == self.poisoned
        found = {hook: defined for hook, (_, defined) in in_force(table.records).items()}
        well = set(HOOKS) - self.poisoned
        assert {h: d for h, d in found.items() if h in well} == {
            h: d for h, d in self.model.items() if h in well
        }
        for hook in found.keys() - well:  # its last good revision, or none after a cold start
            assert found[hook] == self.model[hook]
        for hook in well & self.newest.keys():
            assert table.next_revision(hook) == self.newest[hook] + 1


TestLiveTable = LiveTableMachine.TestCase
TestLiveTable.settings = settings(max_examples=100, stateful_step_count=25)
