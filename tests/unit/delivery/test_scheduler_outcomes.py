"""Each delivery has exactly one outcome, whatever happens on the way (invariant 7)."""

from dataclasses import replace

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.retry_policy import RetryPolicy
from consumer.hooks.table import Hook, RateLimit
from consumer.reasons import ErrorKind
from support.fakes import make_hook, make_source_record, make_value
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

HOOK = make_hook("h")
QUICK = replace(POLICY, quick_attempts=3)


@pytest.mark.parametrize(
    ("answer", "outcome"),
    [
        (200, "delivered"),
        (503, "deferred 503"),
        (AttemptResult(error=ErrorKind.DNS), "deferred dns"),
        (404, "dead-lettered permanent"),
        (410, "dead-lettered permanent"),
        (
            AttemptResult(error=ErrorKind.BLOCKED, detail="a private address"),
            "dead-lettered blocked",
        ),
    ],
)
def test_an_answer_ends_its_delivery(answer: AttemptResult | int, outcome: str) -> None:
    """A delivery ends as delivered, deferred to a retry topic, or dead-lettered by its answer."""
    bench = SchedulerHarness()
    (delivery,) = bench.submit(HOOK)
    bench.transport.answer(answer)
    assert bench.outcomes.of("h-1") == [outcome]
    assert delivery.attempts == 1
    assert not bench.busy


def test_a_request_that_cannot_be_made_is_rejected_without_an_attempt() -> None:
    """A delivery whose request cannot be built is rejected without an attempt, and the next one has
    its slot.
    """
    bench = SchedulerHarness()
    hook = make_hook("h", headers={"X": make_value("event", "data.none", "reject")})
    bench.submit(hook, times=2)
    assert bench.outcomes.told == [
        ("h-1", "dead-lettered rejected"),
        ("h-2", "dead-lettered rejected"),
    ]
    assert bench.sent == []


def test_in_process_retries_come_before_the_retry_topic() -> None:
    """A delivery has three attempts with the same id within seconds before it goes to the first
    retry topic.
    """
    bench = SchedulerHarness(policy=QUICK)
    bench.submit(HOOK)
    for _ in range(3):
        assert bench.under_way == ["h-1"]
        bench.transport.answer(503)
        bench.clock.advance(1.0)
    assert bench.sent == ["h-1"] * 3
    assert bench.outcomes.of("h-1") == ["deferred 503"]
    assert bench.outcomes.deferrals["h-1"].topic_number == 0


def test_the_quick_window_is_counted_from_the_first_attempt() -> None:
    """The time for in-process retries counts from the first attempt, so slow failures do not hold
    back commits attempt by attempt.
    """
    bench = SchedulerHarness(policy=QUICK)
    bench.submit(HOOK)
    for _ in range(2):
        bench.clock.advance(3.0)
        bench.transport.answer(503)
    assert bench.outcomes.of("h-1") == ["deferred 503"]


def test_in_process_retries_are_bounded_in_number() -> None:
    """In-process retries are bounded in number, and a delivery beyond that takes the first retry
    topic.
    """
    bench = SchedulerHarness(replace(LIMITS, waiting=2, per_hook=4, concurrency=100), policy=QUICK)
    bench.submit(HOOK, times=3)
    bench.transport.answer_all(503)
    assert bench.outcomes.told == [("h-3", "deferred 503")]
    bench.clock.advance(1.0)
    assert len(bench.under_way) == 2


def test_attempts_of_earlier_passes_count() -> None:
    """`max_attempts` counts the attempts of all passes, restarts included."""
    bench = SchedulerHarness()
    bench.submit(HOOK, attempts=4)
    bench.transport.answer(503)
    assert bench.outcomes.of("h-1") == ["dead-lettered exhausted"]


def test_a_delivery_expires_by_its_first_failure() -> None:
    """A delivery expires by the age of its first failure, whether it is attempted or only
    deferred.
    """
    bench = SchedulerHarness()
    long_ago = bench.clock.now() - POLICY.expire_after
    bench.submit(HOOK, times=2, first_failed_at=long_ago)
    bench.transport.answer(503)
    bench.scheduler.defer_all(lambda _origin: True)
    assert [outcome for _, outcome in bench.outcomes.told] == ["dead-lettered expired"] * 2


