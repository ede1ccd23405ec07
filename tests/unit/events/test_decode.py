"""From a record's bytes to an event: the rules of docs/reference/events.md, one by one."""

from typing import Any

import pytest

from consumer.events.decode import Decoder
from consumer.events.triggers import Trigger
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord, make_event, make_record

RECORD_TIME = 1_800_000_000.0
"""Seconds: the timestamp of a record that the test does not date."""


@pytest.mark.parametrize(
    ("trigger", "document", "subject"),
    [
        ("push_click", {"notification": {"id": "spring-sale"}}, "spring-sale"),
        ("message_log", {"notification": {"id": "spring-sale"}}, "spring-sale"),
        ("geofence", {"data": {"geofence_id": "shop-7"}}, "shop-7"),
        ("event", {"data": {"event_key": "purchase"}}, "purchase"),
        ("event", {"data": {"event_key": 17}}, "17"),
        ("event", {"data": {"event_key": ["purchase"]}}, None),
        ("event", {"data": {"event_key": True}}, None),
        ("event", {"data": "purchase"}, None),
        ("event", {"notification": {"id": "spring-sale"}}, None),
        ("push_click", {"notification": "spring-sale"}, None),
    ],
)
def test_the_subject_is_what_the_trigger_says(
    trigger: Trigger, document: dict[str, Any], subject: str | None
) -> None:
    """Each trigger has its own subject, and one of another type counts as absent."""
    assert make_event({"id": "e1", **document}, trigger).subject == subject


@pytest.mark.parametrize(
    ("document", "id"),
    [
        ({"id": "01JD"}, "01JD"),
        ({"id": 17}, "17"),
        ({"id": 0}, "0"),
        ({}, "event-3-9"),
        ({"id": None}, "event-3-9"),
        ({"id": ""}, "event-3-9"),
    ],
)
def test_an_event_without_an_id_takes_its_position_in_kafka(document: object, id: str) -> None:
    """An event without an id gets `topic-partition-offset`, and hooks can send it."""
    event = Decoder("event")(make_record(document, partition=3, offset=9))
    assert event.id == id
    assert str(event.document["id"]) == id


@pytest.mark.parametrize("id", [True, 1.5, ["a"], {"a": 1}])
def test_an_id_that_is_no_name_is_undecodable(id: object) -> None:
    """An id of another type than text or integer is undecodable, since it would not be the same on
    every replay.
    """
    with pytest.raises(UndecodableError, match="id"):
        Decoder("event")(FakeRecord(f'{{"id": {str(id).lower()}}}'.replace("'", '"').encode()))


@pytest.mark.parametrize(
    ("occurred_at", "seconds"),
    [
        ("2026-11-24T10:00:00.123Z", 1_795_514_400.123),
        ("2026-11-24t10:00:00.123z", 1_795_514_400.123),
        ("2026-11-24T13:00:00+03:00", 1_795_514_400.0),
        ("2026-11-24 10:00:00Z", 1_795_514_400.0),
        ("2026-11-24T10:00:00.123456789Z", 1_795_514_400.123456),
        ("2026-11-24T10:00:00", 1_795_514_400.0),
        (1_795_514_400_123, 1_795_514_400.123),
        (1_795_514_400_123.0, 1_795_514_400.123),
        (0, 0.0),
        (None, RECORD_TIME),
        ("yesterday", RECORD_TIME),
        ("", RECORD_TIME),
        (True, RECORD_TIME),
        ([2026], RECORD_TIME),
    ],
)
def test_the_time_is_rfc3339_or_milliseconds(occurred_at: object, seconds: float) -> None:
    """An event's time is RFC 3339 or milliseconds, and one that cannot be read is replaced by the
    record's.
    """
    event = make_event({"id": "e1", "occurred_at": occurred_at})
    assert event.occurred_at == pytest.approx(seconds, abs=1e-6)


def test_an_absent_time_is_the_records_and_can_be_sent() -> None:
    """An event without a time has the record's, and hooks can send it in milliseconds."""
    assert make_event({"id": "e1"}).document["occurred_at"] == RECORD_TIME * 1000


