"""The requests that must be sent, computed a second time and naively.

Written from the rules of docs/reference/events.md and docs/reference/hooks.md alone, and sharing no
line with the daemon: it scans all hooks for each event, reads with the standard library's JSON and
expands with the `uritemplate` library.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

import uritemplate

from support.cluster import Placed

Json = Any
Headers = tuple[tuple[str, str], ...]
Sent = tuple[str, Headers]
"""Request target, and the configured headers as (lower-case name, value), sorted."""

_RESERVED = "-._~:/?#[]@!$&'()*+,;=%"
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")


@dataclass(slots=True)
class Expected:
    """The requests and rejects that a set of events must cause."""

    requests: Counter[Sent] = field(default_factory=Counter)
    rejects: Counter[tuple[str, str]] = field(default_factory=Counter)
    """(source of the record, hook id)."""


class Reject(Exception):  # noqa: N818  # no error: a reject is what the contract asks for
    """A delivery that goes to the dead-letter topic."""


def expect(
    hooks: Iterable[Mapping[str, Json]],
    sources: Mapping[str, Mapping[str, Json]],
    records: Iterable[Placed],
) -> Expected:
    """Requests and rejects of decodable `records`; `sources` by topic, as in the settings."""
    hooks = list(hooks)
    expected = Expected()
    for record in records:
        source = sources[record.topic]
        event, subject = _event(record, source.get("fields", {}), source["trigger"])
        for hook in hooks:
            if not _fires(hook, source["trigger"], subject, event):
                continue
            try:
                expected.requests[_request(hook, event)] += 1
            except Reject:
                expected.rejects[record.source, hook["id"]] += 1
    return expected


def _event(record: Placed, fields: Mapping[str, str], trigger: str) -> tuple[Json, Json]:
    """The event in the documented shape, and its subject."""
    assert record.value is not None
    raw = json.loads(record.value)
    event = json.loads(record.value)
    for name, path in fields.items():
        value = _walk(raw, path)
        if name in {"user_id", "user_attributes", "device_id", "device_attributes"}:
            owner, _, part = name.partition("_")
            if not isinstance(event.get(owner), dict):
                event[owner] = {}
            event[owner][part] = value
        elif name != "subject":
            event[name] = value
    if event.get("id") is None:
        event["id"] = f"{record.topic}-{record.partition}-{record.offset}"
    if event.get("occurred_at") is None:
        event["occurred_at"] = record.timestamp
    if "subject" in fields:
        return event, _walk(raw, fields["subject"])
    place = {
        "push_click": "notification.id",
        "message_log": "notification.id",
        "geofence": "data.geofence_id",
        "event": "data.event_key",
    }[trigger]
    return event, _walk(event, place)


def _walk(value: Json, path: str) -> Json:
    for step in path.split("."):
        value = value.get(step) if isinstance(value, dict) else None
    return value


def _fires(hook: Mapping[str, Json], trigger: str, subject: Json, event: Json) -> bool:
    composed = _composed(event).get(hook["id"])
    return (
        hook.get("enabled", True)
        and hook["trigger"] == trigger
        and ("app" not in hook or hook["app"] == event.get("app"))
        and ("select" not in hook or subject in hook["select"])
        and _walk(event, "notification.hooks_disabled") is not True
        and (isinstance(composed, dict) or not _must_be_composed(hook))
        and conditions_hold(hook.get("when", {}), event)
    )


def conditions_hold(when: Mapping[str, Json], event: Json) -> bool:
    """Whether an event passes a `when`, both as JSON."""
    return all(
        any(conditions_hold(one, event) for one in test)
        if path == "any"
        else _passes(test, _value_at(event, path))
        for path, test in when.items()
    )


def _value_at(value: Json, path: str) -> Json:
    for step in path.split("."):
        if isinstance(value, list):
            value = value[int(step)] if step.isdecimal() and int(step) < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value


def _passes(test: Json, value: Json) -> bool:
    if isinstance(test, list):
        test = {"any_of": test}
    if not isinstance(test, dict):
        test = {"equals": test}
    return all(_passes_one(name, argument, value) for name, argument in test.items())


def _passes_one(name: str, argument: Json, value: Json) -> bool:
    if name == "exists":
        return bool((value is not None) == argument)
    if isinstance(value, list):
        return any(_element_passes(name, argument, element) for element in value)
    return _element_passes(name, argument, value)


def _element_passes(name: str, argument: Json, value: Json) -> bool:
    known = argument if isinstance(argument, list) else [argument]
    is_one_of = any(type_of(one) == type_of(value) and one == value for one in known)
    if name in {"equals", "any_of"}:
        return is_one_of
    if name == "not":
        return not is_one_of
    if name in {"below", "at_most", "above", "at_least"}:
        if type_of(value) != "number":
            return False
        below, equal = bool(value < argument), bool(value == argument)
        results = {
            "below": below, "at_most": below or equal,
            "above": not below and not equal, "at_least": not below,
        }  # fmt: skip
        return results[name]
    if not isinstance(value, str):
        return False
    texts: dict[str, bool] = {
        "starts_with": value[: len(argument)] == argument,
        "ends_with": value[::-1][: len(argument)] == argument[::-1],
        "contains": argument in value,
        "same_text": value.casefold() == argument.casefold(),
    }
    return texts[name]


def type_of(value: Json) -> str:
    """JSON's type of a value."""
    if isinstance(value, bool):
        return "boolean"
    return "number" if isinstance(value, int | float) else type(value).__name__


