"""The garbage collector's part in a process of many long-lived objects."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager

_GC_THRESHOLDS = (50_000, 20, 20)


@contextmanager
def gc_paused() -> Iterator[None]:
    """Build long-lived objects without the garbage collector, which never looks at them later.

    A hundred thousand hooks would cost it half of the load's time, and each pass over them would
    hold up every delivery. There are no cycles among them: reference counts free them when they are
    replaced. It may be used inside itself. Garbage from before a reload is collected first: frozen,
    it would stay for ever.
    """
    usual = gc.isenabled()
    if usual and gc.get_threshold() == _GC_THRESHOLDS:  # after the start: little is not frozen
        gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if usual:
            gc.enable()


def tune_gc() -> None:
    """Tell the garbage collector after the start which objects it need not look at.

    Modules, settings and hooks live as long as the process, so they leave its generations. Events
    and deliveries are freed by their reference counts; the default threshold of 700 would have it
    look for cycles every few events, in vain, at 4 % of the CPU. A rare cycle waits longer now.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(*_GC_THRESHOLDS)
