"""A hundred thousand hooks: what one of them may cost, and what is freed with it."""

import gc
import json
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.errors import ConfigError
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import HookTable
from consumer.matching.index import Index
from consumer.throttle import Throttle, throttled
from support.fakes import FakeClock, make_hook, make_table

HOOKS = 1_000
MOST_BYTES = 2 * 1024


def definition(number: int, own: object = "") -> dict[str, Any]:
    """A usual one; `own` makes its parts differ from those of others."""
    return {
        "id": f"hook-{number}",
        "name": f"Hook {number}",
        "trigger": "push_click",
        "select": [f"sale-{number}"],
        "uri": f"https://hooks{own}.example/customers/{number}/{{campaign}}",
        "uri_parameters": {"campaign": {"label": "Campaign code", "default": f"spring{own}"}},
        "headers": [
            {"key": "X-Api-Key", "source": "fixed", "value": f"key{own}"},
            {"key": "X-City", "source": "profile", "value": "city"},
        ],
        "parameters": [
            {"key": "uid", "source": "profile", "value": "id"},
            {"key": "category", "source": "event", "value": "data.category"},
        ],
    }


def load(folder: Path) -> HookTable:
    """The table of `folder`."""
    return load_hooks(folder, SecretReader({}, []))


@pytest.fixture
def collector_off() -> Iterator[None]:
    """As while a table is built (`consumer.cli.process.gc_paused`)."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


@pytest.mark.parametrize("different", [False, True])
def test_a_hook_takes_two_kilobytes_at_most(tmp_path: Path, different: bool) -> None:
    """A hook takes two kilobytes at most, its part of the index included, even if hooks have no
    key, host or default in common.
    """
    hooks = [definition(number, number if different else "") for number in range(HOOKS)]
    (tmp_path / "a.json").write_text(json.dumps(hooks))
    Index(load(tmp_path))  # what is made once, whatever the number of hooks
    tracemalloc.start()
    try:
        index = Index(load(tmp_path))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(index.hooks) == HOOKS
    assert taken / HOOKS < MOST_BYTES


def test_equal_parts_are_one_object(tmp_path: Path) -> None:
    """Equal headers and parameters of a table are one object."""
    (tmp_path / "a.yaml").write_text(yaml.safe_dump([definition(1), definition(2)]))
    first, second = load(tmp_path).hooks.values()
    assert first.headers[0] is second.headers[0]
    assert first.parameters[1] is second.parameters[1]
    assert first.origin is second.origin


def test_what_is_right_as_a_parameter_is_still_judged_as_a_header(tmp_path: Path) -> None:
    """A text that is valid as a parameter is still checked as a header."""
    entry = {"key": "Host", "source": "fixed", "value": "x"}
    hooks = [
        {**definition(1), "parameters": [entry]},
        {**definition(2), "headers": [entry]},
    ]
    (tmp_path / "a.yaml").write_text(yaml.safe_dump(hooks))
    with pytest.raises(ConfigError, match=r"headers\[0\]\.key: Host is a header that hookstream"):
        load(tmp_path)


@pytest.mark.usefixtures("collector_off")
@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_a_load_leaves_no_cycles(tmp_path: Path, name: str) -> None:
    """A load leaves no reference cycle, since the collector is off meanwhile."""
    hooks = [definition(number) for number in range(10)]
    text = json.dumps(hooks) if name == "a.json" else yaml.safe_dump_all(hooks)
    (tmp_path / name).write_text(text)
    load(tmp_path)  # what is imported and cached at the first load
    gc.collect()
    index = Index(load(tmp_path))
    assert gc.collect() == 0
    del index
    assert gc.collect() == 0, "a table that is replaced is freed without the collector"


def rests(work: Callable[[], object]) -> int:
    """How often `work` would rest if each of its turns were over at once."""
    taken: list[float] = []
    throttled(Throttle(FakeClock(), turn=0.0, sleep=taken.append), work)
    return len(taken)


@pytest.mark.parametrize(
    ("name", "flow", "steps"),
    [
        ("a.json", False, 1),  # a hook
        ("a.yaml", False, 2 * 17 + 1),  # each line is read, then parsed; a hook
        ("a.yaml", True, 5 + 50 + 1),  # lines, events; a hook
    ],
)
def test_a_reload_may_rest_at_every_step(tmp_path: Path, name: str, flow: bool, steps: int) -> None:
    """A reload can pause at every step over hooks, lines and events, so that deliveries go on
    beside it.
    """
    hooks = [definition(number) for number in range(10)]
    in_yaml: str = yaml.safe_dump(hooks, default_flow_style=flow)
    (tmp_path / name).write_text(json.dumps(hooks) if name == "a.json" else in_yaml)
    assert rests(lambda: load(tmp_path)) >= steps * len(hooks)


def test_a_reload_may_rest_at_every_file(tmp_path: Path) -> None:
    """A reload can pause at every file, even one of another kind that is not read."""
    for number in range(10):
        (tmp_path / f"{number}.txt").touch()
    (tmp_path / "a.json").write_text(json.dumps(definition(1)))
    assert rests(lambda: load(tmp_path)) >= 10


def test_an_index_is_built_and_freed_with_rests() -> None:
    """An index is built and freed with pauses, hooks and their subjects alike."""
    table = make_table(*(make_hook(f"h{n}", select=frozenset({f"s{n}"})) for n in range(10)))
    index = Index(table)
    assert rests(lambda: Index(table)) == 30  # hooks, subjects, leftovers
    assert rests(index.clear_gradually) >= 20
    assert not index.hooks
