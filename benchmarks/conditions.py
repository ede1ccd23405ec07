"""What conditions (`when`) cost a match: 100,000 hooks with conditions on one path beside ten, a
hook without conditions, and a change among 100,000. `python -m benchmarks.conditions`.

It needs neither a broker nor a receiver. With `PYTHONPATH` at the compiled modules it measures
these, as `make benchmark` does.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from statistics import median

import orjson
from rich.console import Console
from rich.table import Table

from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loading import load_definition
from consumer.hooks.secrets import SecretReader
from consumer.hooks.source import Upsert
from consumer.hooks.table import Hook
from consumer.matching import index
from consumer.matching.store import HookStore
from support.fakes import FakeRecord

_FEW, _MANY = 10, 100_000
_ROUNDS = 7
_MATCHES = 20_000
_CHANGES = 200


def _hook(number: int, when: object, name: str = "h") -> Hook:
    definition = {
        "id": f"{name}{number}", "trigger": "event", "uri": f"https://x.example/{number}",
        "when": when,
    }  # fmt: skip
    return load_definition(definition, LoadContext(SecretReader({}, [])), "benchmark")


def _city(number: int) -> Hook:
    return _hook(number, {"user.attributes.city": f"city-{number}", "data.price": {"at_least": 1}})


def _two(number: int) -> Hook:
    return _hook(number, {"data.action_id": "buy", "user.attributes.city": f"city-{number}"})


def _list(number: int) -> Hook:
    return _hook(number, {"user.attributes.city": [f"city-{number}", f"town-{number}"]})


def _selecting(number: int) -> Hook:
    return replace(_plain(number), select=frozenset({f"subject-{number}"}))


def _plain(number: int) -> Hook:
    return _hook(number, None)


def _event(number: int) -> Event:
    document = {
        "id": f"e{number}", "user": {"id": "u1", "attributes": {"city": f"city-{number % _FEW}"}},
        "data": {"event_key": "purchase", "action_id": "buy", "price": 900 + number % 200},
    }  # fmt: skip
    return Decoder("event")(FakeRecord(orjson.dumps(document)))


def _microseconds(store: HookStore, events: Sequence[Event]) -> float:
    match = store.view.match
    began = time.process_time()
    for event in events:
        match(event)
    return (time.process_time() - began) / len(events) * 1e6


def _beside(few: HookStore, many: HookStore, events: Sequence[Event]) -> tuple[float, float]:
    """Medians of rounds that take turns, so that other work on the machine meets both."""
    pairs = [(_microseconds(few, events), _microseconds(many, events)) for _ in range(_ROUNDS)]
    return median(one for one, _ in pairs), median(other for _, other in pairs)


def _store(make: Callable[[int], Hook], count: int) -> HookStore:
    return HookStore(Upsert(make(number)) for number in range(count))


def _change(store: HookStore, make: Callable[[int], Hook]) -> float:
    """Milliseconds of CPU for one changed hook."""
    changes = [make(_MANY - number) for number in range(1, _CHANGES + 1)]
    began = time.process_time()
    for hook in changes:
        store.apply(store.prepare([Upsert(hook)]))
    return (time.process_time() - began) / _CHANGES * 1e3


def main() -> None:
    """Measure, and print a table."""
    events = [_event(number) for number in range(_MATCHES)]
    table = Table(title=f"modules: {index.__file__}")
    for heading in ("a match, us of CPU", f"{_FEW} hooks", f"{_MANY:,} hooks", "ratio"):
        table.add_column(heading, justify="right")
    stores: dict[str, HookStore] = {}
    for name, make in (("one value", _city), ("a list", _list), ("two equalities", _two)):
        stores[name] = _store(make, _MANY)
        few, many = _beside(_store(make, _FEW), stores[name], events)
        table.add_row(name, f"{few:.2f}", f"{many:.2f}", f"{many / few:.2f}")
    plain = _microseconds(_store(_plain, 1), events)
    table.add_row("without when, 1 hook", f"{plain:.3f}", "", "")
    Console(width=100).print(table)
    plain_change = _change(_store(_selecting, _MANY), _selecting)
    change = _change(stores["one value"], _city)
    Console().print(f"a change among {_MANY:,}: {change:.3f} ms; without `when` {plain_change:.3f}")


if __name__ == "__main__":
    main()
