"""The learnt rate of an endpoint: what each answer does to it."""

import pytest

from consumer.delivery.scheduling.learned_rate import FIRST_REQUESTS_PER_SECOND, LearnedRate

NOW = 100.0


def refused(asked: float = 1.0) -> LearnedRate:
    """A rate whose first refusal came now."""
    rate = LearnedRate(NOW)
    rate.refused(NOW - 0.1, NOW, asked)
    return rate


def send(rate: LearnedRate, now: float, seconds: float) -> float:
    """Send whenever it is allowed, each request accepted at once; returns the time afterwards."""
    end = now + seconds
    while (now := now + rate.wait(now)) < end:
        rate.take(now)
        rate.accepted()
    return now


def test_nothing_goes_during_a_pause() -> None:
    """After a refusal nothing goes for the time that the receiver asked for, and then one request
    after the other.
    """
    rate = refused(2.0)
    assert rate.wait(NOW) == pytest.approx(2.0)
    assert rate.wait(NOW + 2.0) == 0.0
    rate.take(NOW + 2.0)
    assert rate.wait(NOW + 2.0) == pytest.approx(1 / FIRST_REQUESTS_PER_SECOND)


def test_a_refusal_without_a_time_pauses_for_a_second() -> None:
    """A refusal that names no time leads to a pause of a second."""
    assert refused(0.0).wait(NOW) == pytest.approx(1.0)


def test_refusals_of_earlier_attempts_are_one() -> None:
    """Refusals of attempts that began before the end of the pause change nothing more."""
    rate = refused()
    before = rate.per_second
    for began in (NOW - 0.1, NOW, NOW + 0.9):
        rate.refused(began, NOW + 3.0, 60.0)
    assert rate.per_second == before
    assert rate.wait(NOW + 1.0) == 0.0


def test_the_rate_is_searched_by_doubling() -> None:
    """Between the first and the second refusal the rate doubles each second."""
    rate = refused()
    now = send(rate, NOW + 1.0, 1.0)
    assert rate.per_second == pytest.approx(2 * FIRST_REQUESTS_PER_SECOND, rel=0.1)
    send(rate, now, 2.0)
    assert rate.per_second == pytest.approx(8 * FIRST_REQUESTS_PER_SECOND, rel=0.1)


def test_a_first_rate_may_be_known() -> None:
    """A search begins with the rate that the endpoint is known to have taken."""
    assert LearnedRate(NOW, 300.0).per_second == pytest.approx(300.0)


def test_few_accepted_requests_are_a_measurement() -> None:
    """If few requests were accepted between two refusals, their number in the time is the rate,
    the pause included.
    """
    rate = refused(1.0)
    for number in range(4):
        rate.take(NOW + 1.0 + number / 10)
        rate.accepted()
    rate.refused(NOW + 2.0, NOW + 2.0, 1.0)
    assert rate.per_second == pytest.approx(0.95 * 4 / 2.0)


def test_a_known_rate_loses_a_part_and_grows_back() -> None:
    """A rate that was taken for a while loses a tenth to a refusal, stays for five pauses, and is
    tenfold within a minute and a half.
    """
    rate = refused()
    now = send(rate, NOW + 1.0, 3.0)
    rate.refused(now, now, 1.0)
    now = send(rate, now + 1.0, 15.0)
    known = rate.per_second
    rate.refused(now, now, 1.0)
    assert rate.per_second == pytest.approx(0.9 * known)
    now = send(rate, now + 1.0, 5.0)
    assert rate.per_second == pytest.approx(0.9 * known, rel=0.01)
    send(rate, now, 75.0)
    assert rate.per_second >= 9 * known


def test_the_end_of_a_search_takes_back_what_it_was_too_far() -> None:
    """A refusal that ends a search leaves three fifths of the rate."""
    rate = refused()
    now = send(rate, NOW + 1.0, 2.0)
    found = rate.per_second
    rate.refused(now, now, 1.0)
    assert rate.per_second == pytest.approx(0.6 * found)


@pytest.mark.parametrize(("seconds", "part"), [(0.5, 0.5), (7.0, 0.9)])
def test_a_rate_that_was_soon_refused_falls_to_what_was_accepted(
    seconds: float, part: float
) -> None:
    """A refusal soon after the last one lowers the rate to what was accepted in between, the pause
    included, by a half at most and by a tenth at least.
    """
    rate = refused()
    now = send(rate, NOW + 1.0, 3.0)
    rate.refused(now, now, 1.0)
    now = send(rate, now + 1.0, seconds)
    before = rate.per_second
    rate.refused(now, now, 0.0)
    measured = 0.95 * seconds / (seconds + 1.0)
    assert rate.per_second / before == pytest.approx(min(max(measured, 0.5), part), rel=0.05)


