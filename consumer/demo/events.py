"""Generates a shop app's events of all four triggers, the same for the same seed."""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from consumer.clock import Clock
from consumer.events.triggers import Trigger

_NAMES = (
    "Ayşe Yılmaz", "Mehmet Kaya", "Zeynep Demir", "Çağlar Öztürk", "Işıl Şahin", "Gülşen Çelik",
    "Oğuz Arslan", "Elif Doğan", "İbrahim Güneş", "Şebnem Aydın", "Ümit Koç", "Deniz Yıldırım",
    "Anna Schäfer", "José Muñoz", "Łukasz Nowak", "John O'Brien",
)  # fmt: skip
_CITIES = ("İstanbul", "Ankara", "İzmir", "Eskişehir", "Muğla", "Şanlıurfa", "Köln", "London")
_SEGMENTS = ("gold", "vip", "yeni üye", "sneaker-head", "winback")
_DEVICES = (
    ("IOS", "iPhone17,2", "5.4.1"),
    ("IOS", "iPhone15,4", "5.3.0"),
    ("ANDROID", "SM-S928B", "5.4.1"),
    ("ANDROID", "Redmi Note 13", "4.9.7"),
)
_BRANCHES = (
    ("branch-kadikoy", "Kadıköy", 40.9903, 29.0290),
    ("branch-besiktas", "Beşiktaş", 41.0430, 29.0094),
    ("branch-alsancak", "Alsancak", 38.4370, 27.1428),
)
_PRODUCTS = (
    ("ayakkabı", "Koşu ayakkabısı", 2499.9),
    ("elbise", "Çiçekli elbise", 1299.0),
    ("elektronik", "Kulaklık & şarj kılıfı", 3450.5),
    ("kitap", "Kürk Mantolu Madonna", 185.0),
)
_NOTIFICATIONS: tuple[dict[str, Any], ...] = (
    {
        "id": "spring-sale",
        "hooks": {"click-analytics": {"campaign": "bahar 26"}},
        "buttons": {"buy": {"hooks": {"click-analytics": {"campaign": "bahar 26/satın al"}}}},
    },
    {"id": "cart-reminder"},
    {"id": "survey", "hooks": {"survey-partner": {"form": "memnuniyet-7"}}},
    {"id": "night-maintenance", "hooks_disabled": True},
)
_ERRORS = (("UNREGISTERED", "token is not valid any more"), ("TIMEOUT", "no answer from the OS"))


@dataclass(frozen=True, slots=True)
class Generated:
    """One event as a Kafka record."""

    trigger: Trigger
    key: bytes
    """The user's id, so that one user's events stay in order."""
    value: bytes


def generate_events(seed: int, clock: Clock) -> Iterator[Generated]:
    """Endless events; `clock` gives the time at which each occurred."""
    chance = random.Random(seed)  # noqa: S311  # repeatable on purpose, and no secret
    triggers = tuple(_DATA)
    number = 0
    while True:
        number += 1
        (trigger,) = chance.choices(triggers, weights=(30, 30, 15, 25))
        user = chance.randrange(10_000)
        document = {
            "id": f"demo-{seed}-{number}",
            "occurred_at": datetime.fromtimestamp(clock.now(), UTC).isoformat(),
            "app": "shop",
            **_person(user, chance),
            **_DATA[trigger](chance),
        }
        yield Generated(trigger, f"u{user}".encode(), orjson.dumps(document))


def _person(user: int, chance: random.Random) -> dict[str, Any]:
    """A user and a device; one event in fifty has a device only, as without a login."""
    platform, model, version = _DEVICES[user % len(_DEVICES)]
    device = {
        "id": f"d{user}",
        "attributes": {"platform": platform, "mdl": model, "appV": version, "lang": "tr"},
    }
    if chance.random() < 0.02:  # noqa: PLR2004  # one in fifty
        return {"device": device}
    attributes = {
        "name": _NAMES[user % len(_NAMES)],
        "city": _CITIES[user % len(_CITIES)],
        "language": "tr",
        "newsletter": user % 3 == 0,
        "externalSegments": chance.sample(_SEGMENTS, k=user % 3),
    }
    return {"user": {"id": f"u{user}", "attributes": attributes}, "device": device}


def _push_click(chance: random.Random) -> dict[str, Any]:
    data = {"push_instance_id": f"p{chance.randrange(1 << 32):08x}", "deeplink": "shop://indirim"}
    if chance.random() < 0.5:  # noqa: PLR2004  # half of the clicks are on a button
        data["action_id"] = chance.choice(("buy", "later"))
    return {"notification": chance.choice(_NOTIFICATIONS), "data": data}


def _message_log(chance: random.Random) -> dict[str, Any]:
    data: dict[str, Any] = {"status": "SUCCESS", "channel": "push"}
    if chance.random() < 0.1:  # noqa: PLR2004  # one in ten
        code, message = chance.choice(_ERRORS)
        data |= {"status": "FAILED", "error_code": code, "error_message": message}
    return {"notification": chance.choice(_NOTIFICATIONS), "data": data}


def _geofence(chance: random.Random) -> dict[str, Any]:
    branch, title, latitude, longitude = chance.choice(_BRANCHES)
    return {
        "data": {
            "geofence_id": branch,
            "title": title,
            "transition": chance.choice(("enter", "exit")),
            "latitude": latitude,
            "longitude": longitude,
        }
    }


def _event(chance: random.Random) -> dict[str, Any]:
    category, product, price = chance.choice(_PRODUCTS)
    key = chance.choice(("product_viewed", "product_viewed", "purchase", "app_opened"))
    if key == "app_opened":
        return {"data": {"event_key": key}}
    data = {"event_key": key, "category": category, "product": product, "price": price}
    return {"data": data | {"gift": chance.random() < 0.2}}  # noqa: PLR2004  # one in five


_DATA: dict[Trigger, Callable[[random.Random], dict[str, Any]]] = {
    "push_click": _push_click,
    "message_log": _message_log,
    "geofence": _geofence,
    "event": _event,
}
