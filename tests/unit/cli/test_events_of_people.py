"""How a person's event is read, and why a hook does not fire for it."""

import io
from typing import Any

import orjson
import pytest
import typer

from consumer.cli.event import mismatch_reason, read_event
from consumer.hooks.table import Hook
from consumer.settings import Settings
from support.fakes import FakeClock, make_event, make_hook


def _read(document: object, hook: Hook, **sections: Any) -> Any:
    file = io.BytesIO(orjson.dumps(document))
    file.name = "event.json"  # as a file opened by name has
    return read_event(file, hook, Settings.model_validate(sections), FakeClock())


def test_it_is_read_as_its_source_is_mapped() -> None:
    """A person's event is read with the field mapping of the first source that has the hook's
    trigger.
    """
    sources = [
        {"topic": "other", "trigger": "geofence", "fields": {"id": "wrong"}},
        {"topic": "clicks", "trigger": "push_click", "fields": {"id": "meta.uuid", "app": "key"}},
        {"topic": "later", "trigger": "push_click"},
    ]
    hook = make_hook(trigger="push_click")
    event = _read({"meta": {"uuid": "e7"}, "key": "shop"}, hook, sources=sources)
    assert (event.id, event.app, event.trigger) == ("e7", "shop", "push_click")


def test_what_it_lacks_comes_from_a_record_that_never_was() -> None:
    """An event without id or time gets those of a made-up record: an id from its position and the
    present time.
    """
    event = _read({}, make_hook(trigger="push_click"))
    assert event.id == "push-click-0-0"
    assert event.occurred_at == pytest.approx(FakeClock().now(), abs=0.001)


def test_a_trigger_without_a_source() -> None:
    """An event of a trigger without a source is read in the documented shape."""
    sources = [{"topic": "fences", "trigger": "geofence"}]
    assert _read({"id": "e1"}, make_hook(trigger="push_click"), sources=sources).id == "e1"


def test_what_is_no_event_is_wrong_usage() -> None:
    """A file that holds no event is wrong usage and is named."""
    with pytest.raises(typer.BadParameter, match=r"event\.json: the JSON value is not an object"):
        _read([], make_hook())


@pytest.mark.parametrize(
    ("hook", "document", "words"),
    [
        ({"enabled": False}, {}, "not enabled"),
        ({"select": {"a", "b"}}, {"notification": {"id": "c"}}, "c, and the hook selects a, b"),
        ({"select": {"a"}}, {}, "no subject"),
        ({"app": "shop"}, {"app": "bank"}, "the app bank, and the hook is for shop"),
        ({"app": "shop"}, {}, "no app"),
        ({}, {"notification": {"hooks_disabled": True}}, "hooks_disabled"),
        ({"needs_composed": True}, {"notification": {"id": "a"}}, "not composed"),
        ({}, {}, ""),
        ({"select": {"a"}, "app": "shop"}, {"notification": {"id": "a"}, "app": "shop"}, ""),
    ],
)  # fmt: skip
def test_why_a_hook_does_not_fire(
    hook: dict[str, Any], document: dict[str, Any], words: str
) -> None:
    """Each reason for which a hook does not fire has its own sentence, and a hook that fires has
    none.
    """
    if "select" in hook:
        hook = {**hook, "select": frozenset(hook["select"])}
    event = make_event({"id": "e1", **document}, trigger="push_click")
    reason = mismatch_reason(make_hook(trigger="push_click", **hook), event)
    assert words in reason
    assert bool(words) == bool(reason)
