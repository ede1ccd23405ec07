"""What a receiver's 410, 4xx and `Retry-After` change for the other deliveries of its hook."""

from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.results import MAX_CONSECUTIVE_410
from consumer.reasons import ErrorKind
from support.fakes import make_brace, make_hook, make_value
from support.scheduler_harness import CIRCUIT, LIMITS, POLICY, SchedulerHarness

HOOK = make_hook("h")
ENTRY = make_value("event", "id")
BRACED = make_hook(
    "h", uri="https://receiver.example/{id}", variables=[make_brace("id", entry=ENTRY)]
)
DISABLED = "hookstream_hook_disabled"


def told(bench: SchedulerHarness) -> list[str]:
    """The outcomes so far, which are forgotten."""
    outcomes = [outcome for _, outcome in bench.outcomes.told]
    bench.outcomes.told.clear()
    return outcomes


def sample(bench: SchedulerHarness, name: str) -> float | None:
    """One of the hook's metrics."""
    return bench.metrics.registry.get_sample_value(name, {"hook": "h"})


def gone(bench: SchedulerHarness, *statuses: int) -> None:
    """Answer one delivery after the other."""
    for status in statuses:
        bench.submit(HOOK)
        bench.transport.answer(status)


def test_five_410_in_a_row_disable_a_hook() -> None:
    """Five 410 in a row disable a hook: each of the five is `permanent`, and what waits and what
    comes later is `disabled`.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    bench.submit(HOOK, times=MAX_CONSECUTIVE_410 + 2)
    for _ in range(MAX_CONSECUTIVE_410):
        assert sample(bench, DISABLED) == 0.0
        bench.transport.answer(410)
    bench.submit(HOOK)
    assert (
        told(bench)
        == ["dead-lettered permanent"] * MAX_CONSECUTIVE_410 + ["dead-lettered disabled"] * 3
    )
    assert sample(bench, DISABLED) == 1.0


@pytest.mark.parametrize("other", [200, 404, 503])
def test_another_answer_between_them_begins_anew(other: int) -> None:
    """Another answer resets the count of 410 in a row."""
    bench = SchedulerHarness()
    gone(bench, *[410] * 4, other, *[410] * 4)
    assert sample(bench, DISABLED) == 0.0
    gone(bench, 410)
    assert sample(bench, DISABLED) == 1.0


def test_an_error_between_them_is_no_answer() -> None:
    """A network error does not reset the count of 410 in a row."""
    bench = SchedulerHarness()
    gone(bench, *[410] * 4)
    bench.submit(HOOK)
    bench.transport.answer(AttemptResult(error=ErrorKind.CONNECT))
    gone(bench, 410)
    assert sample(bench, DISABLED) == 1.0


def test_410_never_disables_a_hook_with_a_uri_variable() -> None:
    """No number of 410 disables a hook with a URI variable, since each value may be a resource of
    its own.
    """
    bench = SchedulerHarness()
    for _ in range(50):
        bench.submit(BRACED)
        bench.transport.answer(410)
    assert told(bench) == ["dead-lettered permanent"] * 50
    assert sample(bench, DISABLED) == 0.0


def test_answers_that_come_after_the_disabling_count_for_their_delivery() -> None:
    """Answers after the disabling count for their own delivery: a 2xx delivers, a failure is not
    retried, and the hook stays disabled.
    """
    bench = SchedulerHarness()
    bench.submit(HOOK, times=MAX_CONSECUTIVE_410 + 3)
    for status in (*[410] * MAX_CONSECUTIVE_410, 503, 200):
        bench.transport.answer(status)
    bench.transport.answer(AttemptResult(status=429, retry_after=1.0))
    assert told(bench)[MAX_CONSECUTIVE_410:] == [
        "dead-lettered disabled",
        "delivered",
        "dead-lettered disabled",
    ]
    assert sample(bench, DISABLED) == 1.0


def test_a_reload_enables_it_again() -> None:
    """A reload enables a hook that 410 disabled, and it is disabled again if its receiver still
    answers 410.
    """
    bench = SchedulerHarness()
    gone(bench, *[410] * MAX_CONSECUTIVE_410)
    bench.reconfigure(POLICY, "h")
    assert sample(bench, DISABLED) == 0.0
    gone(bench, *[410] * (MAX_CONSECUTIVE_410 - 1), 200, *[410] * MAX_CONSECUTIVE_410)
    assert sample(bench, DISABLED) == 1.0


def test_late_answers_of_an_earlier_definition_say_nothing_of_the_new_one() -> None:
    """Late answers to requests of an earlier definition change nothing for the new one: 410,
    `Retry-After` and failures alike.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=100, per_host=100, concurrency=100))
    bench.submit(HOOK, times=12)
    other = make_hook("h", uri="https://receiver.example/other")
    bench.submit(other)
    for _ in range(MAX_CONSECUTIVE_410):
        bench.transport.answer(410)
    for _ in range(6):
        bench.transport.answer(AttemptResult(status=503, retry_after=100.0))
    assert sample(bench, DISABLED) == 0.0
    bench.submit(other)
    assert len(bench.under_way) == 3


