"""The daemon's answer to real signals."""

import asyncio
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager

import pytest

from consumer.signals import Signals


class Calls:
    """What the signals led to, in order, with a way to wait for it."""

    def __init__(self) -> None:
        self.made: list[str] = []
        self._changed = asyncio.Event()

    def named(self, name: str) -> Callable[..., None]:
        """A callable that writes its name down."""

        def call(*arguments: int) -> None:
            self.made.append(" ".join([name, *map(str, arguments)]))
            self._changed.set()

        return call

    async def count(self, number: int) -> None:
        """Until `number` calls were made; a test that waits in vain fails after five seconds."""
        async with asyncio.timeout(5):
            while len(self.made) < number:
                self._changed.clear()
                await self._changed.wait()

    def lent(self) -> AbstractContextManager[Signals]:
        """Signals that only write down what they would do, and are not told yet."""
        return Signals(exit=self.named("exit")).installed()

    @contextmanager
    def told(self, signals: Signals) -> Iterator[None]:
        """Have the loop told."""
        schedule = asyncio.get_running_loop().call_soon_threadsafe
        with signals.calling(schedule, on_stop=self.named("stop"), on_reload=self.named("reload")):
            yield


def send(number: signal.Signals) -> None:
    """Send a signal to this very process; its handler has run on return."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_stops(number: signal.Signals) -> None:
    """SIGTERM and SIGINT ask for an orderly stop, and for nothing else.

    1. Signals are taken over.
    2. The signal is sent: `on_stop` is called, once.
    """
    calls = Calls()
    with calls.lent() as signals, calls.told(signals):
        send(number)
        await calls.count(1)
    assert calls.made == ["stop"]


@pytest.mark.parametrize(
    ("first", "second", "code"),
    [
        (signal.SIGTERM, signal.SIGTERM, 143),
        (signal.SIGTERM, signal.SIGINT, 130),
        (signal.SIGINT, signal.SIGTERM, 143),
    ],
)
async def test_the_second_signal_exits(
    first: signal.Signals, second: signal.Signals, code: int
) -> None:
    r"""A second SIGTERM or SIGINT ends the process with the shell's exit code for it.

    1. The first signal is sent: the stop begins.\n2. The second one is sent while the stop is under
    way: exit is called.
    """
    calls = Calls()
    with calls.lent() as signals, calls.told(signals):
        send(first)
        await calls.count(1)
        send(second)
    assert calls.made == ["stop", f"exit {code}"]


async def test_the_second_signal_needs_no_event_loop() -> None:
    """A second signal exits while a callback of the loop does not end, and after the loop."""
    calls = Calls()
    with calls.lent() as signals:
        with calls.told(signals):
            send(signal.SIGTERM)
            send(signal.SIGTERM)
            assert calls.made == ["exit 143"]
        send(signal.SIGTERM)
        assert calls.made == ["exit 143", "exit 143"]


async def test_every_hangup_asks_for_a_reload() -> None:
    """SIGHUP reloads, as often as it comes, and stops nothing.

    1. SIGHUP is sent: `on_reload` is called.
    2. Another one: called again. SIGTERM still stops.
    3. SIGHUP during the stop: nothing is reloaded any more.
    4. A second SIGTERM, to see that the one before was handled.
    """
    calls = Calls()
    with calls.lent() as signals, calls.told(signals):
        send(signal.SIGHUP)
        await calls.count(1)
        send(signal.SIGHUP)
        await calls.count(2)
        send(signal.SIGTERM)
        await calls.count(3)
        send(signal.SIGHUP)
        send(signal.SIGTERM)
        await calls.count(4)
    assert calls.made == ["reload", "reload", "stop", "exit 143"]


async def test_hangups_before_the_daemon_stands_reload_once_then() -> None:
    """SIGHUPs that come before the daemon runs cause one reload as soon as it does."""
    calls = Calls()
    with calls.lent() as signals:
        send(signal.SIGHUP)
        send(signal.SIGHUP)
        assert calls.made == []
        with calls.told(signals):
            await calls.count(1)
            send(signal.SIGTERM)
            await calls.count(2)
    assert calls.made == ["reload", "stop"]


def test_a_stop_before_the_daemon_stands_exits_in_order() -> None:
    """SIGTERM before the daemon runs exits with 0, since there is nothing to commit."""
    calls = Calls()
    with calls.lent():
        send(signal.SIGTERM)
    assert calls.made == ["exit 0"]


async def test_a_stop_after_the_daemon_only_counts() -> None:
    """A SIGTERM that comes when the daemon has ended by itself does not change its exit code."""
    calls = Calls()
    with calls.lent() as signals:
        with calls.told(signals):
            pass
        send(signal.SIGHUP)
        send(signal.SIGTERM)
        await asyncio.sleep(0)
    assert calls.made == []


def test_afterwards_the_signals_have_the_handlers_from_before() -> None:
    """A process that has left its daemon behind can be interrupted as usual.

    1. Signals are taken over and given back.
    2. Python's own handlers are in place again.
    """
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    before = [signal.getsignal(number) for number in numbers]
    with Calls().lent():
        during = [signal.getsignal(number) for number in numbers]
        assert all(a is not b for a, b in zip(before, during, strict=True))
    assert [signal.getsignal(number) for number in numbers] == before


def test_a_signal_that_was_held_back_comes() -> None:
    """Signals that the parent process blocks are let through, and what waited is handled."""
    calls = Calls()
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGHUP})
    try:
        # To this thread: another one of the test run holds nothing back, and would take it.
        signal.pthread_kill(threading.get_ident(), signal.SIGHUP)
        with (
            Signals(exit=calls.named("exit")).installed() as signals,
            signals.calling(
                lambda call: call(), on_stop=calls.named("stop"), on_reload=calls.named("reload")
            ),
        ):
            assert calls.made == ["reload"]
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGHUP})


HANGING_DAEMON = """
import asyncio
from consumer.signals import PROCESS

async def main():
    stop = lambda: print("stopping", flush=True)
    schedule = asyncio.get_running_loop().call_soon_threadsafe
    try:
        with PROCESS.calling(schedule, on_stop=stop, on_reload=lambda: None):
            print("running", flush=True)
            await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

PROCESS.install()
asyncio.run(main())
"""


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
async def test_a_stop_that_hangs_is_ended_by_a_second_signal(
    number: signal.Signals, code: int
) -> None:
    """A real process exits at once, without running what would hang.

    1. A process takes the signals over and says so.
    2. The first signal: it says that it is stopping, and never ends.
    3. The second signal: it is gone, with the exit code of the signal and no further word.
    """
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", HANGING_DAEMON, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            assert await process.stdout.readline() == b"running\n"
            process.send_signal(number)
            assert await process.stdout.readline() == b"stopping\n"
            process.send_signal(number)
            assert await process.stdout.read() == b""
            assert await process.wait() == code
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
