"""Awkward events and hooks of every kind, equal ones for an equal seed."""

import json
from collections.abc import Iterator, Mapping
from itertools import count, islice
from random import Random
from typing import Any

Json = Any

TRIGGERS = ("push_click", "message_log", "geofence", "event")
APPS = ("shop", "news")
SUBJECTS = ("spring-sale", "yaz indirimi", "50% off/now", "東京")
ACTIONS = ("buy", "sonra ara", "a.b")
TEXTS = (
    "plain", "İstanbul", "ğüşıöç ĞÜŞİÖÇ", "東京 タワー", "한국어", "🎉 party", "e\u0301 = é",
    "a/b", "../up", "..", ".", "50%", "%41%2F", "a&b=c", "x+y z", "{brace}", "}{", "{{campaign}}",
    "\"double\" 'single'", "a?b#c", "a;b,c", "back\\slash", "-._~", "<b>&amp;</b>", "$HOME `id`",
    "https://evil.example/@x:80", " blanks ", "tab\there", "", "\u202eright to left", "null",
    "line\nbreak", "cr\r\nX-Evil: 1", "nul\x00byte", "\x7fdelete", "\u2028separator",
)  # fmt: skip
"""Values that some encoder, somewhere, gets wrong."""
ATTRIBUTES = ("city", "language", "externalSegments", "dotted.name", "şehir", "mdl")
DATA = ("push_instance_id", "deeplink", "status", "title", "price", "category", "nested", "items")

FOREIGN = {
    "id": "meta.uuid",
    "occurred_at": "meta.ts",
    "app": "app_key",
    "user_id": "customer.id",
    "user_attributes": "customer.traits",
    "device_id": "handset.serial",
    "device_attributes": "handset",
    "notification": "push",
    "data": "click",
    "subject": "push.name",
}
"""A topic of another shape, as `sources[].fields` maps it."""

_TEMPLATES = (
    "", "/{first}", "/{first}/x/{second}", "?q={first}", "/{first}?z={second}&w={first}",
    "/ş ehir/{first}".replace(" ", "%20"), "/fixed%20text?a=1", "/x?", "/{first};v=1/({second})",
)  # fmt: skip
_HEADERS = ("X-User", "x-city", "X-Fixed", "X-Odd!#$", "Authorization")
_PARAMETERS = ("uid", "k ey&=+", "şehir", "a[0]", "{p}", "p.q")


