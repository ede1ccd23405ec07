"""When an endpoint's circuit opens, what it lets through, and when it closes."""

import pytest

from consumer.delivery.circuit import Circuit, CircuitPolicy, CircuitState

CLOSED, OPEN, HALF_OPEN = CircuitState.CLOSED, CircuitState.OPEN, CircuitState.HALF_OPEN
POLICY = CircuitPolicy(window=30.0, min_volume=4, failure_ratio=0.5, open_for=10.0)


@pytest.fixture
def changes() -> list[CircuitState]:
    """Every state that the circuit told."""
    return []


@pytest.fixture
def circuit(changes: list[CircuitState]) -> Circuit:
    """A closed one."""
    return Circuit(POLICY, changes.append)


def answers(circuit: Circuit, pattern: str, now: float = 100.0) -> None:
    """Ordinary answers: `+` is a success, `-` a failure."""
    for mark in pattern:
        circuit.record(ok=mark == "+", probe=False, now=now)


def probe(circuit: Circuit, now: float, *, ok: bool) -> None:
    """The one attempt that an open circuit allows, and its answer."""
    assert circuit.wait(now) == 0.0
    assert circuit.begin()
    circuit.record(ok=ok, probe=True, now=now)


@pytest.mark.parametrize(
    ("pattern", "state"),
    [
        ("---", CLOSED),
        ("----", OPEN),
        ("++--", OPEN),
        ("+++--", CLOSED),
        ("+++---", OPEN),
        ("----+", OPEN),
        ("--++", CLOSED),
        ("++++++++", CLOSED),
    ],
)
def test_it_opens_at_the_failure_ratio_of_enough_attempts(
    circuit: Circuit, pattern: str, state: CircuitState
) -> None:
    """Half of at least four; it is a failure that opens, never a success."""
    answers(circuit, pattern)
    assert circuit.state is state


def test_a_closed_circuit_allows_everything(circuit: Circuit) -> None:
    """And its attempts are no probes."""
    assert circuit.wait(100.0) == 0.0
    assert not circuit.begin()


def test_an_open_circuit_allows_nothing_until_its_time(circuit: Circuit) -> None:
    """`wait` says how long."""
    answers(circuit, "----", now=100.0)
    assert circuit.wait(100.0) == 10.0
    assert circuit.wait(109.0) == 1.0
    assert circuit.wait(110.0) == 0.0


def test_one_probe_at_a_time(circuit: Circuit, changes: list[CircuitState]) -> None:
    """While it is under way, nothing else may go."""
    answers(circuit, "----")
    assert circuit.begin()
    assert circuit.state is HALF_OPEN
    assert circuit.wait(10_000.0) > 0.0
    circuit.record(ok=True, probe=True, now=115.0)
    assert circuit.wait(115.0) == 0.0
    assert changes == [OPEN, HALF_OPEN, CLOSED]


def test_probes_that_fail_double_the_wait_up_to_a_bound(circuit: Circuit) -> None:
    """10, 20, 40, ... and never more than five minutes; a success starts over."""
    answers(circuit, "----", now=0.0)
    now, waits = 0.0, []
    for _ in range(7):
        waits.append(circuit.wait(now))
        now += circuit.wait(now)
        probe(circuit, now, ok=False)
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    now += circuit.wait(now)
    probe(circuit, now, ok=True)
    answers(circuit, "----", now=now)
    assert circuit.wait(now) == 10.0


@pytest.mark.parametrize("ok", [True, False])
def test_late_answers_of_before_the_opening_change_nothing(circuit: Circuit, ok: bool) -> None:
    """Only the probe says anything new."""
    answers(circuit, "----", now=100.0)
    circuit.record(ok=ok, probe=False, now=105.0)
    assert (circuit.state, circuit.wait(105.0)) == (OPEN, 5.0)
    circuit.begin()
    circuit.record(ok=ok, probe=False, now=111.0)
    assert circuit.state is HALF_OPEN


def test_closing_forgets_the_failures(circuit: Circuit) -> None:
    """Else the first failure after it would open again."""
    answers(circuit, "----", now=100.0)
    probe(circuit, 110.0, ok=True)
    answers(circuit, "---", now=110.0)
    assert circuit.state is CLOSED


@pytest.mark.parametrize(
    ("later", "state"), [(10.0, OPEN), (31.0, OPEN), (59.0, OPEN), (61.0, CLOSED), (500.0, CLOSED)]
)
def test_failures_are_forgotten_after_one_to_two_windows(
    circuit: Circuit, later: float, state: CircuitState
) -> None:
    """What failed long ago says nothing about now."""
    answers(circuit, "---", now=100.0)
    answers(circuit, "-", now=100.0 + later)
    assert circuit.state is state


def test_successes_of_the_window_before_count_too(circuit: Circuit) -> None:
    """A short burst of failures right after a good window does not open."""
    answers(circuit, "++++++++", now=100.0)
    answers(circuit, "----", now=131.0)
    assert circuit.state is CLOSED


def test_each_change_is_told_once(circuit: Circuit, changes: list[CircuitState]) -> None:
    """Operators see the state as a gauge and in the log."""
    answers(circuit, "--------")
    assert changes == [OPEN]
