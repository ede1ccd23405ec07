"""The rate limit: never more than promised, never less than promised."""

from fractions import Fraction

from hypothesis import given
from hypothesis import strategies as st

from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.hooks.table import RateLimit

LIMITS = st.builds(
    RateLimit,
    requests=st.integers(1, 200),
    per=st.sampled_from([0.1, 1.0, 7.0, 60.0, 3600.0]),
    burst=st.integers(1, 100),
)
STEPS = st.lists(st.floats(0.0, 3.0), max_size=80)
"""Seconds between two arrivals, in intervals of the limit."""
SHARES = st.sampled_from([1.0, 0.75, 0.5, 1 / 3, 0.01])
ROUNDING = 1e-6
"""Seconds, or a share of a request, that floating point may be off by."""


@given(limit=LIMITS, share=SHARES, start=st.floats(0.0, 1e7), steps=STEPS)
def test_no_window_holds_more_than_its_budget(
    limit: RateLimit, share: float, start: float, steps: list[float]
) -> None:
    """In any window of w seconds a token bucket lets at most burst + w * rate through, whatever the
    arrivals.
    """
    bucket, now, granted = TokenBucket(limit, share), start, list[float]()
    for step in steps:
        now += step * bucket.interval
        if bucket.wait(now) == 0.0:
            bucket.take(now)
            granted.append(now)
    rate = limit.requests / limit.per * share
    burst = max(1, int(limit.burst * share))
    for first, begin in enumerate(granted):
        for last in range(first, len(granted)):
            window = granted[last] - begin + ROUNDING
            assert last - first + 1 <= burst + window * rate + ROUNDING


@given(limit=LIMITS, share=SHARES, seconds=st.integers(0, 100))
def test_a_greedy_sender_gets_all_of_it(limit: RateLimit, share: float, seconds: int) -> None:
    """A sender that sends whenever `wait` allows gets burst + t * rate through after t seconds,
    less one at most.
    """
    bucket, begin, sent = TokenBucket(limit, share), 50.0, 0
    now = begin
    end = begin + bucket.interval * seconds
    while now <= end:
        wait = bucket.wait(now)
        if wait:
            now += wait
            continue
        bucket.take(now)
        sent += 1
    due = max(1, int(limit.burst * share)) + seconds
    assert due - 1 <= sent <= due


@given(limit=LIMITS, idle=st.floats(0.0, 1e6))
def test_rest_saves_up_one_burst_and_no_more(limit: RateLimit, idle: float) -> None:
    """After any idle time at most one burst goes at once."""
    bucket, now, sent = TokenBucket(limit), 10.0 + idle, 0
    while bucket.wait(now) == 0.0:
        bucket.take(now)
        sent += 1
    assert sent == limit.burst


@given(limit=LIMITS, parts=st.lists(st.integers(1, 12), min_size=1, max_size=6))
def test_the_shares_of_replicas_add_up_to_the_limit(limit: RateLimit, parts: list[int]) -> None:
    """Replicas that divide the partitions among them keep the average rate together."""
    shares = [Fraction(part, sum(parts)) for part in parts]
    rates = [1 / TokenBucket(limit, float(share)).interval for share in shares]
    assert sum(rates) <= limit.requests / limit.per * (1 + ROUNDING)


@given(limit=LIMITS, share=SHARES)
def test_a_new_share_counts_from_now_on(limit: RateLimit, share: float) -> None:
    """A rebalance grants no second burst: what was sent before it still counts."""
    bucket = TokenBucket(limit)
    while bucket.wait(5.0) == 0.0:
        bucket.take(5.0)
    bucket.scale(share, 5.0)
    assert bucket.wait(5.0) > 0.0


@given(
    limit=st.builds(
        RateLimit,
        requests=st.integers(1, 200),
        per=st.sampled_from([1.0, 7.0, 60.0]),
        burst=st.sampled_from([12, 60]),  # every share of it is whole
    ),
    parts=st.lists(st.sampled_from([(4, 4, 4), (6, 6, 0), (12, 0, 0), (1, 1, 10)]), max_size=6),
    steps=st.lists(st.floats(0.0, 15.0), min_size=6, max_size=6),
)
def test_replicas_that_come_and_go_send_no_second_burst(
    limit: RateLimit, parts: list[tuple[int, int, int]], steps: list[float]
) -> None:
    """Three greedy replicas whose shares change, some of them new: in any window no more than the
    limit allows one.
    """
    now, granted = 100.0, list[float]()
    replicas: dict[int, TokenBucket] = {0: TokenBucket(limit)}
    for shares, step in zip([(12, 0, 0), *parts], steps, strict=False):
        for number, part in enumerate(shares):
            if not part:
                replicas.pop(number, None)
            elif number in replicas:
                replicas[number].scale(part / 12, now)
            else:
                replicas[number] = TokenBucket(limit, part / 12, empty_at=now)
        end = now + 3 * step * limit.per / limit.requests
        for bucket in replicas.values():
            granted += _send_all(bucket, now, end)
        now = end
    lowest, rate = float("inf"), limit.requests / limit.per
    for number, at in enumerate(sorted(granted)):
        lowest = min(lowest, number - rate * at)
        assert number - rate * at - lowest + 1 <= limit.burst + 1e-3


def _send_all(bucket: TokenBucket, now: float, end: float) -> list[float]:
    """Send whenever it is allowed; the times."""
    sent = []
    while (now := now + bucket.wait(now)) < end:
        bucket.take(now)
        sent.append(now)
    return sent
