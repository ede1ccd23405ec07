"""Reloads: all or nothing, one at a time, and no error ends the daemon."""

import asyncio
import logging
import sys
import threading
from collections.abc import AsyncIterator, Callable, Iterator

import pytest
from prometheus_client import CollectorRegistry

from consumer.background import SWITCH_SECONDS
from consumer.errors import ConfigError, Diagnostic, HookstreamError
from consumer.metrics import Metrics
from consumer.reload import Reloader
from consumer.systemd import ServiceManager
from support.fakes import FakeClock
from support.waiting import wait_until


class ReloaderHarness:
    """A reloader whose loads the test lets end."""

    def __init__(self) -> None:
        self.metrics = Metrics("0", CollectorRegistry())
        self.loads = 0
        self.may_end = threading.Event()
        self.may_end.set()
        self.error: Exception | None = None
        self.refusal: Exception | None = None
        self.in_use = 0
        self.finished: list[tuple[int, threading.Thread]] = []
        self.intervals: list[tuple[str, float]] = []
        """The steps, and the interpreter's switch interval in each."""
        systemd = ServiceManager({}, FakeClock())
        self.reloader = Reloader(self._load, self._apply, self.metrics, systemd)

    def _load(self) -> int:
        self.loads += 1
        self.note("load")
        assert self.may_end.wait(30)
        if self.error is not None:
            raise self.error
        return self.loads

    def _apply(self, loaded: int) -> Callable[[], None]:
        assert threading.current_thread() is threading.main_thread()
        if self.refusal is not None:
            raise self.refusal
        self.in_use = loaded
        self.note("apply")

        def finish() -> None:
            self.note("finish")
            self.finished.append((loaded, threading.current_thread()))

        return finish

    def note(self, what: str) -> None:
        """This step is done now."""
        self.intervals.append((what, sys.getswitchinterval()))

    def count(self, result: str) -> float | None:
        """How many reloads ended so."""
        name = "hookstream_reloads_total"
        return self.metrics.registry.get_sample_value(name, {"result": result})

    async def until(self, *, ok: int, failed: int) -> None:
        """Wait until so many reloads ended."""
        await wait_until(
            lambda: (self.count("ok"), self.count("failed")) == (ok, failed), f"{ok}, {failed}"
        )


async def refusal_line(caplog: pytest.LogCaptureFixture) -> logging.LogRecord:
    """The one line about a refused reload. A thread writes it, after the reload was counted."""

    def lines() -> list[logging.LogRecord]:
        return [line for line in caplog.records if line.levelname == "ERROR"]

    [line] = await wait_until(lines, "the line")
    return line


USUAL_SECONDS = 0.003
"""The switch interval before a reload."""


def usual_interval() -> bool:
    """Whether the switch interval is as before."""
    return sys.getswitchinterval() == pytest.approx(USUAL_SECONDS)


@pytest.fixture(autouse=True)
def _interval() -> Iterator[None]:
    usual = sys.getswitchinterval()
    sys.setswitchinterval(USUAL_SECONDS)
    yield
    sys.setswitchinterval(usual)


@pytest.fixture
async def desk() -> AsyncIterator[ReloaderHarness]:
    """One whose reloader runs."""
    desk = ReloaderHarness()
    task = asyncio.create_task(desk.reloader.run())
    yield desk
    desk.may_end.set()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_request_puts_new_settings_in_use(desk: ReloaderHarness) -> None:
    """Each reload request is carried out once the one before it is done."""
    desk.reloader.request()
    await desk.until(ok=1, failed=0)
    desk.reloader.request()
    await desk.until(ok=2, failed=0)
    assert desk.in_use == 2


async def test_what_takes_long_is_finished_in_a_thread(desk: ReloaderHarness) -> None:
    """The long parts of a reload run in a thread, and the next reload begins after it."""
    main = threading.main_thread()
    desk.reloader.request()
    await desk.until(ok=1, failed=0)
    desk.reloader.request()
    await wait_until(lambda: len(desk.finished) == 2, "both to be finished")
    assert [number for number, _ in desk.finished] == [1, 2]
    assert all(thread is not main for _, thread in desk.finished)


async def test_the_loop_gets_the_interpreter_often_while_a_reload_runs(
    desk: ReloaderHarness,
) -> None:
    """The interpreter's switch interval is short while a thread loads, and afterwards as before."""
    desk.reloader.request()
    await wait_until(lambda: bool(desk.finished), "the end")
    assert [step for step, _ in desk.intervals] == ["load", "apply", "finish"]
    for step, interval in desk.intervals:
        assert interval == pytest.approx(USUAL_SECONDS if step == "apply" else SWITCH_SECONDS), step
    await wait_until(usual_interval, "the usual interval")


async def test_a_refused_reload_leaves_the_usual_switch_interval(desk: ReloaderHarness) -> None:
    """The interval is the whole process's, so an error must not leave it short."""
    desk.error = ConfigError([Diagnostic("is empty", "fill it")])
    desk.reloader.request()
    await desk.until(ok=0, failed=1)
    await wait_until(usual_interval, "the usual interval")


async def test_requests_during_a_reload_make_one_more(desk: ReloaderHarness) -> None:
    """Requests during a reload cause one more reload."""
    desk.may_end.clear()
    desk.reloader.request()
    await wait_until(lambda: desk.loads == 1, "the first load")
    for _ in range(5):
        desk.reloader.request()
    desk.may_end.set()
    await desk.until(ok=2, failed=0)
    assert desk.loads == 2


PROBLEM = Diagnostic("is no URI", "begin it with https://", file="hooks/a.yaml", line=3)


@pytest.mark.parametrize(
    "error",
    [ConfigError([PROBLEM]), HookstreamError("changed: kafka"), OSError("no disk"), KeyError("x")],
)
@pytest.mark.parametrize("place", ["error", "refusal"])
async def test_on_any_error_the_old_ones_stay(
    desk: ReloaderHarness, error: Exception, place: str, caplog: pytest.LogCaptureFixture
) -> None:
    """On any error, a bug included, the old settings and hooks stay, it is counted and logged, and
    the next reload works.
    """
    desk.reloader.request()
    await desk.until(ok=1, failed=0)
    setattr(desk, place, error)
    desk.reloader.request()
    await desk.until(ok=1, failed=1)
    assert desk.in_use == 1
    foreseen = isinstance(error, HookstreamError)
    assert bool((await refusal_line(caplog)).exc_info) is not foreseen
    setattr(desk, place, None)
    desk.reloader.request()
    await desk.until(ok=2, failed=1)
    assert desk.in_use > 1


async def test_every_problem_is_told(
    desk: ReloaderHarness, caplog: pytest.LogCaptureFixture
) -> None:
    """Every problem of a reload is logged with its location, as at the start."""
    desk.error = ConfigError([PROBLEM, Diagnostic("is empty", "fill it")])
    desk.reloader.request()
    fields = (await refusal_line(caplog)).__dict__["fields"]
    assert fields["problems"] == [str(PROBLEM), "is empty (fill it)"]
