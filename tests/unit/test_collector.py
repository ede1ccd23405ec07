"""Objects that live as long as the process or the hook table are left out of garbage collection."""

import gc
import warnings
from collections.abc import Iterator
from weakref import ref

import pytest

from consumer.collector import gc_paused, tune_gc


@pytest.fixture(autouse=True)
def thawed() -> Iterator[None]:
    """Collect what other tests left, frozen or not, and undo what a test did to the collector."""
    usual = gc.get_threshold()
    gc.unfreeze()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # not this file's objects
        gc.collect()
    yield
    gc.unfreeze()
    gc.set_threshold(*usual)


def test_what_is_built_leaves_the_collectors_generations() -> None:
    """A table of hooks leaves the garbage collector's generations, since a pass over it would delay
    every delivery.
    """
    built: list[list[int]] = []
    with gc_paused():
        assert not gc.isenabled()
        built += [[number] for number in range(10_000)]
    assert gc.isenabled()
    assert gc.get_freeze_count() >= len(built)
    assert not any(item is built[0] for item in gc.get_objects())


def test_what_is_garbage_before_a_reload_is_not_kept_for_ever() -> None:
    """Garbage from before a reload is collected before the objects are frozen."""
    tune_gc()
    garbage = _Cyclic()
    garbage.itself = garbage
    alive = ref(garbage)
    del garbage
    with gc_paused():
        pass
    assert alive() is None


class _Cyclic:
    itself: object


def test_inside_itself_it_ends_with_the_outermost() -> None:
    """Nested pauses of the garbage collector end with the outermost one."""
    with gc_paused():
        with gc_paused():
            pass
        assert not gc.isenabled()
    assert gc.isenabled()


def test_a_refused_load_leaves_the_collector_on() -> None:
    """The garbage collector is on again after a refused load."""
    with pytest.raises(ValueError, match="refused"), gc_paused():
        raise ValueError("refused")
    assert gc.isenabled()
