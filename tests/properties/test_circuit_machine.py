"""The circuit under any order of attempts and answers."""

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.delivery.circuit import Circuit, CircuitPolicy, CircuitState


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
    @rule(data=st.data(), ok=st.booleans())
    def answer(self, data: st.DataObject, ok: bool) -> None:
        """Any attempt under way ends."""
        probe = self.under_way.pop(data.draw(st.integers(0, len(self.under_way) - 1)))
        before = self.circuit.state
        self.circuit.record(ok=ok, probe=probe, now=self.now)
        after = self.circuit.state
        if before is CircuitState.CLOSED:
            assert after is CircuitState.CLOSED or not ok
        elif not probe:
            assert after is before
        else:
            assert after is (CircuitState.CLOSED if ok else CircuitState.OPEN)
        if after is CircuitState.OPEN and before is not CircuitState.OPEN:
            self.opened_at = self.now

    @invariant()
    def one_probe_at_a_time(self) -> None:
        """And one exactly while it is half open."""
        assert sum(self.under_way) == (self.circuit.state is CircuitState.HALF_OPEN)

    @invariant()
    def only_changes_are_told(self) -> None:
        """No state twice in a row, and the last one is the current one."""
        assert self.changes[-1] is self.circuit.state
        assert all(one is not two for one, two in zip(self.changes, self.changes[1:], strict=False))


TestCircuitMachine = CircuitMachine.TestCase
