"""What follows from an answer: one table for every status and error."""

from math import inf
from typing import Any

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.retry_policy import (
    IN_PROCESS_RETRY_BASE_SECONDS,
    REQUEUE,
    AnswerKind,
    DeadLetter,
    Decision,
    Defer,
    Delivered,
    RetryNow,
    RetryPolicy,
    classify,
)
from consumer.reasons import ErrorKind, Reason

POLICY = RetryPolicy(
    delays=(10.0, 60.0, 600.0), max_attempts=8, quick_attempts=3, expire_after=86_400.0
)
RETRY, PERMANENT = AnswerKind.RETRY, AnswerKind.PERMANENT
NEVER = 1.0 - 2**-53
"""The highest chance there is."""


def decide(
    answer: AttemptResult | int = 503,
    *,
    attempts: int = 1,
    elapsed: float = 0.0,
    age: float = 0.0,
    chance: float = 0.0,
    policy: RetryPolicy = POLICY,
    **facts: Any,
) -> Decision:
    """The decision on one answer."""
    answer = AttemptResult(status=answer) if isinstance(answer, int) else answer
    facts |= {"attempts": attempts, "elapsed": elapsed, "age": age, "random": lambda: chance}
    return policy.decide(classify(answer), answer, **facts)


def asks(seconds: float, status: int = 503) -> AttemptResult:
    """An answer with `Retry-After`."""
    return AttemptResult(status=status, retry_after=seconds)


@pytest.mark.parametrize(
    ("statuses", "expected"),
    [
        (range(200, 300), AnswerKind.SUCCESS),
        ([408, 425, 429], RETRY),
        (range(500, 600), RETRY),
        ([600, 999], RETRY),
        ([410], AnswerKind.GONE),
        (range(300, 400), PERMANENT),
        ([s for s in range(400, 500) if s not in {408, 410, 425, 429}], PERMANENT),
        ([100, 101, 199], PERMANENT),
    ],
)
def test_every_status_has_its_meaning(statuses: list[int], expected: AnswerKind) -> None:
    """Each status is delivered, retried or given up as the tables here say, and no other way."""
    assert {classify(AttemptResult(status=status)) for status in statuses} == {expected}


@pytest.mark.parametrize("status", [302, 403, 404, 410, 429, 500])
def test_a_hook_may_have_more_statuses_retried(status: int) -> None:
    """Statuses that a hook lists are retried, 410 included."""
    assert classify(AttemptResult(status=status), frozenset({302, 403, 404, 410})) is RETRY
    assert classify(AttemptResult(status=204), frozenset({403})) is AnswerKind.SUCCESS
    assert classify(AttemptResult(status=401), frozenset({403})) is PERMANENT


@pytest.mark.parametrize("kind", list(ErrorKind))
def test_every_error_is_retried_but_a_blocked_one(kind: ErrorKind) -> None:
    """Every network error is retried, and a blocked delivery is not."""
    expected = AnswerKind.BLOCKED if kind is ErrorKind.BLOCKED else RETRY
    assert classify(AttemptResult(error=kind)) is expected


@pytest.mark.parametrize(
    ("answer", "attempts", "age", "expected"),
    [
        (204, 1, 0.0, Delivered()),
        (204, 99, 1e9, Delivered()),
        (404, 1, 0.0, DeadLetter(Reason.PERMANENT)),
        (302, 1, 0.0, DeadLetter(Reason.PERMANENT)),
        (410, 1, 0.0, DeadLetter(Reason.PERMANENT)),
        (AttemptResult(error=ErrorKind.BLOCKED), 1, 0.0, DeadLetter(Reason.BLOCKED)),
        (AttemptResult(error=ErrorKind.BLOCKED), 99, 1e9, DeadLetter(Reason.BLOCKED)),
        (503, 8, 0.0, DeadLetter(Reason.EXHAUSTED)),
        (503, 9, 0.0, DeadLetter(Reason.EXHAUSTED)),
        (503, 8, 1e9, DeadLetter(Reason.EXHAUSTED)),
        (503, 7, 86_400.0, DeadLetter(Reason.EXPIRED)),
        (503, 1, 86_400.0, DeadLetter(Reason.EXPIRED)),
        (503, 7, 86_399.0, Defer(2, 600.0)),
        (503, 1, 0.0, RetryNow(0.0)),
        (AttemptResult(error=ErrorKind.TIMEOUT), 2, 0.0, RetryNow(0.0)),
        (503, 3, 0.0, Defer(0, 10.0)),
        (503, 4, 0.0, Defer(1, 60.0)),
        (503, 5, 0.0, Defer(2, 600.0)),
        (503, 6, 0.0, Defer(2, 600.0)),
    ],
)
def test_what_follows(
    answer: AttemptResult | int, attempts: int, age: float, expected: Decision
) -> None:
    """A failed delivery has in-process retries, then each retry topic, then the last one until
    attempts or time end.
    """
    assert decide(answer, attempts=attempts, age=age) == expected


@pytest.mark.parametrize(
    ("attempts", "longest"),
    [(1, IN_PROCESS_RETRY_BASE_SECONDS), (2, IN_PROCESS_RETRY_BASE_SECONDS * 4)],
)
def test_in_process_retries_are_fully_jittered(attempts: int, longest: float) -> None:
    """In-process retries have full jitter, up to four times the last bound."""
    assert decide(attempts=attempts, chance=0.5) == RetryNow(longest / 2)
    decision = decide(attempts=attempts, chance=NEVER)
    assert isinstance(decision, RetryNow)
    assert 0.0 <= decision.delay <= longest


