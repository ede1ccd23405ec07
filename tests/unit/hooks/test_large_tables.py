"""A hundred thousand hooks: what one of them may cost, and what is freed with it."""

import gc
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.matching.store import HookStore, make_index

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


def load(folder: Path) -> FileSource:
    """The definitions in `folder`."""
    return load_hooks(folder, LoadContext(SecretReader({}, [])))


@pytest.fixture
def collector_off() -> Iterator[None]:
    """As while a table is built (`consumer.collector.gc_paused`)."""
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
    HookStore(load(tmp_path).changes(None))  # what is made once, whatever the number of hooks
    tracemalloc.start()
    try:
        source = load(tmp_path)
        store = HookStore(source.changes(None))
        taken, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert len(store.view.hooks) == HOOKS
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
    index = make_index(load(tmp_path).hooks)
    assert gc.collect() == 0
    del index
    assert gc.collect() == 0, "a table that is replaced is freed without the collector"
