"""Connections to a receiver that were given up are counted and logged."""

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import CircuitPolicy
from consumer.reasons import ErrorKind
from support.fakes import make_hook
from support.scheduler_harness import SchedulerHarness

HOOK = make_hook("h")
GIVEN_UP = "hookstream_connections_given_up_total"
LINE = "kept connections to a receiver were given up"


def time_out(bench: SchedulerHarness, *, gave_up: bool) -> None:
    """Answer a new delivery by a time-out."""
    answer = AttemptResult(error=ErrorKind.TIMEOUT)
    answer.gave_up_connections = gave_up
    bench.submit(HOOK)
    bench.transport.answer(answer, -1)


def test_each_time_is_counted() -> None:
    """The hook's counter has the number of times that its attempts cost the receiver's kept
    connections, and other time-outs are not among them.
    """
    bench = SchedulerHarness()
    for gave_up in (True, False, True, False):
        time_out(bench, gave_up=gave_up)
    assert bench.metrics.registry.get_sample_value(GIVEN_UP, {"hook": "h"}) == 2


def test_a_line_comes_at_most_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    """Connections that are given up are logged at once, then at most once a minute with the number
    of all.
    """
    bench = SchedulerHarness(circuit=CircuitPolicy(min_volume=1_000))

    def told() -> list[int]:
        return [
            record.__dict__["fields"]["times"]
            for record in caplog.records
            if record.getMessage().startswith(LINE)
        ]

    time_out(bench, gave_up=False)
    assert told() == []
    for _ in range(5):
        time_out(bench, gave_up=True)
    assert told() == [1]
    bench.clock.advance(59.0)
    time_out(bench, gave_up=True)
    assert told() == [1]
    bench.clock.advance(1.0)
    time_out(bench, gave_up=True)
    assert told() == [1, 7]
