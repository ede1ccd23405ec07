"""When an endpoint's circuit opens, what it lets through, and when it closes."""

from random import Random

import pytest

from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState

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


def record(circuit: Circuit, mark: str, *, probe: bool = False, now: float = 100.0) -> None:
    """One answer: `+` is a 2xx, `-` a failure, `x` a rejection, `.` says nothing."""
    methods = {
        "+": circuit.accepted,
        "-": circuit.failed,
        "x": circuit.rejected,
        ".": circuit.answered,
    }
    methods[mark](probe=probe, now=now)


def answers(circuit: Circuit, pattern: str, now: float = 100.0) -> None:
    """Ordinary answers, see `record`."""
    for mark in pattern:
        record(circuit, mark, now=now)


def probe(circuit: Circuit, now: float, mark: str) -> None:
    """The one attempt that an open circuit allows, and its answer."""
    assert circuit.wait(now) == 0.0
    assert circuit.begin()
    record(circuit, mark, probe=True, now=now)


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
    circuit.accepted(probe=True, now=115.0)
    assert circuit.wait(115.0) == 0.0
    assert changes == [OPEN, HALF_OPEN, CLOSED]


def test_probes_that_fail_double_the_wait_up_to_a_bound(circuit: Circuit) -> None:
    """10, 20, 40, ... and never more than five minutes; a success starts over."""
    answers(circuit, "----", now=0.0)
    now, waits = 0.0, []
    for _ in range(7):
        waits.append(circuit.wait(now))
        now += circuit.wait(now)
        probe(circuit, now, "-")
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]
    now += circuit.wait(now)
    probe(circuit, now, "+")
    answers(circuit, "----", now=now)
    assert circuit.wait(now) == 10.0


@pytest.mark.parametrize("mark", "+-x.")
def test_late_answers_of_before_the_opening_change_nothing(circuit: Circuit, mark: str) -> None:
    """Only the probe says anything new."""
    answers(circuit, "----", now=100.0)
    record(circuit, mark, now=105.0)
    assert (circuit.state, circuit.wait(105.0)) == (OPEN, 5.0)
    circuit.begin()
    record(circuit, mark, now=111.0)
    assert circuit.state is HALF_OPEN


def test_closing_forgets_the_failures(circuit: Circuit) -> None:
    """Else the first failure after it would open again."""
    answers(circuit, "----", now=100.0)
    probe(circuit, 110.0, "+")
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


@pytest.mark.parametrize(
    ("pattern", "state"),
    [
        ("+xxx", CLOSED),
        ("+xxxx", OPEN),
        ("+xx.xx", OPEN),
        ("+xx-xx", OPEN),
        ("+xx+xxx", CLOSED),
        ("xxxxxxxxxxxx", CLOSED),
        ("xxxxxxxxxxxx+xxxx", OPEN),
        ("+....", CLOSED),
        ("+xx" * 100 + "xxxxxxxx", CLOSED),
        ("+xx" * 100 + "xxxxxxxxx", OPEN),
    ],
)
def test_it_opens_for_rejections_of_what_was_accepted_before(
    circuit: Circuit, pattern: str, state: CircuitState
) -> None:
    """Four in a row behind a 2xx, whatever else comes between them; never without a 2xx before
    them; and where two of three are rejected as a rule, three times as many.
    """
    answers(circuit, pattern)
    assert circuit.state is state
    assert circuit.refuses is (state is OPEN)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.9])
def test_a_receiver_that_rejects_many_by_design_keeps_the_circuit_closed(share: float) -> None:
    """Over 100,000 answers at random, of which this share are rejections. What the circuit has yet
    to learn costs it a few openings at the begin, at most.
    """
    chance, changes = Random(1), list[CircuitState]()  # noqa: S311  # the same each time
    circuit = Circuit(CircuitPolicy(), changes.append)
    for number in range(100_000):
        if number == 1_000:
            changes.clear()
        record(circuit, "x" if chance.random() < share else "+", probe=circuit.begin())
    assert changes == []


@pytest.mark.parametrize("before", ["+", "+" * 50, "+xx" * 30 + "+" * 200])
def test_a_receiver_that_rejects_everything_costs_no_more_than_the_volume(before: str) -> None:
    """Whatever it answered earlier, and for the second time too."""
    circuit = Circuit(CircuitPolicy(), lambda _state: None)
    answers(circuit, before)
    for _ in range(2):
        lost = 0
        while not circuit.refuses:
            circuit.rejected(probe=False, now=100.0)
            lost += not circuit.refuses
        assert lost < CircuitPolicy().min_volume
        circuit.begin()
        circuit.accepted(probe=True, now=200.0)
        answers(circuit, "+" * 100, now=200.0)


def test_a_probe_that_is_rejected_keeps_the_circuit_open_while_all_are(circuit: Circuit) -> None:
    """With growing waits; a failure in between changes nothing, a 2xx closes."""
    answers(circuit, "+xxxx", now=0.0)
    now, waits = 0.0, []
    for mark in "x-x.x":
        waits.append(circuit.wait(now))
        now += circuit.wait(now)
        probe(circuit, now, mark)
        assert circuit.refuses
    assert waits == [10.0, 20.0, 40.0, 80.0, 160.0]
    now += circuit.wait(now)
    probe(circuit, now, "+")
    assert circuit.state is CLOSED
    assert not circuit.refuses


@pytest.mark.parametrize("mark", "x.")
def test_after_failures_any_answer_of_the_probe_closes(circuit: Circuit, mark: str) -> None:
    """The endpoint does not fail any more; what it rejects counts on."""
    answers(circuit, "+----", now=0.0)
    probe(circuit, 10.0, mark)
    assert circuit.state is CLOSED


def test_a_late_2xx_closes_a_circuit_that_opened_for_rejections(circuit: Circuit) -> None:
    """It was under way when the run of rejections seemed to be one."""
    answers(circuit, "+xxxx", now=100.0)
    circuit.accepted(probe=False, now=100.5)
    assert circuit.state is CLOSED


def test_what_an_earlier_process_knew_is_taken_over(circuit: Circuit) -> None:
    """A delivery that was deferred for rejections tells of a 2xx before."""
    circuit.trust()
    answers(circuit, "xxxx")
    assert circuit.state is OPEN


def test_each_change_is_told_once(circuit: Circuit, changes: list[CircuitState]) -> None:
    """Operators see the state as a gauge and in the log."""
    answers(circuit, "--------")
    assert changes == [OPEN]
