"""What a failing test prints of records and acknowledgements."""

from prometheus_client import CollectorRegistry

from consumer.metrics import Metrics
from consumer.reasons import Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.order_lines import OrderLines
from consumer.records.tracker import OffsetTracker
from consumer.stream.outgoing import OutgoingRecord, Writer
from support.fakes import FakeClock, FakeRecord


def test_reprs_name_positions_and_what_is_unsettled() -> None:
    """A tracker, a record in flight and an outgoing record print their positions and state, and
    neither key nor value of the record.
    """
    tracker = OffsetTracker("retry", 3, 0)
    source = FakeRecord(b"canary", "event", 2, 7, key=b"canary")
    in_flight = tracker.receive(4, source, 2, now=0.0)
    assert repr(in_flight) == "<InFlightRecord retry/3/4, from event/2/7: 2 deliveries left>"
    assert repr(tracker) == "<OffsetTracker retry/3: committable 4, next 5, 1 unsettled>"
    tracker.revoked = True
    assert repr(tracker).endswith("1 unsettled, revoked>")
    metadata = DeliveryMetadata(Reason.EXPIRED, "event", 2, 7, 0, "event", hook="h1")
    hook = Metrics("0", CollectorRegistry()).hook("h1")
    outgoing = OutgoingRecord(
        Writer("group", "dead", "overflow", lambda _metadata: None, OrderLines(FakeClock())),
        "dead",
        in_flight,
        metadata,
        hook,
        reason=Reason.EXPIRED,
    )
    assert repr(outgoing) == f"<OutgoingRecord to dead, whole: {metadata!r}>"
    for part in ("reason=<Reason.EXPIRED", "topic='event', partition=2, offset=7", "hook='h1'"):
        assert part in repr(metadata)
    assert "canary" not in repr((tracker, in_flight, outgoing))
