"""The closed lists: each member is handled everywhere."""

import pytest
from prometheus_client import CollectorRegistry

from consumer.metrics import Metrics
from consumer.metrics.hooks import status_label
from consumer.reasons import ErrorKind, Reason
from support.fakes import make_hook, make_record
from support.pipeline_harness import DEAD, EVENT, PipelineHarness
from support.project import ROOT


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_counted(reason: Reason) -> None:
    """A dead letter of any reason is counted, from a series that stood at zero.

    A reason that the metrics lacked would end the daemon after the broker's acknowledgement and
    before the commit.
    """
    metrics = Metrics("0", CollectorRegistry())
    labels = {"hook": "h1", "reason": reason.value}
    hook = metrics.hook("h1")
    assert metrics.registry.get_sample_value("hookstream_dead_letters_total", labels) == 0.0
    hook.dead_lettered(reason)
    assert metrics.registry.get_sample_value("hookstream_dead_letters_total", labels) == 1.0


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_leaves_and_settles(reason: Reason) -> None:
    """A dead letter of any reason is written, acknowledged, counted and settled."""
    harness = PipelineHarness(make_hook("h1"))
    tracker = harness.handle(make_record(EVENT))
    delivery = next(iter(harness.handler.scheduler._unfinished.deliveries))
    harness.router.dead_lettered(delivery, reason, "why")
    posted = harness.acknowledge()
    assert (posted.outgoing.topic, posted.metadata.reason) == (DEAD, reason)
    assert tracker.committable == 1


@pytest.mark.parametrize("reason", Reason)
def test_every_reason_is_told_to_operators(reason: Reason) -> None:
    """The page about dead letters explains each reason and what to do."""
    assert f"| `{reason}` |" in (ROOT / "docs" / "dead-letters.md").read_text()


@pytest.mark.parametrize("kind", ErrorKind)
def test_every_error_is_counted(kind: ErrorKind) -> None:
    """An attempt with any error is counted."""
    metrics = Metrics("0", CollectorRegistry())
    metrics.hook("h1").attempt(status_label(0, kind), 0.1)
    labels = {"hook": "h1", "status": kind.value}
    assert metrics.registry.get_sample_value("hookstream_attempts_total", labels) == 1.0
