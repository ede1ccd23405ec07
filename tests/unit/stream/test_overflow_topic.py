"""Which partition of the overflow topic a hook's deliveries wait in."""

from consumer.metrics.stream import StreamMetrics
from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream.overflow_topic import OverflowTopic
from support.fakes import FakeClock, FakeRecord


def test_a_hook_keeps_its_partition_over_what_is_put_back() -> None:
    """A hook whose only delivery was taken and put back keeps its partition, though another one is
    emptier, so that later deliveries do not overtake it.
    """
    topic = OverflowTopic("overflow", FakeClock(), StreamMetrics())
    trackers = [OverflowTracker("overflow", number, 0) for number in range(2)]
    for tracker in trackers:
        topic.assigned(tracker)
    home = topic.write("a")
    assert home == 0
    trackers[0].add(0, "a", 0.0)
    topic.read(trackers[0], "a")
    trackers[0].receive(0, FakeRecord(), 1, 0.0)
    topic.taken("a")
    trackers[0].put_back(0, 0.0)
    topic.put_back(trackers[0], "a")
    assert topic.write("a") == 0
    assert topic.write("b") == 1
