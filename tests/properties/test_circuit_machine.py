"""The circuit under any order of attempts and answers."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState


class CircuitMachine(RuleBasedStateMachine):
    """Attempts begin when `wait` allows and end in any order, late ones included."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.policy = CircuitPolicy(window=30.0, min_volume=3, open_for=10.0, open_at_most=40.0)
        self.changes = [CircuitState.CLOSED]
        self.circuit = Circuit(self.policy, self.changes.append)
        self.under_way: list[bool] = []
        """Whether each attempt under way is the probe."""
        self.opened_at: float | None = None
        self.accepted = False
        self.rejections = 0
        """Since the last 2xx."""

    @rule(seconds=st.sampled_from([0.0, 1.0, 9.0, 10.0, 40.0]))
    def pass_time(self, seconds: float) -> None:
        """Time goes on."""
        self.now += seconds

    @rule()
    def begin(self) -> None:
        """An attempt, if it is allowed: the open circuit waits its time, then allows the probe."""
        state = self.circuit.state
        allowed = self.circuit.wait(self.now) == 0.0
        if state is CircuitState.OPEN:
            assert self.opened_at is not None
            if self.now < self.opened_at + self.policy.open_for:
                assert not allowed
            if self.now >= self.opened_at + self.policy.open_at_most:
                assert allowed
        else:
            assert allowed is (state is CircuitState.CLOSED)
        if allowed:
            self.under_way.append(self.circuit.begin())
            assert self.under_way[-1] is (state is not CircuitState.CLOSED)

    @precondition(lambda self: self.under_way)
    @rule(data=st.data(), kind=st.sampled_from(["accepted", "rejected", "failed", "answered"]))
    def answer(self, data: st.DataObject, kind: str) -> None:
        """Any attempt under way ends."""
        probe = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before, refused = self.circuit.state, self.circuit.refuses
        getattr(self.circuit, kind)(probe=probe, now=self.now)
        after, ok = self.circuit.state, kind == "accepted"
        self.accepted |= ok
        self.rejections = 0 if ok else self.rejections + (kind == "rejected")
        if before is CircuitState.CLOSED:
            assert after is CircuitState.CLOSED or kind in {"failed", "rejected"}
        elif not probe:
            is_late = ok and refused and before is CircuitState.OPEN
            assert after is (CircuitState.CLOSED if is_late else before)
        elif ok or (kind != "failed" and not self.circuit.refuses):
            assert after is CircuitState.CLOSED
        else:
            assert after is CircuitState.OPEN
        if after is CircuitState.OPEN and before is not CircuitState.OPEN:
            self.opened_at = self.now

    @invariant()
    def one_probe_at_a_time(self) -> None:
        """And one exactly while it is half open."""
        assert sum(self.under_way) == (self.circuit.state is CircuitState.HALF_OPEN)

    @invariant()
    def it_refuses_only_what_was_accepted_before(self) -> None:
        """Behind a 2xx and a run of rejections, and never while it is closed."""
        if self.circuit.refuses:
            assert self.circuit.state is not CircuitState.CLOSED
            assert self.accepted
            assert self.rejections >= self.policy.min_volume

    @invariant()
    def only_changes_are_told(self) -> None:
        """No state twice in a row, and the last one is the current one."""
        assert self.changes[-1] is self.circuit.state
        assert all(one is not two for one, two in zip(self.changes, self.changes[1:], strict=False))


TestCircuitMachine = CircuitMachine.TestCase