def test_the_first_failure_is_noted_once() -> None:
    """The time of the first failure is recorded once and stays with the delivery."""
    bench = SchedulerHarness()
    (delivery,) = bench.submit(HOOK, first_failed_at=bench.clock.now() - 60.0)
    bench.transport.answer(503)
    assert delivery.first_failed_at == bench.clock.now() - 60.0
    (fresh,) = bench.submit(HOOK)
    bench.clock.advance(2.0)
    bench.transport.answer(503)
    assert fresh.first_failed_at == bench.clock.now()
    assert fresh.last_status == "503"


def open_circuit(bench: SchedulerHarness, hook: Hook = HOOK) -> None:
    """Let four attempts fail."""
    for _ in range(4):
        bench.submit(hook)
        bench.transport.answer(503)
    bench.outcomes.told.clear()


def test_an_open_circuit_lets_deliveries_overflow_without_an_attempt() -> None:
    """Deliveries to an open circuit overflow without an attempt."""
    bench = SchedulerHarness()
    open_circuit(bench)
    (delivery,) = bench.submit(HOOK)
    assert bench.outcomes.of(delivery.id) == ["overflowed circuit_open"]
    assert delivery.attempts == 0
    assert bench.under_way == []


def test_what_waits_when_the_circuit_opens_overflows() -> None:
    """When a circuit opens all that waits for its endpoint overflows at once, in order."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=4, concurrency=100))
    bench.submit(HOOK, times=200)
    bench.transport.answer_all(503)
    assert len(bench.sent) == 7  # each answer but the last one started another
    overflowed = [told for told, outcome in bench.outcomes.told if outcome.startswith("overflowed")]
    assert overflowed == [f"h-{number}" for number in range(8, 201)]
    bench.transport.answer_all(503)
    assert not bench.busy


def test_one_probe_closes_the_circuit() -> None:
    """One successful probe closes the circuit, and while it is under way other deliveries
    overflow.
    """
    bench = SchedulerHarness()
    open_circuit(bench)
    assert bench.metrics.hook("h").circuit_open
    bench.clock.advance(10.0)
    probe, other = bench.submit(HOOK, times=2)
    assert bench.under_way == [probe.id]
    assert bench.outcomes.of(other.id) == ["overflowed circuit_open"]
    bench.transport.answer()
    assert not bench.metrics.hook("h").circuit_open
    bench.submit(HOOK, times=2)
    assert len(bench.under_way) == 2


def test_a_permanent_answer_is_no_failure_of_the_endpoint() -> None:
    """A permanent answer counts as no failure of the endpoint."""
    bench = SchedulerHarness()
    for _ in range(10):
        bench.submit(HOOK)
        bench.transport.answer(404)
    bench.submit(HOOK)
    assert len(bench.under_way) == 1


def test_the_circuit_of_one_hook_is_not_anothers() -> None:
    """Each hook has a circuit of its own, even at the same host."""
    bench = SchedulerHarness()
    open_circuit(bench)
    bench.submit(make_hook("other"))
    assert len(bench.under_way) == 1


def test_a_revoked_source_record_has_no_outcome() -> None:
    """A delivery whose source record was revoked has no outcome here."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    origin = make_source_record()
    bench.submit(HOOK, times=3, source_record=origin)
    origin.tracker.revoked = True
    bench.transport.answer()
    bench.scheduler.defer_all(lambda _origin: True)
    assert bench.outcomes.told == []
    assert bench.sent == ["h-1"]
    assert not bench.busy
    assert bench.scheduler.in_flight == 0


def test_defer_takes_what_is_under_way_waiting_and_between_retries() -> None:
    """Deferring takes deliveries that are under way, waiting, or between in-process retries, and a
    later answer changes nothing.
    """
    bench = SchedulerHarness(replace(LIMITS, per_hook=1), policy=QUICK)
    repeated = bench.submit(make_hook("r"))[0]
    bench.transport.answer(503)
    bench.submit(HOOK, times=2)
    kept = bench.submit(make_hook("kept"))[0]
    bench.scheduler.defer_all(lambda origin: origin is not kept.source_record)
    assert sorted(bench.outcomes.told) == sorted(
        (told, "deferred stopped") for told in (repeated.id, "h-2", "h-3")
    )
    bench.clock.advance(5.0)
    bench.transport.answer_all()
    assert len(bench.outcomes.told) == 4
    assert bench.outcomes.of(kept.id) == ["delivered"]
    assert bench.sent == ["r-1", "h-2", kept.id]
    assert not bench.busy


