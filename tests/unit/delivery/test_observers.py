"""What observers of attempts are told."""

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.observers import AttemptDetails
from consumer.delivery.scheduling.retry_policy import Outcome
from consumer.reasons import ErrorKind
from support.fakes import make_hook, make_value
from support.scheduler_harness import SchedulerHarness

HOOK = make_hook()


class ObserverLog:
    """An `AttemptObserver` that keeps what it is told."""

    def __init__(self) -> None:
        self.attempts: list[tuple[str, str, str | None]] = []
        """Delivery id and number, status or kind of error, and the type of what follows."""
        self.outcomes: list[tuple[str, str]] = []

    def attempted(self, attempt: AttemptDetails) -> None:
        """See `AttemptObserver.attempted`."""
        result, decision = attempt.result, attempt.decision
        follows = type(decision).__name__ if decision is not None else None
        told = f"{attempt.delivery.id} {attempt.number}"
        self.attempts.append((told, str(result.error or result.status), follows))

    def ended_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """See `AttemptObserver.ended_unsent`."""
        self.outcomes.append((delivery.id, type(outcome).__name__))


def test_each_observer_is_told_of_each_attempt_and_what_follows() -> None:
    """Whatever follows from a result, every observer is told of it once, with the attempt."""
    logs = (ObserverLog(), ObserverLog())
    bench = SchedulerHarness(observers=logs)
    bench.submit(HOOK, times=4)
    for result in (200, 404, 503, AttemptResult(error=ErrorKind.TIMEOUT)):
        bench.transport.answer(result)
    for log in logs:
        assert log.attempts == [
            ("h1-1 1", "200", "Delivered"),
            ("h1-2 1", "404", "DeadLetter"),
            ("h1-3 1", "503", "Defer"),
            ("h1-4 1", "timeout", "Defer"),
        ]
        assert log.outcomes == []


def test_what_becomes_of_a_deferral_is_told() -> None:
    """A deferral that becomes a dead letter, since its hook was switched off, is told as one."""
    log = ObserverLog()
    bench = SchedulerHarness(observers=(log,))
    bench.outcomes.switched_off = True
    bench.submit(HOOK, times=2)
    bench.transport.answer(503)
    bench.scheduler.defer_all(lambda _: True)
    assert log.attempts == [("h1-1 1", "503", "DeadLetter")]
    assert log.outcomes == [("h1-2", "DeadLetter")]
    assert bench.outcomes.of("h1-1") == bench.outcomes.of("h1-2") == ["dead-lettered disabled"]


def test_an_attempt_that_is_not_counted_has_a_number() -> None:
    """An answer of 429 with Retry-After spends no attempt: the next one has the same number."""
    log = ObserverLog()
    bench = SchedulerHarness(observers=(log,))
    bench.submit(HOOK)
    bench.transport.answer(AttemptResult(status=429, retry_after=1.0))
    bench.clock.advance(1.5)
    bench.transport.answer(200)
    assert log.attempts == [("h1-1 1", "429", "Requeue"), ("h1-1 1", "200", "Delivered")]


def test_an_outcome_without_an_attempt_is_told() -> None:
    """A request that cannot be built is a dead letter that no attempt precedes."""
    log = ObserverLog()
    bench = SchedulerHarness(observers=(log,))
    bench.submit(make_hook(headers={"x": make_value("event", "absent", "reject")}))
    assert log.attempts == []
    assert log.outcomes == [("h1-1", "DeadLetter")]


def test_a_result_that_comes_after_the_outcome_is_told_without_one() -> None:
    """An attempt under way whose delivery was deferred meanwhile is told, and ends nothing."""
    log = ObserverLog()
    bench = SchedulerHarness(observers=(log,))
    bench.submit(HOOK)
    bench.scheduler.defer_all(lambda _: True)
    bench.transport.answer(200)
    assert log.attempts == [("h1-1 1", "200", None)]
    assert log.outcomes == [("h1-1", "Defer")]


def test_metrics_are_an_observer() -> None:
    """Attempts are counted by an observer: without one there are none in the metrics."""
    bench, silent = SchedulerHarness(), SchedulerHarness(observers=())
    for each in (bench, silent):
        each.submit(HOOK)
        each.transport.answer(503)
    assert bench.metrics.hook("h1").attempts["5xx"] == 1
    assert silent.metrics.hook("h1").attempts["5xx"] == 0
