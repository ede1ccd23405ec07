"""The forecast of deliveries that come back from the retry topics."""

import pytest

from consumer.delivery.scheduling.deferred_forecast import DeferredForecast
from consumer.delivery.scheduling.retry_policy import Defer, RetryPolicy

POLICY = RetryPolicy(
    delays=(10.0, 60.0, 600.0), max_attempts=8, quick_attempts=3, expire_after=86_400.0
)


def deferred(*due: float, retry_topic: float = 60.0) -> DeferredForecast:
    """A backlog of deliveries that are due then."""
    backlog = DeferredForecast()
    for moment in due:
        backlog.add(retry_topic, moment)
    return backlog


@pytest.mark.parametrize(
    ("due", "turn"),
    [
        ([], 19.0),  # what waits: ten of two seconds; and one second ahead
        ([115.0], 21.0),
        ([119.0, 119.0, 119.0], 25.0),
        ([121.0], 19.0),  # it comes after the gap
        ([115.0, 120.5, 160.0], 23.0),
        ([99.0], 19.0),  # overdue: its return cannot be told
    ],
)
def test_a_turn_is_when_there_is_nothing_else_to_do(due: list[float], turn: float) -> None:
    """A delivery is deferred until what waits is done, and what will be back by then."""
    assert deferred(*due).seconds_until_idle(
        100.0, waiting=10, pace=2.0, least=1.0
    ) == pytest.approx(turn)


def test_no_turn_comes_before_it_can_be_back() -> None:
    """No delivery is forecast before its retry topic can give it back, and those that are back as
    early are counted.
    """
    assert deferred().seconds_until_idle(100.0, waiting=1, pace=0.01, least=1.0) == 1.0
    assert (
        deferred(*[101.0] * 500).seconds_until_idle(100.0, waiting=1, pace=0.01, least=1.0) == 4.01
    )


def test_turns_follow_each_other() -> None:
    """Deliveries that are deferred one after the other come back one after the other, without a
    gap.
    """
    backlog = DeferredForecast()
    for number in range(2_000):
        turn = backlog.seconds_until_idle(100.0, waiting=512, pace=0.002, least=1.0)
        assert turn == pytest.approx(max(1.0, (512 + number) * 0.002 - 1.0))
        backlog.add(10.0, 100.0 + turn)


def test_a_return_removes_the_oldest_of_its_retry_topic() -> None:
    """A delivery that returns removes the oldest of its retry topic from the forecast, whichever
    replica deferred it.
    """
    backlog = deferred(160.0, 165.0)
    backlog.add(10.0, 110.0)
    backlog.remove(60.0)
    backlog.remove(600.0)
    assert len(backlog) == 2
    assert backlog.seconds_until_idle(100.0, waiting=40, pace=1.6, least=1.0) == pytest.approx(
        42 * 1.6 - 1 - 1.6
    )


def test_what_never_came_back_is_forgotten() -> None:
    """A delivery that never came back, because another replica took it, is forgotten."""
    backlog = deferred(160.0)
    backlog.remove_lost(178.0)
    assert len(backlog) == 1
    backlog.remove_lost(180.0)
    assert len(backlog) == 0


def test_the_question_removes_nothing() -> None:
    """`seconds_until_idle` changes no count, however late it is asked."""
    forecast = deferred(160.0)
    forecast.seconds_until_idle(1_000.0, waiting=0, pace=1.0, least=1.0)
    assert len(forecast) == 1


def test_memory_is_bounded() -> None:
    """The forecast keeps some forty batches for each retry topic, however many deliveries are
    deferred.
    """
    backlog = deferred(*(100.0 + n / 1_000 for n in range(72_000)))
    assert len(backlog) == 72_000
    assert len(backlog._topics[60.0]) <= 40


@pytest.mark.parametrize(
    ("turn", "deferral"),
    [
        (1.0, Defer(0, 1.0)),
        (11.0, Defer(0, 10.0 * (1 + 0.2 * 11 / 60))),
        (71.0, Defer(0, 12.0)),
        (72.0, Defer(1, 60.0 * (1 + 0.2 * 72 / 600))),
        (719.0, Defer(1, 72.0)),
        (720.0, Defer(2, 600.0)),
        (1e9, Defer(2, 600.0)),
    ],
)
def test_no_delivery_misses_its_moment(turn: float, deferral: Defer) -> None:
    """A delivery takes the longest retry topic that gives it back in time, with a delay that grows
    by a fifth at most.
    """
    decision = POLICY.defer_until_needed(turn)
    assert decision.topic_number == deferral.topic_number
    assert decision.delay == pytest.approx(deferral.delay)
    assert decision.delay <= turn