def test_a_changed_definition_begins_with_a_closed_circuit_and_no_pause() -> None:
    """A changed definition begins with a closed circuit and without a pause."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=CIRCUIT.min_volume)
    bench.transport.answer_all(AttemptResult(status=503, retry_after=100.0))
    bench.submit(HOOK)
    assert bench.under_way == []
    assert sample(bench, "hookstream_circuit_open") == 1.0
    bench.submit(make_hook("h"))
    assert bench.under_way == []
    bench.submit(make_hook("h", headers={"X-Key": make_value("fixed", "new")}))
    assert len(bench.under_way) == 1
    assert sample(bench, "hookstream_circuit_open") == 0.0


def asks(seconds: float, status: int = 429) -> AttemptResult:
    """An answer with `Retry-After`."""
    return AttemptResult(status=status, retry_after=seconds)


@pytest.mark.parametrize(
    ("status", "first"), [(429, "overflowed retry_after"), (503, "deferred 503")]
)
def test_retry_after_holds_for_the_endpoint(status: int, first: str) -> None:
    """A `Retry-After` pauses its endpoint: what waits, what was answered 429, and what comes out of
    a retry topic, overflows in order without an attempt, and another hook at the host is not
    affected.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=2))
    bench.submit(HOOK, times=4)
    bench.transport.answer(asks(60.0, status))
    other = bench.submit(make_hook("other"))
    again = bench.delivery(HOOK, attempts=3)
    bench.scheduler.resubmit(again)
    assert bench.outcomes.told == [
        ("h-1", first),
        *((f"h-{number}", "overflowed retry_after") for number in (3, 4, 6)),
    ]
    assert again.attempts == 3
    assert bench.under_way == ["h-2", other[0].id]
    assert sample(bench, "hookstream_paused_until_timestamp_seconds") == bench.clock.now() + 60.0
    bench.clock.advance(59.9)
    bench.submit(HOOK)
    assert len(bench.under_way) == 2
    bench.clock.advance(0.2)
    assert len(bench.under_way) == 3


def test_a_503_that_names_a_time_spends_an_attempt() -> None:
    """A delivery that is answered 503 with `Retry-After` goes to the retry topic that is long
    enough.
    """
    bench = SchedulerHarness()
    delivery = bench.submit(HOOK)[0]
    bench.transport.answer(asks(60.0, 503))
    assert bench.outcomes.deferrals["h-1"].topic_number == 1
    assert delivery.attempts == 1


@pytest.mark.parametrize("status", [500, 502, 504])
def test_of_other_statuses_it_holds_for_the_delivery_only(status: int) -> None:
    """A `Retry-After` of another status than 429 and 503 pauses nothing but its own delivery."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    bench.submit(HOOK, times=2)
    bench.transport.answer(asks(60.0, status))
    assert bench.outcomes.deferrals["h-1"].topic_number == 1
    assert bench.under_way == ["h-2"]


def test_what_waits_for_a_short_pause_stays_in_the_queue() -> None:
    """Deliveries stay queued over a short `Retry-After` and go on at its end."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=2))
    bench.submit(HOOK, times=6)
    bench.transport.answer(asks(2.0))
    bench.transport.answer(200)
    bench.clock.advance(1.9)
    assert bench.under_way == []
    bench.clock.advance(0.2)
    assert len(bench.under_way) == 2


