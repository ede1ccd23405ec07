"""The decision how many deliveries an endpoint takes out of the overflow topic, case by case."""

from collections.abc import Callable
from dataclasses import replace
from math import inf

import pytest

from consumer.delivery.scheduling.circuit import CircuitState
from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.overflow_room import overflow_room
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.hooks.table import RateLimit
from support.fakes import make_hook
from support.scheduler_harness import CIRCUIT, LIMITS, SchedulerHarness

BOUNDS = replace(LIMITS, per_hook=16, waiting=80)
NOW = 5_000.0


def make_endpoint(waiting: int = 0) -> Endpoint:
    """An endpoint that nothing holds back, with so many deliveries in its queue."""
    bench = SchedulerHarness(BOUNDS)
    endpoint = bench.scheduler.endpoint(make_hook())
    for _ in range(waiting):
        endpoint.join(bench.delivery(make_hook()), NOW)
    return endpoint


def opened(endpoint: Endpoint, seconds_ago: float) -> None:
    """The circuit opened so long before `NOW`."""
    for _ in range(CIRCUIT.min_volume):
        endpoint.circuit.failed(probe=False, now=NOW - seconds_ago)
    assert endpoint.circuit.state is CircuitState.OPEN


def probing(endpoint: Endpoint) -> None:
    """The probe of the open circuit is under way."""
    opened(endpoint, CIRCUIT.open_for)
    endpoint.circuit.begin()
    assert endpoint.circuit.state is CircuitState.HALF_OPEN


def limited(requests: int) -> Callable[[Endpoint], None]:
    """The hook's rate limit, in requests a second."""
    return lambda e: setattr(e, "bucket", TokenBucket(RateLimit(requests, 1.0, 1)))


def paused(seconds: float) -> Callable[[Endpoint], None]:
    """The receiver asked for a pause that lasts for so long from `NOW` on."""
    return lambda e: setattr(e, "paused_until", NOW + seconds)


def under_way(seconds_ago: float, answered: float, waiting: int) -> Callable[[Endpoint], None]:
    """An attempt began so long before `NOW`, another was answered then, and so many wait."""

    def change(endpoint: Endpoint) -> None:
        bench = SchedulerHarness(BOUNDS)
        endpoint.join(bench.delivery(make_hook()), NOW - seconds_ago)
        endpoint.waiting.clear()
        endpoint.in_flight = 1
        for _ in range(waiting):
            endpoint.join(bench.delivery(make_hook()), NOW - seconds_ago)
        if answered < seconds_ago:
            endpoint.note_result(NOW - answered)

    return change


def disabled(endpoint: Endpoint) -> None:
    """Several 410 disabled the hook."""
    endpoint.disabled_by_410, endpoint.paused_until = True, inf


def room(endpoint: Endpoint, *, is_busy: bool = False, is_over: bool = False) -> tuple[int, float]:
    """The decision; the time until the next look is rounded."""
    number, again_in = overflow_room(endpoint, NOW, BOUNDS, is_busy=is_busy, is_over=is_over)
    return number, round(again_in, 3)


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        pytest.param(lambda _: None, (16, 0.01), id="nothing holds it back"),
        pytest.param(under_way(0.9, 0.9, 1), (15, 0.01), id="an answer that takes its time"),
        pytest.param(under_way(9.0, 0.9, 1), (15, 0.01), id="slow answers"),
        pytest.param(under_way(1.1, 1.1, 1), (0, 0.05), id="no answers"),
        pytest.param(under_way(1.1, 1.1, 0), (16, 0.01), id="one without an answer"),
        pytest.param(disabled, (64, 0.05), id="disabled by 410"),
        pytest.param(paused(0.3), (0, 0.3), id="a short pause"),
        pytest.param(paused(0.01), (0, 0.05), id="a pause that ends now"),
        pytest.param(paused(900.0), (0, 1.0), id="a long pause"),
        pytest.param(lambda e: opened(e, 1.0), (0, 1.0), id="an open circuit"),
        pytest.param(lambda e: opened(e, CIRCUIT.open_for - 0.2), (0, 0.2), id="a probe soon"),
        pytest.param(lambda e: opened(e, CIRCUIT.open_for), (1, 0.05), id="a probe is due"),
        pytest.param(probing, (0, 0.05), id="a probe is under way"),
        pytest.param(limited(5), (5, 0.05), id="a second's work at its rate"),
        pytest.param(limited(500), (256, 0.05), id="at a high rate less"),
        pytest.param(
            lambda e: setattr(e, "bucket", TokenBucket(RateLimit(1, 60.0, 1))),
            (1, 0.05),
            id="one at least",
        ),
    ],
)
def test_each_case_has_its_room(
    change: Callable[[Endpoint], object], expected: tuple[int, float]
) -> None:
    """An endpoint takes out of the overflow topic what it will start within a second, nothing
    while it is paused, gives no answers or its circuit is open, and one delivery as a probe.
    """
    endpoint = make_endpoint()
    change(endpoint)
    assert room(endpoint) == expected


@pytest.mark.parametrize(("waiting", "expected"), [(0, 16), (1, 15), (8, 8), (9, 0), (20, 0)])
def test_a_queue_is_filled_up_once_half_of_it_is_gone(waiting: int, expected: int) -> None:
    """An endpoint takes nothing while its queue holds more than half of a second's work, and then
    as many as are missing.
    """
    assert room(make_endpoint(waiting)) == (expected, 0.01)


def test_an_unlimited_endpoint_takes_an_eighth_of_all_queues() -> None:
    """An endpoint without a rate limit takes an eighth of all queues, if that is more than its
    attempts at once: its queue is not empty before more is read.
    """
    endpoint = make_endpoint()
    limits = replace(BOUNDS, waiting=1_024)
    assert overflow_room(endpoint, NOW, limits, is_busy=False, is_over=False) == (128, 0.01)


def test_a_probe_that_waits_is_enough() -> None:
    """An open circuit takes no second probe while one waits in its queue."""
    endpoint = make_endpoint(waiting=1)
    opened(endpoint, CIRCUIT.open_for)
    assert room(endpoint) == (0, 0.05)


def test_a_full_process_takes_a_few() -> None:
    """While the queues of all endpoints are half full, an endpoint takes 32 deliveries at most, so
    that what is taken does not overflow again.
    """
    endpoint = make_endpoint()
    limited(500)(endpoint)
    assert room(endpoint, is_busy=True) == (32, 0.05)
    limited(5)(endpoint)
    assert room(endpoint, is_busy=True) == (5, 0.05)


@pytest.mark.parametrize("change", [paused(900.0), lambda e: opened(e, 1.0)])
def test_what_is_over_leaves_though_nothing_is_sent(change: Callable[[Endpoint], object]) -> None:
    """What may have expired is taken in slices while its endpoint gets nothing, to become dead
    letters.
    """
    endpoint = make_endpoint()
    change(endpoint)
    assert room(endpoint, is_over=True) == (64, 1.0)
    assert room(make_endpoint(), is_over=True) == (16, 0.01)
