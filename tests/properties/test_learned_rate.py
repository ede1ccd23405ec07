"""The learnt rate beside receivers with any limit: few requests in vain, and little time lost."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.delivery.scheduling.learned_rate import MAX_BACKOFF_SECONDS
from support.rate_harness import (
    SLOTS,
    Bucket,
    Concurrency,
    RateHarness,
    RequestLimit,
    SlidingWindow,
    Window,
)

LATENCIES = st.sampled_from([0.001, 0.01, 0.1, 0.5, 2.0])
PAUSES = st.sampled_from([0.0, 1.0, 5.0])
SEEDS = st.integers(0, 1_000)
SECONDS = 100
"""Time in which the receiver could take everything, about."""


@st.composite
def limits(draw: st.DrawFn) -> tuple[RequestLimit, float]:
    """A receiver, and the requests a second that it takes."""
    rate = draw(st.sampled_from([3, 10, 60]))
    pause = draw(PAUSES)
    receiver: RequestLimit
    match draw(st.sampled_from(["bucket", "second", "minute", "sliding"])):
        case "bucket":
            receiver = Bucket(rate, rate * draw(st.sampled_from([1, 2, 5])), pause)
        case "second":
            receiver = Window(rate, 1.0, pause)
        case "minute":
            receiver = Window(rate * 60, 60.0)
        case _:
            receiver = SlidingWindow(rate, 1.0, pause)
    return receiver, rate


@settings(max_examples=40)
@given(limit=limits(), latency=LATENCIES, seed=SEEDS)
def test_any_limit_is_found(limit: tuple[RequestLimit, float], latency: float, seed: int) -> None:
    """Whatever limits a receiver, it takes everything, in five times the time that was possible at
    the worst (few requests a second, at uneven times, and long pauses), and it refuses a tenth of
    the requests beyond the first ones.
    """
    receiver, rate = limit
    possible = min(rate, SLOTS / latency)
    deliveries = int(possible * SECONDS)
    harness = RateHarness(receiver, deliveries=deliveries, latency=latency, seed=seed)
    harness.run()
    assert len(harness.taken) == deliveries
    assert len(harness.refused) <= 2 * SLOTS + 0.1 * deliveries
    assert harness.taken[-1] <= 5 * SECONDS


@settings(max_examples=20)
@given(
    rate=st.sampled_from([0.1, 1, 20, 500]),
    pause=st.sampled_from([0.0, 1.0, 60.0]),
    latency=LATENCIES,
    seed=SEEDS,
)
def test_a_receiver_without_a_burst_is_not_flooded(
    rate: float, pause: float, latency: float, seed: int
) -> None:
    """A receiver that refuses each request that comes a little early takes everything in the end,
    and refuses a sixth of the requests beyond the first ones, whatever pause it asks for.
    """
    deliveries = int(min(100 + 10 * rate, 1_000))
    harness = RateHarness(Bucket(rate, 1, pause), deliveries=deliveries, latency=latency, seed=seed)
    harness.run()
    assert len(harness.taken) == deliveries
    assert len(harness.refused) <= 2 * SLOTS + deliveries / 6


@pytest.mark.parametrize("pause", [0.0, 1.0, 60.0])
@pytest.mark.parametrize("latency", [0.001, 2.0])
def test_a_receiver_that_refuses_everything_is_hardly_asked(pause: float, latency: float) -> None:
    """A receiver that always answers 429 gets three requests a minute at most."""
    harness = RateHarness(Window(0, 1.0, pause), deliveries=5_000, latency=latency)
    harness.run(3_600.0)
    assert not harness.taken
    assert len(harness.refused) <= 4 * SLOTS
    late = [at for at in harness.refused if at > 1_000.0]
    assert len(late) <= 3 * 2_600.0 / MAX_BACKOFF_SECONDS


@pytest.mark.parametrize("pause", [0.0, 1.0])
@pytest.mark.parametrize("latency", [0.005, 0.1])
def test_a_limit_that_falls_is_followed_at_once(pause: float, latency: float) -> None:
    """A receiver whose limit falls to a tenth refuses a tenth of the requests, and takes as many as
    it can.
    """
    receiver = Bucket(lambda now: 50.0 if now < 100.0 else 5.0, 50.0, pause)
    harness = RateHarness(receiver, deliveries=10_000, latency=latency)
    harness.run(200.0)
    refused = [at for at in harness.refused if at >= 100.0]
    assert len(refused) <= 50
    assert harness.rate(110.0, 200.0) >= 4.0


@pytest.mark.parametrize("pause", [0.0, 1.0, 5.0])
def test_a_limit_that_rises_is_found_again(pause: float) -> None:
    """A receiver whose limit rises tenfold gets the tenfold within two minutes."""
    receiver = Bucket(lambda now: 10.0 if now < 100.0 else 100.0, 100.0, pause)
    harness = RateHarness(receiver, deliveries=20_000)
    harness.run(240.0)
    assert harness.rate(50.0, 100.0) <= 13.0
    assert harness.rate(200.0, 240.0) >= 50.0


@pytest.mark.parametrize("replicas", [2, 3, 8])
@pytest.mark.parametrize("latency", [0.005, 0.2])
def test_replicas_share_one_limit(replicas: int, latency: float) -> None:
    """Replicas that know nothing of each other use the limit that they share, and none starves."""
    harness = RateHarness(
        Bucket(50.0, 50.0, 1.0), deliveries=18_000, latency=latency, replicas=replicas
    )
    waiting = 18_000 // replicas
    harness.run(300.0)
    assert harness.rate(50.0, 300.0) >= 40.0
    assert len(harness.refused) <= (SLOTS + 40) * replicas
    for sender in harness.senders:
        assert waiting - sender.waiting >= 0.1 * 300 * 50 / replicas


@pytest.mark.parametrize("requests", [3, 20])
def test_a_bound_on_concurrency_is_found_as_a_rate(requests: int) -> None:
    """A receiver that takes few requests at once gets about as many as it answers."""
    harness = RateHarness(Concurrency(requests, 0.0), deliveries=5_000, latency=0.2)
    harness.run()
    assert len(harness.refused) <= 2 * SLOTS + 100
    assert harness.taken[-1] <= 2.0 * 5_000 * 0.2 / requests


@pytest.mark.parametrize("burst", [5, 50])
@pytest.mark.parametrize("per_second", [20.0, 40.0])
def test_a_demand_below_the_limit_is_not_held_back(per_second: float, burst: float) -> None:
    """Deliveries that come at random and below the limit are not delayed by a rate for long."""
    harness = RateHarness(
        Bucket(50.0, burst, 1.0), deliveries=4_000, latency=0.02, per_second=per_second
    )
    harness.run()
    assert harness.taken[-1] <= 4_000 / per_second * 1.1 + 10.0
    assert len(harness.refused) <= 40


def test_five_thousand_at_once_behind_fifty_a_second() -> None:
    """Of 5,000 deliveries at once to a receiver that takes 50 a second and answers others with 429
    and `Retry-After: 1`, all are made within 130 seconds, at 1.05 attempts each.
    """
    receivers: list[RequestLimit] = [
        Bucket(50.0, 50.0, 1.0), Window(50, 1.0), SlidingWindow(50, 1.0, 1.0),
    ]  # fmt: skip
    for receiver in receivers:
        harness = RateHarness(receiver, deliveries=5_000)
        harness.run()
        assert harness.taken[-1] <= 130.0
        assert harness.attempts <= 5_000 * 1.05