@pytest.mark.parametrize(("first", "second"), [(3.0, 1.0), (1.0, 3.0)])
def test_of_several_times_the_latest_counts(first: float, second: float) -> None:
    """Of several `Retry-After` times the latest counts, and a 2xx takes nothing back."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=3)
    for answer in (asks(first), asks(second), 200):
        bench.transport.answer(answer)
    bench.submit(HOOK)
    bench.clock.advance(2.9)
    assert bench.under_way == []
    bench.clock.advance(0.2)
    assert bench.under_way != []


def test_in_process_retries_wait_for_the_pause_too() -> None:
    """In-process retries wait for a `Retry-After`, of the delivery that was answered so and of
    others.
    """
    bench = SchedulerHarness(policy=replace(POLICY, quick_attempts=3))
    bench.submit(HOOK, times=2)
    bench.transport.answer(500)
    bench.transport.answer(asks(4.0))
    bench.clock.advance(3.9)
    assert bench.under_way == []
    bench.clock.advance(0.2)
    assert set(bench.under_way) == {"h-1", "h-2"}


def test_a_429_that_names_a_time_does_not_open_the_circuit() -> None:
    """A 429 with `Retry-After` does not count as a failure for the circuit, and one without
    does.
    """
    for answer, is_open in ((asks(1.0), 0.0), (AttemptResult(status=429), 1.0)):
        bench = SchedulerHarness()
        bench.submit(HOOK, times=8)
        assert bench.transport.answer_all(answer) >= CIRCUIT.min_volume
        assert sample(bench, "hookstream_circuit_open") == is_open


def test_what_a_receiver_rejects_that_took_it_before_overflows() -> None:
    """After a 2xx rejections become dead letters only until the circuit opens, and deliveries after
    that overflow.

    1. After a 2xx as many are dead letters as the circuit needs to open, less the one that opens
    it. 2. That one, those under way and all later ones overflow, and have spent no attempt.
    """
    bench = SchedulerHarness()
    bench.submit(HOOK, times=8)
    bench.transport.answer(200)
    for _ in range(7):
        bench.transport.answer(404)
    later = bench.submit(HOOK)[0]
    permanent = CIRCUIT.min_volume - 1
    assert told(bench) == (
        ["delivered"]
        + ["dead-lettered permanent"] * permanent
        + ["overflowed refusing"] * (7 - permanent)
        + ["overflowed refusing"]
    )
    assert later.attempts == 0


def test_a_rejected_probe_overflows_and_expires_in_the_end() -> None:
    """A rejected probe overflows without spending an attempt and expires in the end."""
    bench = SchedulerHarness()
    gone(bench, 200, *[404] * CIRCUIT.min_volume)
    told(bench)
    first_failed_at = bench.clock.now()
    for _ in range(20):
        bench.clock.advance(300.0)
        (probe,) = bench.submit(HOOK, attempts=1, first_failed_at=first_failed_at)
        bench.transport.answer(404)
        assert probe.attempts == 1
    assert told(bench) == ["overflowed refusing"] * 11 + ["dead-lettered expired"] * 9
    bench.clock.advance(300.0)
    gone(bench, 200, 404)
    assert told(bench) == ["delivered", "dead-lettered permanent"]


def test_an_overflowed_delivery_tells_a_new_process_that_the_receiver_took_others() -> None:
    """An overflowed delivery tells a new process that the receiver answered 2xx before, so a
    restart makes no dead letters of everything.
    """
    bench = SchedulerHarness()
    bench.scheduler.resubmit(bench.delivery(HOOK), "refusing")
    bench.transport.answer(404)
    gone(bench, *[404] * (CIRCUIT.min_volume - 1))
    assert told(bench)[-1] == "overflowed refusing"


def test_a_hook_that_never_had_a_2xx_gives_up_at_once() -> None:
    """Rejected deliveries of a hook that never had a 2xx are dead letters at once."""
    bench = SchedulerHarness()
    gone(bench, *[404] * 50)
    assert told(bench) == ["dead-lettered permanent"] * 50


def test_a_refused_name_is_deferred_without_quick_retries() -> None:
    """A name whose addresses the guard refuses is deferred without in-process retries, and a
    refused literal address is a dead letter at once.
    """
    bench = SchedulerHarness(policy=replace(POLICY, quick_attempts=3))
    bench.submit(HOOK, times=2)
    blocked = AttemptResult(error=ErrorKind.BLOCKED, detail="a private address")
    bench.transport.answer(blocked)
    bench.transport.answer(
        AttemptResult(error=ErrorKind.BLOCKED, detail="a private address", blocked_by_lookup=True)
    )
    assert told(bench) == ["dead-lettered blocked", "deferred blocked"]
    assert bench.outcomes.deferrals["h-2"].topic_number == 0
    bench.submit(HOOK, attempts=3, last_status="blocked")
    bench.transport.answer(
        AttemptResult(error=ErrorKind.BLOCKED, detail="a private address", blocked_by_lookup=True)
    )
    assert told(bench) == ["dead-lettered blocked"]


def test_a_live_change_enables_what_410_disabled() -> None:
    """A hook that 410 disabled is enabled by a change of its own definition, and by no other's."""
    bench = SchedulerHarness()
    gone(bench, *[410] * MAX_CONSECUTIVE_410)
    assert sample(bench, DISABLED) == 1.0
    other, changed = make_hook("other"), make_hook("h", app="shop")
    bench.scheduler.redefine({"h": HOOK, "other": other}, ["other"])
    assert sample(bench, DISABLED) == 1.0
    bench.scheduler.redefine({"h": changed, "other": other}, ["h"])
    assert sample(bench, DISABLED) == 0.0
    bench.outcomes.told.clear()
    bench.submit(changed)
    bench.transport.answer(200)
    assert told(bench) == ["delivered"]