def _must_be_composed(hook: Mapping[str, Json]) -> bool:
    entries = {entry["key"] for entry in hook.get("parameters", ())}
    described = hook.get("uri_parameters", {})
    return any(
        name not in entries and "default" not in described[name]
        for name in uritemplate.variables(hook["uri"])
    )


def _composed(event: Json) -> Mapping[str, Json]:
    """Hook id to composed values, the clicked button's before the notification's."""
    action = _walk(event, "data.action_id")
    buttons = _walk(event, "notification.buttons")
    if isinstance(action, str) and isinstance(buttons, dict):
        mapping = _walk(buttons.get(action), "hooks")
        if isinstance(mapping, dict):
            return mapping
    mapping = _walk(event, "notification.hooks")
    return mapping if isinstance(mapping, dict) else {}


def _request(hook: Mapping[str, Json], event: Json) -> Sent:
    braces = list(uritemplate.variables(hook["uri"]))
    entries = {entry["key"]: entry for entry in hook.get("parameters", ())}
    values: dict[str, Json] = {
        name: _brace(hook, name, hook["uri_parameters"][name], entries.get(name), event)
        for name in braces
    }
    target = quote(uritemplate.expand(hook["uri"], values), safe=_RESERVED)
    target = "/" + target.split("://", 1)[1].partition("/")[2]
    if {".", ".."} & set(target.partition("?")[0].split("/")):
        raise Reject  # a value must not climb: no receiver would see the template's path
    for key, entry in entries.items():
        text = None if key in braces else _entry(entry, event)
        if text is not None:
            joint = "" if target[-1] in "?&" else "&" if "?" in target else "?"
            target += joint + uritemplate.expand("{key}={text}", key=key, text=text)
    return target, _headers(hook, event)


def _headers(hook: Mapping[str, Json], event: Json) -> Headers:
    found = []
    for entry in hook.get("headers", ()):
        text = _entry(entry, event)
        if text is None:
            continue
        if _CONTROL.search(text):
            raise Reject  # a value must not add a header
        found.append((entry["key"].lower(), text.strip(" \t")))
    return tuple(sorted(found))


def _brace(
    hook: Mapping[str, Json],
    name: str,
    described: Mapping[str, Json],
    entry: Mapping[str, Json] | None,
    event: Json,
) -> str:
    values = _composed(event).get(hook["id"])
    text = _text(values.get(name)) if isinstance(values, dict) else None
    if text is None and entry is not None:
        text = _text(_value(entry, event))
    if text is None:
        text = described.get("default")
    if text is not None:
        return text
    if (described.get("missing") or (entry or {}).get("missing") or "reject") == "reject":
        raise Reject
    return ""


def _entry(entry: Mapping[str, Json], event: Json) -> str | None:
    """The text of a header or parameter; None if it is left out."""
    text = _text(_value(entry, event))
    if text is None and entry.get("missing") == "reject":
        raise Reject
    return "" if text is None and entry.get("missing") == "empty" else text


def _value(entry: Mapping[str, Json], event: Json) -> Json:
    name = entry["value"]
    if entry["source"] == "fixed":
        return name
    if entry["source"] == "event":
        return _walk(event, name)
    owner = _walk(event, {"profile": "user", "device": "device"}[entry["source"]])
    if not isinstance(owner, dict):
        return None
    if name == "id":
        return owner.get("id")
    attributes = owner.get("attributes")
    return attributes.get(name) if isinstance(attributes, dict) else None


def _text(value: Json) -> str | None:
    match value:
        case None:
            return None
        case bool():
            return "true" if value else "false"
        case list():
            return ",".join(text for item in value if (text := _text(item)) is not None)
        case dict():
            return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
        case _:
            return str(value)
