"""The daemon's answer to real signals."""

import asyncio
import os
import signal
import sys
from collections.abc import Callable

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


def signals(calls: Calls) -> Signals:
    """Signals that only write down what they would do."""
    return Signals(
        on_stop=calls.named("stop"), on_reload=calls.named("reload"), exit=calls.named("exit")
    )


def send(number: signal.Signals) -> None:
    """Send a signal to this very process."""
    os.kill(os.getpid(), number)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_the_first_signal_stops(number: signal.Signals) -> None:
    """SIGTERM and SIGINT ask for an orderly stop, and for nothing else.

    1. Signals are taken over.
    2. The signal is sent: `on_stop` is called, once.
    """
    calls = Calls()
    async with signals(calls):
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
    """Whichever of the two comes second ends the process with the shell's exit code for it.

    1. The first signal is sent: the stop begins.
    2. The second one is sent while the stop is under way: exit is called.
    """
    calls = Calls()
    async with signals(calls):
        send(first)
        await calls.count(1)
        send(second)
        await calls.count(2)
    assert calls.made == ["stop", f"exit {code}"]


async def test_every_hangup_asks_for_a_reload() -> None:
    """SIGHUP reloads, as often as it comes, and stops nothing.

    1. SIGHUP is sent: `on_reload` is called.
    2. Another one: called again. SIGTERM still stops.
    3. SIGHUP during the stop: nothing is reloaded any more.
    4. A second SIGTERM, to see that the one before was handled.
    """
    calls = Calls()
    async with signals(calls):
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


async def test_afterwards_the_signals_have_their_defaults() -> None:
    """A process that has left its daemon behind can be interrupted as usual.

    1. Signals are taken over and given back.
    2. Python's own handlers are in place again.
    """
    before = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    async with signals(Calls()):
        during = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
        assert all(a is not b for a, b in zip(before, during, strict=True))
    after = [signal.getsignal(n) for n in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)]
    assert after == [signal.SIG_DFL, signal.default_int_handler, signal.SIG_DFL]


HANGING_DAEMON = """
import asyncio
from consumer.signals import Signals

async def main():
    stop = lambda: print("stopping", flush=True)
    try:
        async with Signals(on_stop=stop, on_reload=lambda: None):
            print("running", flush=True)
            await asyncio.Event().wait()
    finally:
        print("cleaned up", flush=True)

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
