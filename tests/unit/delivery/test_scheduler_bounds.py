"""The scheduler's bounds, fairness and rate limits (invariant 3)."""

from dataclasses import replace
from math import inf

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.limits import Shares
from consumer.events.triggers import TRIGGERS
from consumer.hooks.table import Hook, RateLimit
from consumer.reasons import ErrorKind
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

TIMEOUT = AttemptResult(error=ErrorKind.TIMEOUT)


def hook(id: str, host: str | None = None, rate_limit: RateLimit | None = None) -> Hook:
    """A hook with a host of its own, if not told otherwise."""
    return make_hook(id, uri=f"https://{host or id}.example/", rate_limit=rate_limit)


@pytest.mark.parametrize(
    ("limits", "under_way"),
    [
        ({}, 4),  # half of what is free, so that others find slots
        ({"per_hook": 3}, 3),
        ({"per_host": 4}, 2),
        ({"concurrency": 1}, 1),
        ({"per_host": 1}, 1),
        ({"per_hook": 1}, 1),
        ({"concurrency": 100, "per_host": 100, "per_hook": 32}, 32),
    ],
)
def test_one_hook_stays_within_its_bounds(limits: dict[str, int], under_way: int) -> None:
    """One hook's requests stay within the bounds in all, for its host and for itself, and leave
    slots free.
    """
    bench = SchedulerHarness(replace(LIMITS, **limits))  # type: ignore[arg-type]  # only the counts
    bench.submit(hook("h"), times=50)
    assert len(bench.under_way) == bench.scheduler.in_flight == under_way


def test_an_answer_starts_the_next_one() -> None:
    """An answer starts the next delivery in the order of submission."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    bench.submit(hook("h"), times=3)
    while bench.under_way:
        bench.transport.answer()
    assert bench.outcomes.told == [(f"h-{n}", "delivered") for n in (1, 2, 3)]
    assert not bench.busy


@pytest.mark.parametrize("hung", [1, 3, 7])
def test_hung_endpoints_leave_slots_for_a_healthy_one(hung: int) -> None:
    """A new endpoint starts at once, however many deliveries wait for endpoints that hang."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=8))
    for number in range(hung):
        bench.submit(hook(f"hung{number}"), times=20)
    if len(bench.under_way) < 8:
        bench.submit(hook("healthy"))
        assert bench.under_way[-1].startswith("healthy")


def test_many_hung_endpoints_do_not_hide_a_healthy_one() -> None:
    """A free slot is offered to every endpoint that waits, not only to the first few."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=1_024, per_host=1_024, per_hook=1_024))
    for number in range(10):  # they take a half, a quarter, an eighth, ... and wait for more
        bench.submit(hook(f"hung{number}"), times=520)
    assert bench.scheduler.in_flight == 1_023
    bench.submit(hook("healthy"))
    assert bench.under_way[-1].startswith("healthy")


def test_a_hung_hook_leaves_slots_at_its_host() -> None:
    """A hook that hangs leaves slots for another hook of the same host, as often as that one
    answers.
    """
    bench = SchedulerHarness(replace(LIMITS, per_host=2))
    slow, good = hook("slow", "shared"), hook("good", "shared")
    bench.submit(slow, times=3)
    bench.submit(good, times=3)
    for _ in range(3):  # three times the good one answers, and its next one follows
        assert bench.under_way[1].startswith("good")
        bench.transport.answer(index=1)
    assert bench.under_way == ["slow-1"]


def test_a_slot_at_a_host_is_offered_until_a_hook_takes_it() -> None:
    """A free slot at a host is offered to the next hook if the first one has nothing to send any
    more.
    """
    bench = SchedulerHarness(replace(LIMITS, per_host=1))
    first, second, third = hook("a", "shared"), hook("b", "shared"), hook("c", "shared")
    bench.submit(first)
    waiting = bench.submit(second)
    bench.submit(third)
    bench.scheduler.defer_all(lambda origin: origin is waiting[0].source_record)
    bench.transport.answer()
    assert bench.under_way == ["c-3"]


def test_a_slot_at_a_host_is_not_kept_for_a_hook_that_must_wait() -> None:
    """A free slot at a host is not kept for a hook that waits for its own rate."""
    bench = SchedulerHarness(replace(LIMITS, per_host=2))
    limited = hook("b", "shared", RateLimit(1, 60.0, 1))
    first, third = hook("a", "shared"), hook("c", "shared")
    bench.submit(limited)
    bench.submit(first)
    bench.submit(limited)
    bench.submit(third)
    assert bench.under_way == ["b-1", "a-2"]
    bench.transport.answer()
    bench.transport.answer()
    assert bench.under_way == ["c-4"]


def test_ready_endpoints_take_turns() -> None:
    """Ready endpoints take turns: a long queue delays the others by one request."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=1))
    for name in ("a", "b", "c"):
        bench.submit(hook(name), times=3)
    while bench.under_way:
        bench.transport.answer()
    assert [delivery[0] for delivery in bench.sent] == list("aabcabcbc")


