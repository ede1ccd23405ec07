"""How a person's event is read, and why a hook does not fire for it."""

import io
from typing import Any

import orjson
import pytest
import typer

from consumer.cli.event import read_event
from consumer.events.triggers import Trigger
from consumer.settings import Settings
from support.fakes import FakeClock


def _read(document: object, trigger: Trigger | None = "push_click", **sections: Any) -> Any:
    file = io.BytesIO(orjson.dumps(document))
    file.name = "event.json"  # as a file opened by name has
    return read_event(file, trigger, Settings.model_validate(sections), FakeClock())


def test_it_is_read_as_its_source_is_mapped() -> None:
    """A person's event is read with the field mapping of the first source that has that
    trigger.
    """
    sources = [
        {"topic": "other", "trigger": "geofence", "fields": {"id": "wrong"}},
        {"topic": "clicks", "trigger": "push_click", "fields": {"id": "meta.uuid", "app": "key"}},
        {"topic": "later", "trigger": "push_click"},
    ]
    event = _read({"meta": {"uuid": "e7"}, "key": "shop"}, sources=sources)
    assert (event.id, event.app, event.trigger) == ("e7", "shop", "push_click")


def test_what_it_lacks_comes_from_a_record_that_never_was() -> None:
    """An event without id or time gets those of a made-up record: an id from its position and the
    present time.
    """
    event = _read({})
    assert event.id == "push-click-0-0"
    assert event.occurred_at == pytest.approx(FakeClock().now(), abs=0.001)


def test_a_trigger_without_a_source() -> None:
    """An event of a trigger without a source is read in the documented shape."""
    sources = [{"topic": "fences", "trigger": "geofence"}]
    assert _read({"id": "e1"}, sources=sources).id == "e1"


def test_what_is_no_event_is_wrong_usage() -> None:
    """A file that holds no event is wrong usage and is named."""
    with pytest.raises(typer.BadParameter, match=r"event\.json: the JSON value is not an object"):
        _read([])


@pytest.mark.parametrize(
    ("document", "trigger"),
    [
        ({"data": {"event_key": "basket"}}, "event"),
        ({"data": {"geofence_id": "g1"}}, "geofence"),
        ({"notification": {"id": "sale"}}, "push_click"),
        ({"notification": {"id": "sale"}, "data": {"status": "FAILED"}}, "message_log"),
    ],
)
def test_an_event_s_fields_tell_its_trigger(document: dict[str, Any], trigger: str) -> None:
    """Without a named trigger an event is what its fields tell."""
    assert _read(document, None).trigger == trigger


def test_fields_that_tell_nothing_are_wrong_usage() -> None:
    """An event whose fields tell no trigger is wrong usage, with a hint; what is no event is said
    to be none.
    """
    with pytest.raises(typer.BadParameter, match=r"do not tell what it is; name its --trigger"):
        _read({"id": "e1"}, None)
    with pytest.raises(typer.BadParameter, match=r"the JSON value is not an object"):
        _read([], None)


def test_a_file_of_a_cloudevent_or_of_its_event() -> None:
    """For a source of CloudEvents a file holds a CloudEvent, whose data tells its trigger, or the
    event that it is decoded to.
    """
    sources = [{"topic": "t", "trigger": "geofence", "format": "cloudevents"}]
    whole = {"specversion": "1.0", "id": "e1", "source": "/s", "type": "t"}
    data = {"data": {"geofence_id": "g1"}}
    event = _read({**whole, "data": data}, None, sources=sources)
    assert (event.id, event.subject, event.trigger) == ("e1", "g1", "geofence")
    assert _read({"id": "e2", **data}, None, sources=sources).id == "e2"
