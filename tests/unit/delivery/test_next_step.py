"""The decision what an endpoint does next, case by case."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from consumer.delivery.scheduling.circuit import CircuitState
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import Endpoint, QueueState
from consumer.delivery.scheduling.learned_rate import LearnedRate
from consumer.delivery.scheduling.next_step import STALE, Start, Step, next_step
from consumer.delivery.scheduling.retry_policy import Overflow
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.hooks.table import RateLimit
from support.fakes import make_hook
from support.scheduler_harness import CIRCUIT, LIMITS, SchedulerHarness

BOUNDS = replace(LIMITS, per_hook=3, per_host=4, max_wait=60.0)
NOW = 5_000.0
BEFORE = NOW - 1.0


def waiting_endpoint() -> Endpoint:
    """An endpoint for which one delivery waits since a second, and nothing holds it back."""
    bench = SchedulerHarness(BOUNDS)
    endpoint = bench.scheduler.endpoint(make_hook())
    endpoint.join(bench.delivery(make_hook()), BEFORE)
    return endpoint


def spent(endpoint: Endpoint, *, host: bool = False) -> None:
    """The hook's or the host's rate limit of one request a second is used up until `NOW + 0.5`."""
    bucket = TokenBucket(RateLimit(1, 1.0, 1))
    bucket.take(NOW - 0.5)
    if host:
        endpoint.host.bucket = bucket
    else:
        endpoint.bucket = bucket


def learnt(endpoint: Endpoint) -> None:
    """The receiver takes one request a second, and had one half a second ago."""
    endpoint.learned_rate = LearnedRate(NOW - 0.5, 1.0)
    endpoint.learned_rate.take(NOW - 0.5)


def opened(endpoint: Endpoint, pattern: str) -> None:
    """The circuit got these results: `+` is a 2xx, `-` a failure, `x` a rejection."""
    circuit = endpoint.circuit
    methods = {"+": circuit.accepted, "-": circuit.failed, "x": circuit.rejected}
    for mark in pattern:
        methods[mark](probe=False, now=BEFORE)
    assert circuit.state is CircuitState.OPEN


def in_flight(hook: int, host: int) -> Callable[[Endpoint], None]:
    """So many attempts of the hook and of all hooks at its host are under way."""

    def change(endpoint: Endpoint) -> None:
        endpoint.in_flight, endpoint.host.in_flight = hook, host

    return change


def paused(seconds: float) -> Callable[[Endpoint], None]:
    """The receiver asked for a pause that lasts for so long from `NOW` on."""
    return lambda endpoint: setattr(endpoint, "paused_until", NOW + seconds)


CASES: list[tuple[str, Callable[[Endpoint], object], int, str]] = [
    ("nothing holds it back", in_flight(0, 0), 8, "Start()"),
    ("nothing waits", lambda e: e.waiting.clear(), 8, "Wait(IDLE, 0.000)"),
    ("its slots are taken", in_flight(3, 3), 8, "Wait(IDLE, 0.000)"),
    ("as many slots as are free", in_flight(2, 2), 2, "Wait(READY, 0.000)"),
    ("this process may start none", in_flight(0, 0), 0, "Wait(READY, 0.000)"),
    ("as many as are free at its host", in_flight(1, 3), 8, "Wait(BLOCKED_ON_HOST, 0.000)"),
    ("a short pause", paused(5.0), 8, "Wait(BLOCKED_ON_RATE, 5.000)"),
    ("a long pause", paused(5.1), 8, "Overflow(cause='retry_after')"),
    ("disabled by 410", paused(inf), 8, "Overflow(cause='retry_after')"),
    ("failures", lambda e: opened(e, "----"), 8, "Overflow(cause='circuit_open')"),
    ("rejections", lambda e: opened(e, "+xxxx"), 8, "Overflow(cause='refusing')"),
    ("its rate", spent, 8, "Wait(BLOCKED_ON_RATE, 0.500)"),
    ("the rate that its receiver takes", learnt, 8, "Wait(BLOCKED_ON_RATE, 0.500)"),
    ("the host's rate", lambda e: spent(e, host=True), 8, "Wait(BLOCKED_ON_HOST, 0.500)"),
]


@pytest.mark.parametrize(
    ("change", "free_slots", "expected"),
    [case[1:] for case in CASES],
    ids=[case[0] for case in CASES],
)
def test_each_case_has_its_step(
    change: Callable[[Endpoint], object], free_slots: int, expected: str
) -> None:
    """Whatever holds an endpoint back alone decides its next step."""
    endpoint = waiting_endpoint()
    change(endpoint)
    assert repr(next_step(endpoint, NOW, BOUNDS, free_slots)) == expected


def test_a_delivery_that_waited_too_long_overflows_before_anything_else() -> None:
    """A delivery that has waited for too long overflows even if slots are taken, and is told from
    a whole queue that overflows.
    """
    endpoint = waiting_endpoint()
    in_flight(3, 3)(endpoint)
    later = BEFORE + BOUNDS.max_wait + 0.1
    assert next_step(endpoint, later, BOUNDS, 8) is STALE
    assert repr(STALE) == "Overflow(cause='crowded')"


def test_the_probe_of_an_open_circuit_starts_when_it_is_due() -> None:
    """An open circuit holds nothing back once its waiting time is over."""
    endpoint = waiting_endpoint()
    opened(endpoint, "----")
    assert isinstance(next_step(endpoint, BEFORE + CIRCUIT.open_for - 0.1, BOUNDS, 8), Overflow)
    assert isinstance(next_step(endpoint, BEFORE + CIRCUIT.open_for, BOUNDS, 8), Start)


@pytest.mark.parametrize("change", [case[1] for case in CASES], ids=[case[0] for case in CASES])
def test_the_question_changes_nothing(change: Callable[[Endpoint], object]) -> None:
    """Asked again, `next_step` gives the same answer, and endpoint and host print as before."""
    endpoint = waiting_endpoint()
    change(endpoint)
    before = repr(endpoint), repr(list(endpoint.waiting))
    steps: set[str] = {repr(next_step(endpoint, NOW, BOUNDS, 8)) for _ in range(3)}
    assert len(steps) == 1
    assert (repr(endpoint), repr(list(endpoint.waiting))) == before


def test_a_delivery_that_nothing_holds_back_costs_no_object() -> None:
    """The steps of the fast path are made once."""
    endpoint = waiting_endpoint()
    steps: list[Step] = [next_step(endpoint, NOW, BOUNDS, free) for free in (8, 8, 0, 0)]
    assert steps[0] is steps[1]
    assert steps[2] is steps[3]


def test_state_prints_what_a_failing_test_must_show() -> None:
    """Deliveries and endpoints print their hook, counts, circuit, pause and rate limits."""
    endpoint = waiting_endpoint()
    endpoint.bucket = TokenBucket(RateLimit(2, 1.0, 4))
    delivery: Delivery = endpoint.waiting[0]
    delivery.attempts, delivery.last_status = 2, "503"
    assert repr(delivery) == (
        "Delivery('h1-1', 'h1', attempts=2, last_status='503', queued at 4999.000)"
    )
    assert repr(endpoint) == (
        "Endpoint('h1', IDLE, in_flight=0, waiting=1, Circuit(closed, failures=0, successes=0, "
        "rejections in a row=0), paused_until=-inf, TokenBucket(burst=4, interval=0.5, "
        "next at -inf), None, HostState(in_flight=0, blocked=[], None))"
    )
    assert endpoint.queue_state is QueueState.IDLE