class Generator:
    """The source of everything random in the tests against the oracle."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)  # noqa: S311  # repeatable, and no secret
        self._numbers = count()

    def hooks(self, origin: str, each: int) -> list[Json]:
        """`each` hooks for every trigger; the path's second segment is the hook's id."""
        return [
            self._hook(f"{trigger.replace('_', '-')}-{number}", trigger, origin)
            for trigger in TRIGGERS
            for number in range(each)
        ]

    def events(self, trigger: str, number: int) -> Iterator[Json]:
        """`number` events in the documented shape. Those with an id have one of their own."""
        for serial in islice(self._numbers, number):
            yield self._event(trigger, serial)

    def _some(self, share: float) -> bool:
        return self._random.random() < share

    def _hook(self, hook_id: str, trigger: str, origin: str) -> Json:
        pick, template = self._random, self._random.choice(_TEMPLATES)
        braces = [name for name in ("first", "second") if f"{{{name}}}" in template]
        hook: Json = {
            "id": hook_id,
            "trigger": trigger,
            "uri": f"{origin}/h/{hook_id}{template}",
            "headers": [self._entry(name) for name in self._names(_HEADERS)],
            "parameters": [self._entry(name) for name in self._names(_PARAMETERS)],
        }
        if braces:
            hook["uri_parameters"] = {name: self._brace(name) for name in braces}
            hook["parameters"] += [self._entry(name) for name in braces if self._some(0.4)]
            pick.shuffle(hook["parameters"])
        if self._some(0.5):
            hook["select"] = pick.sample(SUBJECTS, 2)
        if self._some(0.3):
            hook["app"] = pick.choice(APPS)
        if self._some(0.1):
            hook["enabled"] = False
        if self._some(0.3):
            hook["when"] = self._conditions()
        return hook

    def _conditions(self) -> Json:
        """Conditions that about half of the events pass."""
        pick = self._random
        owner = pick.choice(["user", "device"])
        path = pick.choice([f"data.{pick.choice(DATA)}", f"{owner}.attributes.city", "data.nested"])
        test = pick.choice(
            [
                {"exists": self._some(0.5)},
                {"not": [*pick.sample(TEXTS, 8), 0]},
                [*pick.sample(TEXTS, 16), 12.5, 2**53 + 1, True],
                {"above": -8, "at_most": 2**53},
                {"contains": "a"},
                {"same_text": self._text()},
            ]
        )
        if self._some(0.5):
            return {path: test}
        return {"any": [{path: test}, {"data.status": {"exists": True}}]}

    def _names(self, names: tuple[str, ...]) -> list[str]:
        return self._random.sample(names, self._random.randrange(len(names)))

    def _brace(self, name: str) -> Json:
        described = {"label": f"The {name} one"}
        if self._some(0.4):
            described["default"] = self._text()
        if self._some(0.3):
            described["missing"] = self._random.choice(["omit", "empty", "reject"])
        return described

    def _entry(self, key: str) -> Json:
        source = self._random.choice(["profile", "device", "event", "event", "fixed"])
        paths = [f"data.{name}" for name in DATA]
        value = {
            "profile": ("id", *ATTRIBUTES),
            "device": ("id", *ATTRIBUTES),
            "event": ("id", "app", "occurred_at", "data", "data.nested.deep", "user.id", *paths),
            "fixed": ("fixed value", "İ/&=+%", "7"),
        }[source]
        entry = {"key": key, "source": source, "value": self._random.choice(value)}
        if self._some(0.4):
            entry["missing"] = self._random.choice(["omit", "empty", "reject"])
        return entry

    def _event(self, trigger: str, number: int) -> Json:
        event: Json = {"unknown": self._value()}
        if self._some(0.8):
            event["id"] = self._random.choice([f"e{number}", f"{self._text()}.{number}", number])
        if self._some(0.6):
            event["occurred_at"] = self._random.choice(
                ["2026-11-24T10:00:00.123Z", "2026-11-24T13:00:00+03:00", 1_795_514_400_123]
            )
        if self._some(0.8):
            event["app"] = self._random.choice(APPS)
        for owner in ("user", "device"):
            if self._some(0.85):
                event[owner] = self._owner()
        data: Json = {name: self._value() for name in DATA if self._some(0.5)}
        data["nested"] = self._random.choice([{"deep": self._value()}, self._value()])
        subject = self._random.choice((*SUBJECTS, None))
        if trigger in {"push_click", "message_log"}:
            event["notification"] = self._notification(trigger, subject)
            if trigger == "push_click" and self._some(0.5):
                data["action_id"] = self._random.choice(ACTIONS)
        else:
            data["geofence_id" if trigger == "geofence" else "event_key"] = subject
            if self._some(0.3):
                event["notification"] = self._notification(trigger, "other")
        event["data"] = data
        return event

    def _owner(self) -> Json:
        if self._some(0.1):
            return self._random.choice([None, "u1", [], {}])
        attributes = {name: self._value() for name in ATTRIBUTES if self._some(0.7)}
        return {"id": self._value(), "attributes": None if self._some(0.05) else attributes}

    def _notification(self, trigger: str, subject: Json) -> Json:
        notification: Json = {"id": subject}
        if self._some(0.6):
            notification["hooks"] = self._composed(trigger)
        if self._some(0.5):
            notification["buttons"] = {
                action: {"hooks": self._composed(trigger)} if self._some(0.7) else {"label": "x"}
                for action in ACTIONS[:2]
            }
        if self._some(0.15):
            notification["hooks_disabled"] = self._random.choice([True, True, False, None])
        return notification

    def _composed(self, trigger: str) -> Json:
        return {
            f"{trigger.replace('_', '-')}-{number}": {
                name: self._value() for name in ("first", "second") if self._some(0.8)
            }
            for number in range(8)
            if self._some(0.5)
        }

    def _text(self) -> str:
        return self._random.choice(TEXTS)

    def _value(self, depth: int = 0) -> Json:
        kinds = (
            ["text"] * 8
            + ["number", "bool", "null"]
            + (["list", "object"] * 2 if depth < 2 else [])
        )
        match self._random.choice(kinds):
            case "text":
                return self._text()
            case "number":
                return self._random.choice([0, -7, 12.5, 1.0, 2**53 + 1, 0.1])
            case "bool":
                return self._some(0.5)
            case "list":
                return [self._value(depth + 1) for _ in range(self._random.randrange(4))]
            case "object":
                return {
                    self._text(): self._value(depth + 1) for _ in range(self._random.randrange(3))
                }
        return None


def foreign(event: Json) -> Json:
    """The event in the shape that `FOREIGN` maps; for triggers with a notification."""
    user, device = (_dict(event.get(owner)) for owner in ("user", "device"))
    notification = event["notification"]
    return {
        "meta": {"uuid": event.get("id"), "ts": event.get("occurred_at")},
        "app_key": event.get("app"),
        "customer": {"id": user.get("id"), "traits": user.get("attributes")},
        "handset": {**_dict(device.get("attributes")), "serial": device.get("id")},
        "push": {**notification, "id": "not this one", "name": notification["id"]},
        "click": event.get("data"),
        "id": "not this one",
        "user": {"more": 1},
    }


def encode(event: Json, *, ascii_only: bool = False) -> bytes:
    """The value of a record."""
    return json.dumps(event, ensure_ascii=ascii_only).encode()


def _dict(value: Json) -> Mapping[str, Json]:
    return value if isinstance(value, dict) else {}


def events_by_topic(
    generator: Generator, topics: Mapping[str, Mapping[str, Json]], total: int
) -> dict[str, list[bytes]]:
    """`total` encoded events spread over `topics` (as `sources` in the settings)."""
    share = total // len(topics)
    return {topic: list(_encoded(generator, source, share)) for topic, source in topics.items()}


def _encoded(generator: Generator, source: Mapping[str, Json], number: int) -> Iterator[bytes]:
    for index, event in enumerate(generator.events(source["trigger"], number)):
        shaped = foreign(event) if source.get("fields") else event
        yield encode(shaped, ascii_only=index % 2 == 0)