@pytest.mark.parametrize(
    ("elapsed", "expected"), [(4.9, RetryNow(0.0)), (5.0, RetryNow(0.0)), (5.1, Defer(0, 10.0))]
)
def test_no_in_process_retry_begins_after_the_window(elapsed: float, expected: Decision) -> None:
    """No in-process retry begins after the window: a slow failure goes to a retry topic at once."""
    assert decide(elapsed=elapsed) == expected


@pytest.mark.parametrize(
    ("seconds", "attempts", "expected"),
    [
        (2.0, 1, RetryNow(2.0)),
        (5.0, 1, RetryNow(5.0)),
        (5.5, 1, Defer(0, 10.0)),
        (10.0, 1, Defer(0, 10.0)),
        (10.1, 1, Defer(1, 60.0)),
        (60.0, 3, Defer(1, 60.0)),
        (1.0, 5, Defer(2, 600.0)),
        (600.0, 1, Defer(2, 600.0)),
        (21_600.0, 1, Defer(2, 600.0)),
        (0.0, 1, RetryNow(0.0)),
        (-5.0, 1, RetryNow(0.0)),
    ],
)
def test_retry_after_is_honoured_and_clamped(
    seconds: float, attempts: int, expected: Decision
) -> None:
    """A `Retry-After` is honoured if a retry topic is long enough, and clamped to the longest
    one.
    """
    assert decide(asks(seconds), attempts=attempts) == expected


@pytest.mark.parametrize(
    ("pause", "expected"),
    [
        (-inf, RetryNow(0.0)),
        (3.0, RetryNow(3.0)),
        (30.0, Defer(1, 60.0)),
        (inf, Defer(2, 600.0)),
    ],
)
def test_nothing_is_tried_again_while_the_endpoint_is_paused(
    pause: float, expected: Decision
) -> None:
    """No retry begins while the endpoint is paused by another delivery's answer."""
    assert decide(pause=pause) == expected


NAME = AttemptResult(error=ErrorKind.BLOCKED, blocked_by_lookup=True)


@pytest.mark.parametrize(
    ("attempts", "before", "expected"),
    [
        (1, False, Defer(0, 10.0)),
        (2, True, Defer(1, 60.0)),
        (3, True, Defer(2, 600.0)),
        (4, True, DeadLetter(Reason.BLOCKED)),
        (6, False, Defer(2, 600.0)),
        (7, True, DeadLetter(Reason.BLOCKED)),
        (8, False, DeadLetter(Reason.BLOCKED)),
    ],
)
def test_a_name_that_is_refused_is_deferred_three_times(
    attempts: int, before: bool, expected: Decision
) -> None:
    """A name whose addresses are refused is deferred three times without in-process retries, at
    least once after other failures, and never beyond all attempts.
    """
    assert decide(NAME, attempts=attempts, blocked_before=before) == expected


def test_a_name_that_is_refused_expires_too() -> None:
    """A delivery to a refused name that expires is a dead letter `blocked`."""
    assert decide(NAME, age=86_400.0) == DeadLetter(Reason.BLOCKED)


@pytest.mark.parametrize("attempts", [1, 5, 50])
def test_a_429_that_names_a_time_is_no_failure(attempts: int) -> None:
    """A 429 with `Retry-After` puts its delivery back into the queue, however many attempts it has
    had, until the delivery expires.
    """
    assert decide(asks(30.0, 429), attempts=attempts) == REQUEUE
    assert decide(asks(30.0, 429), age=86_400.0) == DeadLetter(Reason.EXPIRED)


@pytest.mark.parametrize("status", [408, 503, 500])
def test_any_retried_status_may_ask(status: int) -> None:
    """A `Retry-After` of any retried status is honoured (RFC 9110 section 10.2.3)."""
    assert decide(asks(30.0, status)) == Defer(1, 60.0)


def test_retry_after_does_not_revive_what_is_hopeless() -> None:
    """A permanent answer stays permanent with a `Retry-After`."""
    assert decide(asks(5.0, 404)) == DeadLetter(Reason.PERMANENT)


@pytest.mark.parametrize("retry_topic", [0, 1, 2])
def test_a_retry_topics_delay_is_stretched_by_a_fifth_at_most(retry_topic: int) -> None:
    """A retry topic's delay is stretched by a fifth at most and never shortened, so its records are
    due in about their order.
    """
    for chance in (0.0, 0.5, NEVER):
        decision = decide(attempts=3 + retry_topic, chance=chance)
        assert isinstance(decision, Defer)
        assert decision.topic_number == retry_topic
        assert POLICY.delays[retry_topic] <= decision.delay <= POLICY.delays[retry_topic] * 1.2


def test_one_attempt_in_all_goes_straight_to_the_dead_letters() -> None:
    """`max_attempts: 1` means no retry of any kind."""
    policy = RetryPolicy(delays=(10.0,), max_attempts=1, quick_attempts=3, expire_after=60.0)
    assert decide(policy=policy) == DeadLetter(Reason.EXHAUSTED)


def test_one_quick_attempt_goes_straight_to_the_first_retry_topic() -> None:
    """`quick_attempts: 1` means no in-process retry."""
    policy = RetryPolicy(delays=(10.0, 60.0), max_attempts=9, quick_attempts=1, expire_after=60.0)
    assert decide(policy=policy) == Defer(0, 10.0)
    assert decide(policy=policy, attempts=2) == Defer(1, 60.0)
