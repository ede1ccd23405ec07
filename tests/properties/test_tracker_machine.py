"""What may be committed, against a model that remembers everything (invariant 1)."""

from dataclasses import dataclass, field

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.records.tracker import InFlightRecord, OffsetTracker
from support.fakes import FakeRecord


@dataclass
class Model:
    """One assignment: every offset received in it, and how many settlements each still needs."""

    partition: OffsetTracker
    next_offset: int
    missing: dict[int, int] = field(default_factory=dict)
    owed: list[tuple[int, InFlightRecord]] = field(default_factory=list)
    """Offset and handle, once for each settlement that will come."""

    @property
    def committable(self) -> int:
        """The lowest offset that is not settled, else the one behind the last."""
        unsettled = [offset for offset, count in self.missing.items() if count]
        return min(unsettled, default=self.next_offset)


class TrackerMachine(RuleBasedStateMachine):
    """One partition over many assignments; settlements come in any order, late ones too."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.models: list[Model] = []
        self.assign(start=0)

    @property
    def current(self) -> Model:
        """The assignment of now."""
        return self.models[-1]

    @rule(start=st.integers(0, 50))
    def assign(self, start: int) -> None:
        """The partition leaves and comes back, at an offset that others committed."""
        if self.models:
            self.current.partition.revoked = True
        self.models.append(Model(OffsetTracker("event", 0, start), start))
        self.offset = start

    @rule(gap=st.integers(0, 3), deliveries=st.integers(1, 3))
    def receive(self, gap: int, deliveries: int) -> None:
        """A record, perhaps behind a gap of markers or compacted records."""
        offset = self.step(gap)
        self.now += 1.0
        pending = self.current.partition.receive(offset, FakeRecord(), deliveries, self.now)
        self.current.missing[offset] = deliveries
        self.current.owed += [(offset, pending)] * deliveries

    @rule(gap=st.integers(0, 3))
    def skip(self, gap: int) -> None:
        """A record that no hook wants."""
        self.current.partition.skip(self.step(gap))

    @rule(gap=st.integers(0, 3))
    def reach(self, gap: int) -> None:
        """The consumer's position passes markers behind the last record."""
        self.offset += gap
        self.current.partition.skip_to(self.offset)
        self.current.next_offset = self.offset

    def step(self, gap: int) -> int:
        """The next record's offset."""
        offset = self.offset + gap
        self.offset = self.current.next_offset = offset + 1
        return offset

    @precondition(lambda self: any(model.owed for model in self.models))
    @rule(data=st.data())
    def settle(self, data: st.DataObject) -> None:
        """One delivery ends, of this assignment or of an earlier one."""
        model = data.draw(st.sampled_from([model for model in self.models if model.owed]))
        offset, pending = model.owed.pop(data.draw(st.integers(0, len(model.owed) - 1)))
        pending.ack_one()
        model.missing[offset] -= 1

    @invariant()
    def the_committable_offset_is_the_models(self) -> None:
        """Of every assignment: a late settlement reaches its own one only."""
        for model in self.models:
            assert model.partition.committable == model.committable

    @invariant()
    def no_unsettled_offset_is_passed(self) -> None:
        """The promise itself, whatever the model says."""
        committable = self.current.partition.committable
        unsettled = [offset for offset, count in self.current.missing.items() if count]
        assert all(committable <= offset for offset in unsettled)
        assert self.current.partition.unsettled == len(unsettled)

    @invariant()
    def handles_know_their_assignment(self) -> None:
        """Nothing is owed for a revoked one."""
        for model in self.models:
            for _, pending in model.owed:
                assert pending.revoked is (model is not self.current)


TestTrackerMachine = TrackerMachine.TestCase