def sent_times(bench: SchedulerHarness, seconds: float, step: float = 0.25) -> list[float]:
    """Seconds from now at which attempts begin, each answered at once."""
    times: list[float] = []
    begin = bench.clock.monotonic()
    while True:
        while bench.under_way:
            bench.transport.answer()
            times.append(bench.clock.monotonic() - begin)
        if bench.clock.monotonic() - begin >= seconds:
            return times
        bench.clock.advance(step)


def test_a_hooks_rate_limit_is_kept_and_used() -> None:
    """A rate-limited hook sends a burst, then one request each interval, and what waits for it
    stays here.
    """
    bench = SchedulerHarness()
    bench.submit(hook("h", rate_limit=RateLimit(2, 1.0, 3)), times=7)
    assert sent_times(bench, 2.0) == [0.0, 0.0, 0.0, 0.5, 1.0, 1.5, 2.0]
    assert len(bench.outcomes.told) == 7


def test_a_hosts_rate_limit_holds_for_all_its_hooks_together() -> None:
    """A host's rate limit holds for all its hooks together."""
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=RateLimit(1, 1.0, 1)))
    for name in ("a", "b", "c"):
        bench.submit(hook(name, "shared"))
    bench.submit(hook("d"))
    assert bench.under_way == ["a-1", "d-4"]
    assert sent_times(bench, 3.0) == [0.0, 0.0, 1.0, 2.0]


def test_hooks_take_turns_at_a_limited_host() -> None:
    """Hooks at a rate-limited host take turns: none is always the first, and none starves."""
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=RateLimit(1, 1.0, 1)))
    for name in ("a", "b", "c"):
        bench.submit(hook(name, "shared"), times=10)
    sent_times(bench, 30.0)
    assert "".join(delivery[0] for delivery in bench.sent) == "a" + "abc" * 9 + "bc"


def test_what_waits_too_long_for_its_hosts_rate_overflows() -> None:
    """A delivery that waits too long for its host's rate overflows, even if it is not the first in
    line.
    """
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=RateLimit(1, 3_600.0, 1)))
    bench.submit(hook("a", "shared"), times=2)
    bench.submit(hook("b", "shared"), times=2)
    bench.transport.answer()
    bench.clock.advance(62.0)
    assert not bench.busy
    assert len(bench.sent) == 1
    assert [outcome for _, outcome in bench.outcomes.told[1:]] == ["overflowed crowded"] * 3


@pytest.mark.parametrize("at_host", [False, True])
def test_a_share_that_was_not_ours_comes_without_a_burst(at_host: bool) -> None:
    """A share of a rate limit that another replica had comes without a burst, and what is ours
    already stays.
    """
    limit = RateLimit(2, 1.0, 6)
    bench = SchedulerHarness(replace(LIMITS, host_rate_limit=limit if at_host else None))
    mine = hook("h", rate_limit=None if at_host else limit)
    new = hook("n", rate_limit=None if at_host else limit)
    bench.submit(mine)
    for part in (0.5, 1.0):  # of the burst its half is ours, and with the rest comes no more
        bench.scheduler.divide(Shares(dict.fromkeys(TRIGGERS, part), part))
        bench.submit(mine, times=10)
        bench.transport.answer_all()
        assert len(bench.sent) == 1 + 3
    bench.submit(new)
    assert len(bench.sent) == 4
    bench.clock.advance(0.5)
    assert bench.sent[4:] == ["n-22"]


def test_a_rate_limited_hook_holds_back_no_other() -> None:
    """A rate-limited hook waits beside the other hooks and holds back none."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=2))
    bench.submit(hook("slow", rate_limit=RateLimit(1, 60.0, 1)), times=10)
    bench.transport.answer()
    bench.submit(hook("quick"))
    assert bench.under_way == ["quick-11"]


def test_what_waits_too_long_overflows_without_an_attempt() -> None:
    """A delivery that waits too long overflows without an attempt, even if there is capacity, since
    it holds back its partition's commits.
    """
    bench = SchedulerHarness()
    bench.submit(hook("h", rate_limit=RateLimit(1, 600.0, 1)), times=3)
    bench.transport.answer()
    bench.clock.advance(59.0)
    assert bench.busy
    bench.clock.advance(3.0)
    assert not bench.busy
    assert bench.outcomes.told[1:] == [(f"h-{n}", "overflowed crowded") for n in (2, 3)]
    assert len(bench.sent) == 1


def test_a_reload_reaches_what_waits_for_an_old_rate() -> None:
    """A rate that a reload raised is used a second later, whatever the old one was."""
    bench = SchedulerHarness()
    bench.submit(hook("h", rate_limit=RateLimit(1, 3_600.0, 1)), times=2)
    bench.transport.answer()
    faster = hook("h", rate_limit=RateLimit(100, 1.0, 100))
    bench.submit(faster)
    bench.clock.advance(1.0)
    assert bench.under_way == ["h-2", "h-3"]


def full_bench() -> SchedulerHarness:
    """Queues of ten deliveries in all, filled by one endpoint that hangs."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=2, waiting=10))
    bench.submit(hook("hung"), times=11)
    assert bench.scheduler.at_capacity
    return bench


