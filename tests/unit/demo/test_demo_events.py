"""Generated events: valid, the same for the same seed, and wanted by the demo's hooks."""

from collections import Counter
from itertools import islice
from pathlib import Path

from consumer.configuration import load
from consumer.delivery.http.request import RequestBuilder
from consumer.delivery.http.values import RejectedError
from consumer.demo.events import Generated, generate_events
from consumer.demo.receiver import BEHAVIOURS
from consumer.demo.run import write_files
from consumer.events.decode import Decoder
from consumer.events.model import Event
from consumer.events.triggers import TRIGGERS
from consumer.hooks.table import UriVariable
from consumer.matching.index import Index
from consumer.matching.store import make_index
from support.fakes import FakeClock, FakeRecord


def _events(number: int, seed: int = 1) -> list[Generated]:
    return list(islice(generate_events(seed, FakeClock()), number))


def _decoded(number: int) -> list[Event]:
    decoders = {trigger: Decoder(trigger) for trigger in TRIGGERS}
    return [decoders[one.trigger](FakeRecord(one.value)) for one in _events(number)]


def _index(folder: Path) -> Index:
    ports = {name: 9_000 + number for number, name in enumerate(BEHAVIOURS)}
    file = write_files(folder, "127.0.0.1:9092", ports)
    return make_index(load(file, environ={}).definitions.hooks)


def test_the_same_seed_makes_the_same_events() -> None:
    """Equal seeds make equal events, and another seed makes others."""
    assert _events(200) == _events(200)
    assert _events(200) != _events(200, seed=2)


def test_all_four_triggers_come() -> None:
    """Events of all four triggers come in any few seconds of a demo."""
    assert {one.trigger for one in _events(100)} == set(TRIGGERS)


def test_they_are_events_of_the_contract() -> None:
    """Each generated event decodes, with an id of its own and the time at which it occurred."""
    events = _decoded(500)
    assert len({event.id for event in events}) == 500
    assert {event.occurred_at for event in events} == {FakeClock().now()}


def test_every_hook_of_the_demo_gets_some(tmp_path: Path) -> None:
    """Every hook of the demo gets some of the events, and some events match no hook."""
    index = _index(tmp_path)
    matched = Counter(hook.id for event in _decoded(1_000) for hook in index.match(event))
    assert set(matched) == set(index.hooks)
    assert any(not index.match(event) for event in _decoded(1_000))


def test_most_become_requests_and_a_few_are_rejected(tmp_path: Path) -> None:
    """Most generated events become requests with encoded text, and those of users who are no
    members are rejected.
    """
    outcomes: Counter[str] = Counter()
    index = _index(tmp_path)
    for event in _decoded(2_000):
        for hook in index.match(event):
            builder = RequestBuilder(hook, timeout=1, connect_timeout=1)
            try:
                request = builder.build(event, "i", 0)
            except RejectedError:
                outcomes["rejected"] += 1
            else:
                assert request.url.isascii()
                outcomes["built"] += 1
    assert 0 < outcomes["rejected"] < outcomes["built"] / 20


def test_the_hooks_show_what_hooks_can_do(tmp_path: Path) -> None:
    """The demo's hooks use every trigger and every value source, URI variables, a rate limit and a
    signature.
    """
    hooks = list(_index(tmp_path).hooks.values())
    assert {hook.trigger for hook in hooks} == set(TRIGGERS)
    headers = {header.value.source for hook in hooks for header in hook.headers}
    parameters = {parameter.value.source for hook in hooks for parameter in hook.parameters}
    assert headers | parameters == {"profile", "device", "event", "fixed"}
    assert any(isinstance(piece, UriVariable) for hook in hooks for piece in hook.template_parts)
    assert any(hook.rate_limit for hook in hooks)
    assert any(hook.signing_keys for hook in hooks)
    assert len({hook.host_key for hook in hooks}) == len(BEHAVIOURS), "one sick host hurts no other"
