"""The reports equal a recount of the log, whatever happens and however writes fail."""

import asyncio
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.delivery.http.transport import AttemptResult
from consumer.errors import HookstreamError
from consumer.reasons import ErrorKind, Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from support.fakes import make_hook, make_value
from support.journal_harness import JournalHarness
from support.written_log import recounted, summed

HOOKS = [make_hook("h1"), make_hook("h2", headers={"x": make_value("event", "no", "reject")})]
RESULTS = st.one_of(
    st.sampled_from([200, 204, 302, 404, 410, 429, 503, 599]).map(
        lambda status: AttemptResult(status=status, duration=status / 1_000)
    ),
    st.builds(AttemptResult, error=st.sampled_from(ErrorKind), duration=st.floats(0, 70)),
    st.just(AttemptResult(status=429, retry_after=3.0)),
)
STEPS: st.SearchStrategy[tuple[str, Any]] = st.one_of(
    st.tuples(st.just("submit"), st.sampled_from(HOOKS)),
    st.tuples(st.just("answer"), RESULTS),
    st.tuples(st.just("advance"), st.sampled_from([0.1, 5.0, 700.0, 3_700.0])),
    st.tuples(st.just("stop"), st.none()),
    st.tuples(st.just("gave up"), st.sampled_from(Reason)),
    st.tuples(st.just("write"), st.sampled_from(["taken", "away", "unconfirmed"])),
    st.tuples(st.just("set back"), st.sampled_from([1.0, 4_000.0, 90_000.0])),
)


def _take(journal: JournalHarness, step: str, what: Any) -> None:
    bench = journal.scheduler
    match step:
        case "submit":
            bench.submit(what)
        case "answer" if bench.transport.open:
            one = AttemptResult(
                status=what.status,
                error=what.error,
                duration=what.duration,
                retry_after=what.retry_after,
            )
            bench.transport.answer(one)
        case "advance":
            journal.clock.advance(what)
        case "set back":
            journal.clock.set_back(what)
        case "stop":
            bench.scheduler.defer_all(lambda _: True)
        case "gave up":
            journal.observer.gave_up(DeliveryMetadata(what, "t", 0, 1, 0, "event", "e:h1", "h1"))


async def _run(journal: JournalHarness, steps: list[tuple[str, Any]]) -> None:
    cluster = journal.cluster
    for step, what in steps:
        _take(journal, step, what)
        if step == "write":
            cluster.error = None if what == "taken" else HookstreamError(what)
            cluster.is_silent = what == "unconfirmed"
            await journal.write()
    cluster.error = None
    await journal.write()
    await journal.write()


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40))
def test_reports_equal_a_recount(steps: list[tuple[str, Any]]) -> None:
    """With everything logged, the sums of the reports equal a recount of the log, whatever the
    order of attempts, ends, failed writes and hours.
    """
    journal = JournalHarness()
    asyncio.run(_run(journal, steps))
    assert summed(journal.cluster.reports) == recounted(journal.cluster.log)


@settings(deadline=None)
@given(st.lists(STEPS, max_size=40), st.integers(1, 5), st.booleans(), st.sampled_from([0.0, 0.4]))
def test_what_is_not_logged_is_sampled_or_dropped_and_all_is_counted(
    steps: list[tuple[str, Any]], max_rows: int, failures: bool, successes: float
) -> None:
    """With any sampling and a small queue the reports are those of a log with everything, and the
    log is a part of that one, less exactly what is counted as dropped.
    """
    whole = JournalHarness()
    asyncio.run(_run(whole, steps))
    every = JournalHarness(failures=failures, successes=successes)
    asyncio.run(_run(every, steps))
    small = JournalHarness(failures=failures, successes=successes, max_rows=max_rows)
    asyncio.run(_run(small, steps))
    assert summed(small.cluster.reports) == summed(whole.cluster.reports)
    assert len(small.cluster.log) + small.writer.dropped == len(every.cluster.log)
    assert all(record in whole.cluster.log for record in small.cluster.log)
    logged = {record.status in {200, 204} for record in every.cluster.log}
    assert logged <= ({False} if failures else set())
