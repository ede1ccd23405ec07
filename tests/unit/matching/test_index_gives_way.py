"""A large table becomes an index beside an event loop that has deliveries to make."""

import sys
import threading
import time
from collections.abc import Iterator

import pytest

from consumer.matching.index import Index
from support.fakes import make_hook, make_table

_HOOKS = 10_000


@pytest.fixture
def _short_turns() -> Iterator[None]:
    """As at a reload."""
    usual = sys.getswitchinterval()
    sys.setswitchinterval(0.0001)
    yield
    sys.setswitchinterval(usual)


@pytest.mark.usefixtures("_short_turns")
def test_another_thread_has_turns_meanwhile() -> None:
    """Compiled code keeps the interpreter's lock unless it gives it up."""
    table = make_table(*(make_hook(f"h{n}", select=frozenset({f"s{n}"})) for n in range(_HOOKS)))
    turns = 0
    running, done = threading.Event(), threading.Event()

    def take_turns() -> None:
        nonlocal turns
        running.set()
        while not done.is_set():
            turns += 1
            time.sleep(0)

    thread = threading.Thread(target=take_turns)
    thread.start()
    try:
        running.wait()
        before = turns
        index = Index(table)
        meanwhile = turns - before
    finally:
        done.set()
        thread.join()
    assert len(index.hooks) == _HOOKS
    assert meanwhile >= 10
