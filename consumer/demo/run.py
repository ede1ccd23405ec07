"""Runs the demo: the daemon of `hookstream run` with the demo's broker and receivers."""

import asyncio
import json
import math
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from functools import partial
from importlib.resources import files
from importlib.util import find_spec
from pathlib import Path

from rich.console import Console

from consumer import logs
from consumer.app import App
from consumer.clock import SystemClock
from consumer.configuration import load
from consumer.demo.environment import DemoEnvironment, Options
from consumer.demo.live import HOOK_ID, LiveHook
from consumer.demo.mock_gaps import close_mock_gaps
from consumer.demo.numbers import Numbers, read_numbers
from consumer.demo.panel import DemoPanel
from consumer.demo.receiver import behaviour_of
from consumer.demo.summary import Costs, print_summary
from consumer.demo.view import DemoInfo, Snapshot, View, hook_table, is_wide, make_view
from consumer.errors import HookstreamError
from consumer.hooks.table import Hook
from consumer.settings import Settings
from consumer.signals import Signals

_SETTINGS = {
    "hooks": {"live": True},
    "delivery_log": {"successes": 1},
    "retry": {"delays": ["2s", "5s", "10s"], "max_attempts": 5},
    # The embedded broker keeps 5 MB of a partition: what waits for a dead endpoint must end before.
    "delivery": {"shutdown_grace": "4s", "expire_after": "10m"},
    "network": {"allow": ["127.0.0.1/32"]},
    "admin": {"port": 0},
    "panel": {"port": 0},
}
_RECEIVER_PATTERN = re.compile(r"receiver:8080/(\w+)")
"""The receiver's address in the packaged hooks; the group is its behaviour."""
_PARTITIONS = 4
_FRAME_SECONDS = 0.25
"""Time between two drawings of the view."""
_MAX_LIVE_SECONDS = 30.0
"""The live hook appears and changes within this time, however long the demo is."""
_CATCH_UP_SECONDS = 5.0
"""Time for the daemon to take the last events once all are produced."""


async def run_demo(options: Options, console: Console) -> None:
    """Run the demo to its end, or until a signal arrives.

    Raises `HookstreamError` if the embedded broker is not installed or does not start.
    """
    if find_spec("confluent_kafka") is None:
        raise HookstreamError(
            "the demo's embedded broker is not installed: pip install 'hookstream[demo]'"
        )
    console.print("starting an embedded Kafka broker, receivers, and the daemon ...")
    with tempfile.TemporaryDirectory(prefix="hookstream-demo-") as folder:
        logs.configure("text", "error", sys.stderr, SystemClock())  # the view shows the rest
        close_mock_gaps()
        async with DemoEnvironment(options, _topics()) as demo:
            file = write_files(Path(folder), demo.bootstrap, demo.ports)
            async with DemoPanel(file) as panel:
                invite(console, panel.link, demo.ports["healthy"], options.seconds)
                await _Demo(console, demo, options, file).run()


def write_files(folder: Path, bootstrap: str, ports: Mapping[str, int]) -> Path:
    """Write settings and packaged hooks for these addresses. Returns the settings file."""
    hooks = folder / "hooks"
    hooks.mkdir()
    for source in files("consumer.demo").joinpath("hooks").iterdir():
        text = _RECEIVER_PATTERN.sub(
            lambda match: f"127.0.0.1:{ports[match[1]]}/{match[1]}", source.read_text("utf-8")
        )
        (hooks / source.name).write_text(text, "utf-8")
    file = folder / "hookstream.json"
    file.write_text(json.dumps({**_SETTINGS, "kafka": {"bootstrap_servers": bootstrap}}))
    return file


def invite(console: Console, link: str, port: int, seconds: float) -> None:
    """Say where the panel is, and what to try there; `port`: of a receiver that answers,
    `seconds`: of events, infinite until Ctrl-C.
    """
    console.print(f"the panel, for one person: {link}", soft_wrap=True)
    console.print(
        "to make a hook of your own: New hook, trigger App event, with the URI "
        f"http://127.0.0.1:{port}/mine",
        soft_wrap=True,
    )
    if math.isfinite(seconds):
        console.print(f"all of this ends after {seconds:g} s of events: --seconds has another time")


def _topics() -> dict[str, int]:
    """Every topic that the daemon asks for, with its partitions."""
    settings = Settings.model_validate(_SETTINGS)
    own = settings.kafka.own_topics
    shared = [*(source.topic for source in settings.sources), own.overflow, own.dead_letter]
    shared += [own.deliveries, own.reports]
    shared += [own.retry(delay) for delay in settings.retry.delays]
    tables = (own.hooks, own.hooks_audit, own.status)
    return {**dict.fromkeys(shared, _PARTITIONS), **dict.fromkeys(tables, 1)}