def test_a_long_pause_costs_more_of_the_rate() -> None:
    """A known rate loses a fifth if the receiver asks for a pause of more than five seconds, so
    that such pauses are rare.
    """
    rate = refused()
    now = send(rate, NOW + 1.0, 3.0)
    rate.refused(now, now, 1.0)
    now = send(rate, now + 1.0, 15.0)
    known = rate.per_second
    rate.refused(now, now, 60.0)
    assert rate.per_second == pytest.approx(0.8 * known)


def test_a_low_rate_is_kept_after_a_pause() -> None:
    """After a pause that is shorter than the interval of the rate the next request waits for the
    interval.
    """
    rate = refused()
    rate.take(NOW + 10.0)
    rate.accepted()
    rate.refused(NOW + 10.0, NOW + 10.0, 0.5)
    assert rate.per_second == pytest.approx(1.0)
    assert rate.wait(NOW + 10.0) == pytest.approx(1.0)


def test_a_low_rate_is_not_raised_by_each_request() -> None:
    """A known rate of one request in ten seconds grows by a few percent in twenty requests."""
    rate, now = refused(), NOW
    for _ in range(2):
        now += 11.0
        rate.take(now)
        rate.accepted()
        rate.refused(now, now, 1.0)
    before = rate.per_second
    assert before == pytest.approx(0.1, rel=0.2)
    send(rate, now, 20 / before)
    assert 1.02 <= rate.per_second / before <= 1.3


def test_a_rate_that_does_not_limit_does_not_grow() -> None:
    """Requests that come more slowly than the rate allows say nothing about a higher one."""
    rate = refused()
    before = rate.per_second
    for number in range(100):
        rate.take(NOW + 2.0 + number)
        rate.accepted()
    assert rate.per_second == before


def test_refusals_in_a_row_double_the_pause_up_to_a_minute() -> None:
    """Without an accepted request between them each refusal doubles the pause, up to a minute, and
    a longer one that the receiver asks for is kept.
    """
    rate, now, pauses = refused(), NOW, list[float]()
    for _ in range(8):
        now += rate.wait(now)
        rate.take(now)
        rate.refused(now, now, 1.0)
        pauses.append(rate.wait(now))
    assert pauses == pytest.approx([2.0, 4.0, 8.0, 16.0, 32.0, 60.0, 60.0, 60.0])
    now += rate.wait(now)
    rate.refused(now, now, 300.0)
    assert rate.wait(now) == pytest.approx(300.0)


def test_an_accepted_request_ends_the_doubling() -> None:
    """After an accepted request the next refusal pauses for as long as it asks."""
    rate, now = refused(), NOW
    for _ in range(4):
        now += rate.wait(now)
        rate.refused(now, now, 1.0)
    now = send(rate, now, 30.0)
    rate.refused(now, now, 1.0)
    assert rate.wait(now) == pytest.approx(1.0, abs=0.1)


def test_a_receiver_that_takes_requests_again_is_searched_anew() -> None:
    """After pauses in which nothing was accepted a known rate is searched again by doubling."""
    rate = refused()
    now = send(rate, NOW + 1.0, 3.0)
    for _ in range(20):
        rate.refused(now, now, 1.0)
        now += rate.wait(now)
    assert rate.per_second == pytest.approx(1.0)
    send(rate, now, 4.0)
    assert rate.per_second >= 8.0


def test_a_rate_is_over_when_it_has_limited_nothing_for_ten_minutes() -> None:
    """A rate that held back no request for ten minutes after its last pause is to be forgotten, and
    one that does hold back requests is not.
    """
    rate = refused(3_600.0)
    assert not rate.is_over(NOW + 4_100.0)
    assert rate.is_over(NOW + 4_300.0)
    rate = refused()
    now = send(rate, NOW + 1.0, 1.0)
    rate.refused(now, now, 1.0)
    for _ in range(100):
        now += rate.wait(now)
        rate.take(now)
    assert not rate.is_over(now + 500.0)
    rate.take(now + 700.0)
    assert rate.is_over(now + 700.0)


def test_late_timers_cost_a_high_rate_nothing() -> None:
    """At a high rate requests that are late by a few milliseconds are caught up with; a low rate
    lets no two requests go sooner than its interval.
    """
    rate, now, sent = LearnedRate(NOW, 1_000.0), NOW, 0
    while now < NOW + 1.0:
        now += max(rate.wait(now), 0.005)
        while not rate.wait(now):
            rate.take(now)
            sent += 1
    assert sent == pytest.approx(1_000, rel=0.02)
    slow = LearnedRate(NOW, 50.0)
    slow.take(NOW + 0.015)
    assert slow.wait(NOW + 0.015) == pytest.approx(0.02)


def test_a_learned_rate_is_described() -> None:
    """A failing test prints the rate, when the next request may go, and what was accepted."""
    assert repr(refused()) == "LearnedRate(10 a second, next at 101.000, accepted=0, searching)"
