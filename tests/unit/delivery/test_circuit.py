"""The circuit breaker of an endpoint: when it opens, what it lets through, and when it closes."""

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
    """The circuit opens when half of at least four attempts failed, at a failure and never at a
    success.
    """
    answers(circuit, pattern)
    assert circuit.state is state


def test_a_closed_circuit_allows_everything(circuit: Circuit) -> None:
    """A closed circuit allows every attempt, and none of them is a probe."""
    assert circuit.wait(100.0) == 0.0
    assert not circuit.begin()


def test_an_open_circuit_allows_nothing_until_its_time(circuit: Circuit) -> None:
    """An open circuit allows no attempt until its time, and `wait` says how long that is."""
    answers(circuit, "----", now=100.0)
    assert circuit.wait(100.0) == 10.0
    assert circuit.wait(109.0) == 1.0
    assert circuit.wait(110.0) == 0.0


def test_one_probe_at_a_time(circuit: Circuit, changes: list[CircuitState]) -> None:
    """A half-open circuit allows one probe at a time."""
    answers(circuit, "----")
    assert circuit.begin()
    assert circuit.state is HALF_OPEN
    assert circuit.wait(10_000.0) > 0.0
    circuit.accepted(probe=True, now=115.0)
    assert circuit.wait(115.0) == 0.0
    assert changes == [OPEN, HALF_OPEN, CLOSED]


def test_probes_that_fail_double_the_wait_up_to_a_bound(circuit: Circuit) -> None:
    """Each failed probe doubles the wait (10, 20, 40, ... seconds) up to five minutes, and a
    success resets it.
    """
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
    """Late answers to attempts from before the opening do not change an open circuit."""
    answers(circuit, "----", now=100.0)
    record(circuit, mark, now=105.0)
    assert (circuit.state, circuit.wait(105.0)) == (OPEN, 5.0)
    circuit.begin()
    record(circuit, mark, now=111.0)
    assert circuit.state is HALF_OPEN


def test_closing_forgets_the_failures(circuit: Circuit) -> None:
    """A circuit that closes forgets its failures, so the first failure after it does not open it
    again.
    """
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
    """Failures are forgotten after one to two windows."""
    answers(circuit, "---", now=100.0)
    answers(circuit, "-", now=100.0 + later)
    assert circuit.state is state


def test_successes_of_the_window_before_count_too(circuit: Circuit) -> None:
    """Successes of the previous window count, so a short burst of failures after them does not open
    the circuit.
    """
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
    """After a 2xx the circuit opens at four rejections in a row, or at three times as many if two
    of three are rejected as a rule; without a 2xx before them it does not.
    """
    answers(circuit, pattern)
    assert circuit.state is state
    assert circuit.refuses is (state is OPEN)


@pytest.mark.parametrize("share", [0.3, 0.5, 0.8, 0.9])
def test_a_receiver_that_rejects_many_by_design_keeps_the_circuit_closed(share: float) -> None:
    """Of 100,000 random answers with a fixed share of rejections only a few at the begin open the
    circuit.
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
    """A receiver that begins to reject everything costs no more deliveries than the volume, for the
    second time too.
    """
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
    """While every probe is rejected the circuit stays open with growing waits; a failure in between
    changes nothing, a 2xx closes it.
    """
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
    """A circuit that opened for failures closes at any answer to the probe, rejections included."""
    answers(circuit, "+----", now=0.0)
    probe(circuit, 10.0, mark)
    assert circuit.state is CLOSED


def test_a_late_2xx_closes_a_circuit_that_opened_for_rejections(circuit: Circuit) -> None:
    """A late 2xx closes a circuit that opened for rejections."""
    answers(circuit, "+xxxx", now=100.0)
    circuit.accepted(probe=False, now=100.5)
    assert circuit.state is CLOSED


def test_what_an_earlier_process_knew_is_taken_over(circuit: Circuit) -> None:
    """A deferred delivery whose headers tell of an earlier 2xx lets the circuit open for
    rejections.
    """
    circuit.trust()
    answers(circuit, "xxxx")
    assert circuit.state is OPEN


def test_each_change_is_told_once(circuit: Circuit, changes: list[CircuitState]) -> None:
    """Each change of the circuit's state is reported once."""
    answers(circuit, "--------")
    assert changes == [OPEN]


def test_the_rate_of_answers_is_that_of_two_windows_at_least(circuit: Circuit) -> None:
    """The rate of the answers that were no failures is counted over two windows, of which the
    running one may just have begun, and an endpoint without answers for a window has none.
    """
    answers(circuit, "+" * 59 + "-x", now=100.0)
    assert circuit.answers_per_second(100.0) == 60 / 60.0
    assert circuit.answers_per_second(159.0) == 60 / 60.0
    assert circuit.answers_per_second(160.0) == 0.0
