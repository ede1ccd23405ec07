"""No unread record is passed over without being counted, whatever becomes of log and commits."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from consumer.stream.positions import (
    EARLIEST,
    LATEST,
    Committed,
    Log,
    Position,
    TopicState,
    Why,
    begin_at,
    first_time,
    next_note,
)

FEW = st.integers(1, 5)


class PositionsMachine(RuleBasedStateMachine):
    """One partition, its readers one after the other, and what others do to its log.

    Every record has a number of its own, in the order in which it was written. A truncated log
    that grew behind a reader's position again is left out: only its records could tell.
    """

    def __init__(self) -> None:
        super().__init__()
        self.written = 0
        self.topic_number = 0
        self.log: dict[int, int] = {}
        """The number of the record at each offset that is left."""
        self.span = Log(0, 0)
        self.unread: set[int] = set()
        """Numbers of the records that were neither read nor counted as lost."""
        self.gone: set[int] = set()
        """Numbers of the records that are in no log any more."""
        self.committed: Committed | None = None
        self.position: Position | None = None

    @initialize(start=st.sampled_from([EARLIEST, LATEST]), records=st.integers(0, 5))
    def set_up(self, start: int, records: int) -> None:
        """A topic that may hold records, and the setting of its source."""
        self.start = start
        self.write(records)
        if start == LATEST:
            self.unread.clear()
        self.tp()
        self.commit()

    @property
    def topic(self) -> TopicState:
        """As the cluster describes it."""
        return TopicState("cluster", f"id-{self.topic_number}", 1)

    @rule(count=FEW)
    def write(self, count: int) -> None:
        """Records are written."""
        for _ in range(count):
            self.log[self.span.end] = self.written
            self.unread.add(self.written)
            self.span = Log(self.span.start, self.span.end + 1)
            self.written += 1

    @rule(count=FEW)
    def read(self, count: int) -> None:
        """The reader gets what is next, unless its position is outside the log."""
        position = self.position
        if position is None or not self.is_placed():
            return
        end = min(position.offset + count, self.span.end)
        for offset in range(position.offset, end):
            self.unread.discard(self.log[offset])
        self.position = Position(end, position.note, self.span.end)

    @rule()
    def commit(self) -> None:
        """What was read is committed."""
        if self.position is not None:
            self.committed = Committed(self.position.offset, self.position.note)

    @rule(count=FEW)
    def retention(self, count: int) -> None:
        """The log's oldest records go."""
        start = min(self.span.start + count, self.span.end)
        for offset in range(self.span.start, start):
            self.gone.add(self.log.pop(offset))
        self.span = Log(start, self.span.end)

    @rule(count=FEW)
    def truncation(self, count: int) -> None:
        """The log's newest records go, and the reader notices before others are written."""
        end = max(self.span.end - count, self.span.start)
        lost = {self.log.pop(offset) for offset in range(end, self.span.end)}
        self.span = Log(self.span.start, end)
        self.unread -= lost  # those that were read are what the position tells
        self.tp()
        self.commit()

    @rule(records=st.integers(0, 8))
    def remake(self, records: int) -> None:
        """The topic is deleted and made again; it may soon be longer than before."""
        self.look()
        position = self.position
        if position is None or position.note is None or not position.note.is_of(self.topic):
            self.unread.clear()  # no reader ever saw that topic
        self.gone |= set(self.log.values())
        self.log.clear()
        self.span = Log(0, 0)
        self.topic_number += 1
        self.write(records)

    @rule()
    def look(self) -> None:
        """The reader sees the end of the log, if it is still that log."""
        position = self.position
        if position is not None and position.note is not None and position.note.is_of(self.topic):
            self.position = Position(position.offset, position.note, self.span.end)

    @rule()
    def tp(self) -> None:
        """The reader is given a position: after an error, or because the topic is another one."""
        reached = self.position
        if reached is None and self.committed is not None:
            reached = Position(self.committed.offset, self.committed.note)
        time = first_time(self.start, 0, self.topic, [])
        first = self.span.start if time == EARLIEST else self.span.end
        beginning = begin_at(reached, self.topic, self.span, first)
        lost = self.unread & self.gone
        if beginning.why is not Why.REMADE or self.position is not None:
            assert beginning.lost >= len(lost)
        self.unread -= lost  # of a topic that is gone, a new reader cannot know how long it was
        note = next_note(reached, self.topic, [], now=0.0)
        assert note.is_of(self.topic)
        self.position = Position(beginning.offset, note, self.span.end)

    @rule()
    def restart(self) -> None:
        """Another reader goes on at the commit; what was not committed is owed again."""
        self.position = None
        self.tp()

    def is_placed(self) -> bool:
        """Whether the position is one of this log."""
        position = self.position
        assert position is not None
        assert position.note is not None
        return (
            position.note.is_of(self.topic) and self.span.start <= position.offset <= self.span.end
        )

    @invariant()
    def every_unread_record_is_ahead_or_lost(self) -> None:
        """What is left of the log and unread comes at or behind the position."""
        position = self.position
        if position is None or not self.is_placed():
            return
        for offset, number in self.log.items():
            assert offset >= position.offset or number not in self.unread


TestPositionsMachine = PositionsMachine.TestCase