class _Demo:
    """One run of the demo."""

    def __init__(
        self, console: Console, demo: DemoEnvironment, options: Options, file: Path
    ) -> None:
        self._console = console
        self._environment = demo
        self._seconds = options.seconds
        self._clock = SystemClock()
        # Without the environment's settings the demo is the same everywhere.
        self._app = App(partial(load, file, environ={}), self._clock)
        self._stopping = False
        self._live = LiveHook(
            self._app.settings, demo.ports, self._clock, lambda: self._endpoints().get(HOOK_ID)
        )
        self._view_cpu = 0.0
        """CPU seconds of the view, which are not the daemon's."""

    async def run(self) -> None:
        """Run the daemon, show the view, and print the summary."""
        schedule = asyncio.get_running_loop().call_soon_threadsafe
        with (
            Signals().installed() as signals,
            signals.calling(schedule, on_stop=self._stop, on_reload=self._app.reloader.request),
        ):
            daemon = asyncio.create_task(self._app.run())
            ready = await self._until_ready(daemon)
            began, cpu = self._clock.monotonic(), time.process_time()
            try:
                if ready:
                    await self._show(daemon, began)
            finally:
                self._stop()
                await daemon
        if ready:
            self._sum_up(self._clock.monotonic() - began, time.process_time() - cpu)

    def _stop(self) -> None:
        self._stopping = True
        self._app.stop()

    async def _until_ready(self, daemon: asyncio.Task[None]) -> bool:
        """Wait until the daemon is ready. False if it was stopped before."""
        while not daemon.done() and not self._stopping:
            if self._app.admin_port is not None and self._app.health.ready().ok:
                return True
            await asyncio.wait({daemon}, timeout=_FRAME_SECONDS)
        return False

    async def _show(self, daemon: asyncio.Task[None], began: float) -> None:
        """Draw the view until the daemon has exited, and stop it after the last event."""
        produced = asyncio.create_task(self._environment.produce())
        live = asyncio.create_task(self._live.run(min(self._seconds, _MAX_LIVE_SECONDS)))
        catch_up_until = began + self._seconds + _CATCH_UP_SECONDS
        info = DemoInfo(
            seconds=self._seconds,
            metrics_url=f"http://127.0.0.1:{self._app.admin_port}/metrics",
        )
        with make_view(self._console, info) as view:
            while not daemon.done():
                self._draw(view, began, "last events" if produced.done() else "events arrive")
                await asyncio.wait({daemon}, timeout=_FRAME_SECONDS)
                if produced.done() and not self._stopping:
                    late = self._clock.monotonic() > catch_up_until
                    if late or self._taken() >= produced.result():
                        self._stop()
        live.cancel()
        produced.cancel()
        await asyncio.wait({produced, live})
        if not live.cancelled():
            live.result()

    def _endpoints(self) -> dict[str, str]:
        """The behaviour of each hook's receiver, by hook id."""
        return {hook.id: _behaviour(hook) for hook in self._app.hooks.values()}

    def _taken(self) -> int:
        return sum(self._numbers().events.values())

    def _numbers(self) -> Numbers:
        return read_numbers(
            self._app.metrics, tuple(self._app.hooks), self._app.settings.kafka.own_topics
        )

    def _draw(self, view: View, began: float, phase: str) -> None:
        cpu, now = time.thread_time(), self._clock.monotonic()
        view.show(
            Snapshot(
                phase="stopping" if self._stopping else phase,
                elapsed=now - began,
                numbers=self._numbers(),
                endpoints=self._endpoints(),
                news=self._live.news,
            ),
            now,
        )
        self._view_cpu += time.thread_time() - cpu

    def _sum_up(self, seconds: float, cpu: float) -> None:
        numbers = self._numbers()
        hooks = map(self._app.metrics.hook, self._app.hooks)
        print_summary(
            self._console,
            numbers,
            hook_table(numbers.hooks, self._endpoints(), wide=is_wide(self._console)),
            Costs(
                seconds=seconds,
                cpu=cpu - self._view_cpu,
                requests=sum(sum(hook.attempts.values()) for hook in hooks),
            ),
        )


def _behaviour(hook: Hook) -> str:
    """The first step of the hook's path, which names its receiver's behaviour; a hook that a person
    made in the panel may have any.
    """
    first = hook.template_parts[0]
    assert isinstance(first, str)  # noqa: S101  # a path starts with a slash
    return behaviour_of(first)