def test_a_reload_keeps_the_count_of_a_limit_that_did_not_change() -> None:
    """A reload keeps the state of a rate limit that did not change, so no second burst follows."""
    bench = SchedulerHarness()
    limit = RateLimit(1, 60.0, 2)
    bench.submit(make_hook("h", rate_limit=limit), times=2)
    bench.submit(make_hook("h", rate_limit=limit, uri="https://receiver.example/new"))
    assert len(bench.under_way) == 2
    bench.submit(make_hook("h", rate_limit=RateLimit(2, 60.0, 2)))
    bench.clock.advance(1.0)
    assert len(bench.under_way) == 4


def test_an_attempt_under_way_ends_on_the_table_it_began_with() -> None:
    """An attempt under way ends by the definition it began with, and the next one uses the new
    definition (invariant 5).
    """
    bench = SchedulerHarness()
    bench.submit(make_hook("h", uri="https://old.example/"))
    bench.submit(make_hook("h", uri="https://new.example/"))
    assert [r.url for r in bench.transport.sent] == ["https://old.example/", "https://new.example/"]
    bench.transport.answer_all()
    assert len(bench.outcomes.told) == 2


def test_a_reload_takes_over_bounds_and_policy() -> None:
    """A reload's bounds and retry policy apply to deliveries that wait already."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    bench.submit(HOOK, times=3)
    bench.reconfigure(RetryPolicy((1.0,), 1, 1, 60.0), "h", per_hook=8)
    bench.transport.answer(503)
    assert bench.outcomes.of("h-1") == ["dead-lettered exhausted"]
    assert len(bench.under_way) == 2


def test_a_reload_changes_the_hosts_limit_and_only_if_it_changed() -> None:
    """A reload changes a host's rate limit, and an unchanged one keeps its state."""
    limit = RateLimit(1, 60.0, 1)
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=limit))
    bench.submit(HOOK, times=2)
    bench.reconfigure(POLICY, "h", host_rate_limit=limit)
    bench.clock.advance(1.0)
    assert len(bench.under_way) == 1
    bench.reconfigure(POLICY, "h", host_rate_limit=None)
    bench.clock.advance(1.0)
    assert len(bench.under_way) == 2


def test_removed_hooks_are_forgotten_once_they_are_idle() -> None:
    """Removed hooks are forgotten once nothing of theirs is under way."""
    bench = SchedulerHarness()
    bench.submit(make_hook("busy"))
    bench.submit(make_hook("idle"))
    bench.transport.answer(index=1)
    bench.reconfigure(POLICY)
    assert set(bench.scheduler._table.endpoints) == {"busy"}
    bench.transport.answer()
    assert bench.outcomes.of("busy-1") == ["delivered"]


def test_hosts_are_forgotten_with_their_last_hook() -> None:
    """Hosts are forgotten with their last hook, but not while requests to them count against the
    bound.
    """
    bench = SchedulerHarness()
    for name in ("a", "b"):
        bench.submit(make_hook(name, uri=f"https://{name}.example/"))
    bench.submit(make_hook("a", uri="https://moved.example/"))
    bench.transport.answer(index=2)
    bench.reconfigure(POLICY, "a")
    known = bench.scheduler._table.hosts
    assert set(known) == {"a.example:443", "moved.example:443", "b.example:443"}
    bench.transport.answer_all()
    bench.reconfigure(POLICY, "a")
    assert set(known) == {"moved.example:443"}


def test_what_a_rate_limit_remembers_is_not_forgotten() -> None:
    """A hook that is removed and put back, or moved away and back, gets no second burst."""
    limit = RateLimit(1, 10.0, 1)
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=limit))
    bench.submit(HOOK)
    bench.transport.answer()
    bench.reconfigure(POLICY, host_rate_limit=limit)
    bench.submit(HOOK)
    assert len(bench.sent) == 1
    bench.clock.advance(10.0)
    assert len(bench.sent) == 2


def test_attempts_are_counted_with_their_time() -> None:
    """Attempts are counted with their duration by status class or kind of error."""
    bench = SchedulerHarness()
    bench.submit(HOOK, times=2)
    bench.transport.answer(AttemptResult(status=204, duration=0.2))
    bench.transport.answer(AttemptResult(error=ErrorKind.TLS, duration=0.3))
    counts = bench.metrics.hook("h")
    assert (counts.attempts["2xx"], counts.attempts["tls"]) == (1, 1)
    assert counts.duration.sum == pytest.approx(0.5)