def test_unknown_fields_are_kept() -> None:
    """Unknown fields of an event are kept, so hooks can send them."""
    extra = {"id": "e1", "colour": {"deep": [1, None]}, "user": {"id": "u1", "tier": "gold"}}
    document = make_event(extra).document
    assert {name: document[name] for name in extra} == extra


@pytest.mark.parametrize(
    ("document", "app", "notification"),
    [
        ({"app": "shop", "notification": {"id": "n"}}, "shop", {"id": "n"}),
        ({"app": 7, "notification": None}, "7", None),
        ({"app": {}, "notification": []}, None, None),
        ({}, None, None),
    ],
)
def test_a_part_of_another_type_is_absent(
    document: dict[str, Any], app: str | None, notification: object
) -> None:
    """A part of an event with another type counts as absent."""
    event = make_event({"id": "e1", **document})
    assert (event.app, event.notification) == (app, notification)


@pytest.mark.parametrize(
    "value",
    [
        None,
        b"",
        b"\xff\xfe{}",
        b"[]",
        b'"text"',
        b"null",
        b"{",
        b'{"id": NaN}',
        b'{"id": "\\ud800"}',
        b'{"id": "a"} {"id": "b"}',
        b"[" * 100_000,
        b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    ],
)
def test_what_is_no_json_object_is_undecodable(value: bytes | None) -> None:
    """A record that is no JSON object is undecodable, and the reason quotes nothing of it."""
    with pytest.raises(UndecodableError):
        Decoder("event")(FakeRecord(value))


def test_the_reason_quotes_nothing() -> None:
    """The reason of an undecodable record quotes nothing of it, since events hold personal data."""
    with pytest.raises(UndecodableError) as caught:
        Decoder("event")(FakeRecord(b'{"mail": canary@example.com}'))
    assert "canary" not in str(caught.value)


FOREIGN = {
    "uuid": "f1",
    "when": 1_795_514_400_000,
    "tenant": {"name": "shop"},
    "person": {"no": "u1", "traits": {"city": "Bursa"}},
    "phone": {"no": "d1", "traits": {"os": "IOS"}},
    "campaign": {"id": "spring"},
    "payload": {"what": [{"key": "purchase"}]},
    "user": {"tier": "gold"},
}
FIELDS = {
    "id": "uuid",
    "occurred_at": "when",
    "app": "tenant.name",
    "user_id": "person.no",
    "user_attributes": "person.traits",
    "device_id": "phone.no",
    "device_attributes": "phone.traits",
    "notification": "campaign",
    "data": "payload",
    "subject": "payload.what.0.key",
}


def test_a_foreign_shape_is_mapped() -> None:
    """Every name of `sources[].fields` maps its part of a foreign event."""
    event = Decoder("event", FIELDS)(make_record(FOREIGN))
    assert (event.id, event.occurred_at) == ("f1", 1_795_514_400.0)
    assert (event.app, event.subject, event.notification) == ("shop", "purchase", {"id": "spring"})
    assert event.document["user"] == {"tier": "gold", "id": "u1", "attributes": {"city": "Bursa"}}
    assert event.document["device"] == {"id": "d1", "attributes": {"os": "IOS"}}
    assert event.document["data"] == FOREIGN["payload"]
    assert event.document["tenant"] == FOREIGN["tenant"]


def test_a_mapped_path_that_leads_nowhere_is_absent() -> None:
    """A mapped path that leads nowhere is absent, and the documented one does not replace it."""
    event = Decoder("event", FIELDS)(make_record({"id": "own", "app": "own"}, offset=4))
    assert (event.id, event.app, event.subject) == ("event-0-4", None, None)


def test_one_mapped_field_leaves_the_others_at_their_places() -> None:
    """A mapped field leaves all other fields at their documented paths."""
    event = Decoder("geofence", {"subject": "fence"})(
        make_record({"id": "e1", "fence": "shop-7", "data": {"geofence_id": "other"}})
    )
    assert (event.id, event.subject) == ("e1", "shop-7")
