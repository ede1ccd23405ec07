"""What a live change of a definition does to the deliveries of its hook."""

from dataclasses import replace

from consumer.hooks.table import RateLimit
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, SchedulerHarness

ONE = replace(LIMITS, per_hook=1)
OLD = make_hook("h", uri="https://old.example/")
NEW = make_hook("h", uri="https://new.example/")


def origins(bench: SchedulerHarness) -> list[str]:
    """The origins of the attempts so far."""
    return [request.origin for request in bench.transport.sent]


def test_what_waits_goes_by_the_new_definition() -> None:
    """A delivery that waits when its hook is changed is sent as the new definition says; the
    attempt under way ends on the one that it began with.
    """
    bench = SchedulerHarness(ONE)
    bench.submit(OLD, times=2)
    bench.scheduler.redefine({"h": NEW}, ["h"])
    bench.transport.answer_all()
    bench.transport.answer_all()
    assert origins(bench) == ["https://old.example", "https://new.example"]
    assert [outcome for _, outcome in bench.outcomes.told] == ["delivered"] * 2


def test_another_request_begins_with_a_closed_circuit() -> None:
    """A change of the request closes the circuit at once, so what waits is sent."""
    bench = SchedulerHarness()
    for _ in range(4):
        bench.submit(OLD)
        bench.transport.answer(503)
    assert bench.metrics.hook("h").circuit_open
    bench.scheduler.redefine({"h": NEW}, ["h"])
    assert not bench.metrics.hook("h").circuit_open
    bench.submit(NEW)
    assert len(bench.transport.open) == 1


def test_the_same_limit_keeps_its_count() -> None:
    """A change that leaves the rate limit alone gives no second burst; another one counts anew."""
    limit = RateLimit(1, 60.0, 1)
    bench = SchedulerHarness()
    bench.submit(make_hook("h", rate_limit=limit), times=2)
    assert len(bench.transport.sent) == 1
    bench.scheduler.redefine({"h": make_hook("h", rate_limit=limit, app="shop")}, ["h"])
    bench.clock.advance(1.0)
    assert len(bench.transport.sent) == 1
    bench.scheduler.redefine({"h": make_hook("h", rate_limit=RateLimit(5, 60.0, 5))}, ["h"])
    bench.clock.advance(1.0)
    assert len(bench.transport.sent) == 2


def test_a_deleted_hooks_state_goes_when_its_deliveries_have_ended() -> None:
    """The state of a deleted hook and of its host is freed at once if it is idle, else at the next
    change after its end; what is under way ends as it began.
    """
    bench = SchedulerHarness(ONE)
    table = bench.scheduler._table
    idle = make_hook("idle", uri="https://idle.example/")
    bench.submit(idle)
    bench.transport.answer(200)
    bench.submit(OLD, times=2)
    bench.scheduler.redefine({}, ["idle", "h", "unknown"])
    assert set(table.endpoints) == {"h"}
    assert set(table.hosts) == {OLD.host_key}
    bench.transport.answer_all()
    bench.transport.answer_all()
    assert [outcome for _, outcome in bench.outcomes.told] == ["delivered"] * 3
    bench.scheduler.redefine({}, ["unknown"])
    assert (table.endpoints, table.hosts) == ({}, {})


def test_a_hook_that_is_back_keeps_its_state() -> None:
    """A hook that is deleted while it is busy and defined again keeps its endpoint."""
    bench = SchedulerHarness()
    bench.submit(OLD)
    bench.scheduler.redefine({}, ["h"])
    bench.scheduler.redefine({"h": OLD}, ["h"])
    bench.transport.answer(200)
    bench.scheduler.redefine({"h": OLD}, ["other"])
    assert set(bench.scheduler._table.endpoints) == {"h"}