def test_load_shedding_lets_overflow_what_does_not_answer() -> None:
    """Load shedding lets the newest deliveries of endpoints that do not answer overflow, in order,
    and leaves them half of the capacity.
    """
    bench = full_bench()
    bench.clock.advance(1.5)
    bench.scheduler.shed_load()
    assert bench.outcomes.told == [(f"hung-{n}", "overflowed crowded") for n in range(7, 12)]
    assert not bench.scheduler.at_capacity


def test_load_shedding_waits_for_what_is_about_to_be_served() -> None:
    """Within the stall time-out nothing is shed: a short wait costs less than a write."""
    bench = full_bench()
    bench.clock.advance(0.9)
    bench.scheduler.shed_load()
    assert bench.outcomes.told == []
    assert bench.scheduler.at_capacity


def test_load_shedding_spares_an_endpoint_that_keeps_answering() -> None:
    """An endpoint that keeps answering is not shed, however old its queue is."""
    bench = full_bench()
    for _ in range(10):
        bench.clock.advance(0.19)
        bench.transport.answer()
        bench.submit(hook("hung"))
    bench.scheduler.shed_load()
    assert bench.scheduler.at_capacity
    assert "overflowed crowded" not in dict(bench.outcomes.told).values()


def test_an_endpoint_that_is_too_slow_for_its_queue_is_shed() -> None:
    """An endpoint that answers too slowly for its queue is shed, since it would delay the others
    for as long as its queue takes.
    """
    bench = full_bench()
    for _ in range(4):
        bench.clock.advance(0.9)
        bench.transport.answer()
        bench.submit(hook("hung"))
    bench.reconfigure(POLICY, "hung", "other", concurrency=2, waiting=10, max_queue_seconds=1.0)
    bench.scheduler.shed_load()
    assert not bench.scheduler.at_capacity


def test_an_endpoint_is_not_too_slow_while_the_process_is_short_of_cpu() -> None:
    """While this process is short of CPU an endpoint's pace is the process's, and nothing is shed
    for it; one that does not answer at all is.
    """
    bench = full_bench()
    for _ in range(4):
        bench.clock.advance(0.9)
        bench.transport.answer()
        bench.submit(hook("hung"))
    bench.reconfigure(POLICY, "hung", "other", concurrency=2, waiting=10, max_queue_seconds=1.0)
    bench.scheduler.extend(start_until=inf, awake_until=inf, short_of_cpu=True)
    bench.scheduler.shed_load()
    assert bench.scheduler.at_capacity
    bench.clock.advance(1.1)
    bench.scheduler.shed_load()
    assert not bench.scheduler.at_capacity


def test_a_rate_limit_tells_at_once_what_waits_too_long() -> None:
    """Deliveries that their rate limit cannot send in time are shed at once."""
    bench = SchedulerHarness(replace(LIMITS, waiting=10))
    bench.submit(hook("h", rate_limit=RateLimit(5, 1.0, 1)), times=11)
    bench.scheduler.shed_load()
    assert len(bench.outcomes.told) == 5


def test_without_full_capacity_nothing_is_shed() -> None:
    """Nothing is shed while there is capacity."""
    bench = SchedulerHarness(replace(LIMITS, concurrency=2, waiting=10))
    bench.submit(hook("hung"), times=10)
    bench.clock.advance(30.0)
    bench.scheduler.shed_load()
    assert bench.outcomes.told == []


def test_an_endpoint_that_a_reload_moved_is_woken() -> None:
    """An endpoint that a reload moved to a new host starts there while its attempts at the old one
    are under way.
    """
    bench = SchedulerHarness(replace(LIMITS, per_host=4))
    bench.submit(hook("h", "old"), times=4)
    assert len(bench.under_way) == 2
    bench.reconfigure(per_host=1)
    bench.submit(hook("h", "new"))
    while bench.under_way:
        bench.transport.answer()
    assert len(bench.outcomes.told) == 5
    assert bench.transport.sent[-1].url.startswith("https://new.example")


def test_an_endpoint_that_waits_at_its_old_host_follows_the_reload() -> None:
    """Deliveries that wait at a hung host go to the new host after a reload."""
    bench = SchedulerHarness(replace(LIMITS, per_host=1))
    bench.submit(hook("hung", "old"))
    bench.submit(hook("h", "old"))
    bench.submit(hook("h", "new"))
    assert bench.under_way == ["hung-1", "h-2"]
    assert bench.transport.sent[-1].url.startswith("https://new.example")


def test_timeouts_do_not_leak_slots() -> None:
    """An attempt gives its slots back however it ends."""
    bench = SchedulerHarness(replace(LIMITS, per_hook=1))
    bench.submit(hook("h"), times=3)
    for _ in range(3):
        bench.transport.answer(TIMEOUT)
    assert bench.scheduler.in_flight == bench.endpoint(hook("h")).host.in_flight == 0
