"""A record of the delivery log as JSON."""

from consumer.journal.log_search import FoundDelivery
from consumer.journal.records import DeliveryRecord, Followed, Phases
from consumer.services.deliveries import delivery_facts

RECORD = DeliveryRecord(
    at="2026-11-24T21:05:06.120Z", delivery="01JD1:click-analytics", hook="click-analytics",
    source="t/0/1", replica="r", attempt=1, outcome=Followed.DEAD_LETTER, event="01JD1",
    revision=3, status=404, error="tls", ms=Phases(0.5, 1, 2, 7.25, 8.0), retry_at="later",
    reason="permanent", user="u", trace="t",
)  # fmt: skip


def test_the_json_of_a_delivery_has_each_field_of_its_record() -> None:
    """The JSON of a delivery has every field of its record, in their order, and its place."""
    facts = delivery_facts(FoundDelivery(RECORD, 0, 4, 5))
    phases = {"dns": 0.5, "connect": 1, "tls": 2, "first_byte": 7.25, "all": 8.0}
    assert facts == RECORD._asdict() | {"ms": phases, "partition": 4, "offset": 5}
    assert list(facts) == [*DeliveryRecord._fields, "partition", "offset"]


def test_a_delivery_without_an_attempt_has_no_phases() -> None:
    """The JSON of a delivery that ended without an attempt has null in place of the phases."""
    assert delivery_facts(FoundDelivery(RECORD._replace(attempt=0), 0, 4, 5))["ms"] is None
