"""What is remembered of deliveries that keep an order."""

from support.fakes import FakeRecord, make_hook, make_record
from support.pipeline_harness import PipelineHarness

HOOK = make_hook("h1", order="user")


def event(number: int) -> FakeRecord:
    """An event of one user."""
    return make_record({"id": f"e{number}", "user": {"id": "u1"}}, offset=number)


def test_a_line_is_remembered_once_however_much_of_it_waits() -> None:
    """What orders the lines that may go on has one entry for each, not one for each record."""
    harness = PipelineHarness(HOOK)
    tracker = harness.assign_home()
    harness.overflow.lines.crowded.add("h1")
    for number in range(50):
        harness.handle(event(number))
    for _ in range(50):
        harness.index_in_line(harness.acknowledge().record(), tracker)
    assert len(harness.overflow.lines.homes[0].hooks["h1"]._heap) == 1
    assert harness.next_in_line(tracker) == 0


def test_nothing_is_remembered_of_partitions_that_were_lost_at_once() -> None:
    """A delivery that is under way when its source partition and its home are lost together is
    forgotten with the next assignment.
    """
    harness = PipelineHarness(HOOK)
    harness.assign_home()
    harness.handle(event(0)).revoked = True
    harness.overflow.revoked(0)
    harness.handler._order.sweep()
    assert len(harness.overflow.lines) == len(harness.handler._order._heads) == 0
