"""CloudEvents as docs/reference/events.md describes them, and what is none."""

from typing import Any

import orjson
import pytest

from consumer.events.decode import Decoder
from consumer.events.formats.cloudevents import cloud_event
from consumer.records.record import UndecodableError
from support.fakes import FakeRecord

STRUCTURED = [("content-type", b"application/cloudevents+json; charset=UTF-8")]
BINARY = [
    ("ce_specversion", b"1.0"),
    ("ce_id", b"e1"),
    ("ce_source", b"/shop"),
    ("ce_type", b"click"),
]
EVENT = {"specversion": "1.0", "id": "e1", "source": "/shop", "type": "click"}


def _event(value: object, headers: Any = STRUCTURED, **fields: str) -> Any:
    raw = value if isinstance(value, bytes) or value is None else orjson.dumps(value)
    return Decoder("event", fields, cloud_event)(FakeRecord(raw, headers=headers))


def test_both_modes_are_the_same_event() -> None:
    """A CloudEvent in structured mode, with or without its header, and in binary mode is one event
    of its data, whose numbers keep their digits.
    """
    data = b'{"data": {"event_key": "basket", "price": 123456789012345678901}}'
    whole = orjson.dumps(EVENT)[:-1] + b', "time": "2026-11-24T10:00:00Z", "data": ' + data + b"}"
    headers = [*BINARY, ("ce_time", b"2026-11-24T10:00:00Z")]
    for event in (_event(whole), _event(whole, []), _event(data, headers)):
        assert (event.id, event.subject, event.occurred_at) == ("e1", "basket", 1_795_514_400.0)
        assert event.document["data"]["price"].text == "123456789012345678901"
        assert event.document["cloudevent"]["type"] == "click"


def test_an_own_id_in_the_data_is_not_the_event_s() -> None:
    """The id and time of a CloudEvent win over those in its data."""
    event = _event({**EVENT, "time": "2026-11-24T10:00:00Z", "data": {"id": "x", "occurred_at": 1}})
    assert (event.id, event.occurred_at) == ("e1", 1_795_514_400.0)


def test_a_cloudevent_without_data() -> None:
    """A CloudEvent without data, also as a record without a value, is an event."""
    for event in (_event(EVENT), _event(None, BINARY), _event(b"", BINARY)):
        assert (event.id, "data" in event.document) == ("e1", False)


def test_names_of_headers_that_are_not_remembered() -> None:
    """An attribute is found by its header, in capitals too, however many other names were met."""
    others = [(f"ce_x{number}", b"1") for number in range(2_000)]
    headers = [*others, ("CE_Shop", b"a"), *BINARY]
    for _ in range(2):
        attributes = _event(b"{}", headers).document["cloudevent"]
        assert (attributes["shop"], attributes["x0"], attributes["x1999"]) == ("a", "1", "1")


def test_fields_reach_attributes_and_the_data_as_a_whole() -> None:
    """Field mappings reach the attributes of a CloudEvent, and data of another shape as a whole."""
    fields = {"subject": "cloudevent.subject", "data": "cloudevent.data", "app": "cloudevent.shop"}
    event = _event({**EVENT, "subject": "s1", "shop": "a", "data": {"price": 5}}, **fields)
    assert (event.subject, event.app, event.document["data"]) == ("s1", "a", {"price": 5})


@pytest.mark.parametrize(
    ("value", "headers", "why"),
    [
        ([EVENT], [("content-type", b"application/cloudevents-batch+json")], "a batch"),
        (b"x", [("content-type", b"application/cloudevents+avro")], "another event format"),
        ({**EVENT, "data_base64": "eA=="}, STRUCTURED, "data_base64: write its data as"),
        ({**EVENT, "data": "x"}, STRUCTURED, "data is not a JSON object"),
        (b"[1]", BINARY, "data is not a JSON object"),
        (b"<a/>", [*BINARY, ("content-type", b"application/xml")], "its datacontenttype is"),
        ({**EVENT, "datacontenttype": "text/xml", "data": {}}, STRUCTURED, "its datacontenttype"),
        ({**EVENT, "datacontenttype": 7}, STRUCTURED, "datacontenttype is no text"),
        ({**EVENT, "specversion": "0.3"}, STRUCTURED, "specversion is not 1.0"),
        ({}, STRUCTURED, "specversion is not 1.0"),
        ({**EVENT, "id": ""}, STRUCTURED, "has no id"),
        ({**EVENT, "source": 7}, STRUCTURED, "has no source"),
        (b"{}", BINARY[:3], "has no type"),
        (b"{}", [*BINARY, ("ce_x", b"\xff")], "header is not UTF-8"),
        (b"\xff", STRUCTURED, "not JSON"),
        (None, STRUCTURED, "has no value"),
        (b" " * 2**20 + b"{}", BINARY, "longer than 1048576 bytes"),
    ],
)
def test_what_is_no_cloudevent_is_undecodable(value: object, headers: Any, why: str) -> None:
    """What is no CloudEvent, or has data that is no JSON object, is undecodable and says why."""
    with pytest.raises(UndecodableError, match=why):
        _event(value, headers)
