"""The demo's numbers are the metrics' own, summed for people."""

import math
from bisect import bisect_left

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.demo.numbers import Rate, quantile, read_numbers
from consumer.metrics import LATENCY_BUCKETS, Metrics
from consumer.reasons import Reason
from consumer.settings import OwnTopics


def test_they_are_what_the_metrics_say() -> None:
    """The demo shows the metrics' outcomes by hook, events by trigger, dead letters by reason, and
    its gauges.
    """
    metrics = Metrics("0")
    metrics.events("push_click").matched()
    metrics.events("push_click").unmatched()
    hook = metrics.hook("a")
    hook.delivered()
    hook.latency(0.02)
    hook.retried()
    hook.overflowed()
    hook.dead_lettered(Reason.REJECTED)
    hook.circuit(open=True)
    metrics.stream.set_in_flight_source(lambda: 7)
    metrics.stream.set_lag_source(
        lambda: {
            ("hookstream.retry.2s", 0): 3,
            ("hookstream.overflow", 1): 4,
            ("push-click", 0): 100,
        }
    )
    numbers = read_numbers(metrics, ["a", "b"], OwnTopics("hookstream"))
    assert numbers.events == {"push_click": 2}
    assert (numbers.delivered, numbers.retried, numbers.dead_lettered) == (1, 1, 1)
    assert (numbers.overflowed, numbers.in_flight, numbers.waiting) == (1, 7, 7)
    assert numbers.reasons == {"rejected": 1}
    assert list(numbers.hooks) == ["a", "b"]
    assert numbers.hooks["a"].circuit_open
    assert 0.01 < numbers.hooks["a"].p50 < 0.05
    assert math.isnan(numbers.hooks["b"].p99)


def test_before_the_daemon_is_built_there_are_zeros() -> None:
    """Before the daemon's parts are built the demo shows zeros."""
    numbers = read_numbers(Metrics("0"), (), OwnTopics("hookstream"))
    assert (numbers.in_flight, numbers.waiting, numbers.delivered) == (0, 0, 0)


def test_quantile_is_linear_within_a_bucket() -> None:
    """A quantile is interpolated within its bucket as Prometheus' `histogram_quantile` does: the
    fifth of ten in (1, 2] is in the middle.
    """
    assert quantile((1.0, 2.0), (0, 10, 0), 0.5) == pytest.approx(1.5)
    assert quantile((1.0, 2.0), (0, 0, 4), 0.5) == 2.0, "beyond the last edge: the last edge"


@given(st.lists(st.floats(0, 30_000), min_size=1), st.floats(0.01, 1))
def test_quantile_is_in_the_true_one_s_bucket(seconds: list[float], q: float) -> None:
    """The estimated quantile never leaves the bucket that holds the true one."""
    metrics = Metrics("0")
    for one in seconds:
        metrics.hook("a").latency(one)
    estimate = quantile(LATENCY_BUCKETS, metrics.hook("a").latencies.counts, q)
    true = sorted(seconds)[math.ceil(q * len(seconds) - 1e-9) - 1]
    bucket = bisect_left(LATENCY_BUCKETS, true)
    low = LATENCY_BUCKETS[bucket - 1] if bucket else 0.0
    assert low - 1e-9 <= estimate <= LATENCY_BUCKETS[bucket] + 1e-9


def test_rate_is_that_of_the_last_seconds() -> None:
    """The rate is that of the last seconds only, and 0 without events."""
    rate = Rate()
    assert rate.update(0.0, 0) == 0.0
    assert rate.update(1.0, 100) == pytest.approx(100)
    for moment, count in ((2.0, 100), (3.0, 100), (4.0, 100)):
        last = rate.update(moment, count)
    assert last == 0.0
    assert list(rate.history) == [0.0, 100.0, 50.0, 0.0, 0.0]
