"""A writer of live definitions in a process of its own, which is killed at a step of its
transaction: `python -m support.killed_writer BOOTSTRAP PREFIX STEP HOOK...`.
"""

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from consumer.clock import SystemClock
from consumer.control.changes import WantedChange
from consumer.control.writer import HookWriter
from consumer.stream.transaction_requests import TransactionRequests
from consumer.stream.transactions import Transactions
from support.definition_topics import definition, kafka_settings
from support.project import ROOT


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _at(name: str, *, call: int = 1, after: bool, owner: type = Transactions) -> Callable[[], None]:
    """Die before or behind the nth call of a method."""

    def install() -> None:
        method, calls = getattr(owner, name), 0

        async def deadly(self: object, *args: Any, **options: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls == call and not after:
                _die()
            result = await method(self, *args, **options)
            if calls == call:
                _die()
            return result

        setattr(owner, name, deadly)

    return install


def _while_committing(seconds: float) -> Callable[[], None]:
    """Die that long after the commit was asked for."""

    def install() -> None:
        commit = Transactions.commit

        async def deadly(self: Transactions) -> None:
            asyncio.get_running_loop().call_later(seconds, _die)
            await commit(self)
            await asyncio.Event().wait()

        Transactions.commit = deadly  # type: ignore[method-assign]

    return install


STEPS = {
    "before the beginning": _at("begin", after=False),
    "begun": _at("begin", after=True),
    "everything read": _at("ends", after=True),
    "topics added": _at("add", after=True, owner=TransactionRequests),
    "definitions sent": _at("_produce", after=True),
    "all sent": _at("_produce", call=2, after=True),
    "the commit asked for": _while_committing(0.0),
    "committing": _while_committing(0.002),
    "committed": _at("commit", after=True),
}
"""Where the process dies, in order."""


async def write(bootstrap: str, prefix: str, step: str, hooks: list[str]) -> None:
    """Change all of `hooks` in one write, and die at `step`."""
    writer = HookWriter(kafka_settings(bootstrap, prefix), SystemClock())
    await writer.read()
    STEPS[step]()
    changes = [WantedChange(hook, definition(hook, name=step), None) for hook in hooks]
    await writer.write(changes, by="killed", comment=step)


async def killed_writer(bootstrap: str, prefix: str, step: str, *hooks: str) -> int:
    """Run this program; its exit status, below zero for a signal."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "support.killed_writer", bootstrap, prefix, step, *hooks),
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT / "tests")},
    )
    return await process.wait()


if __name__ == "__main__":
    asyncio.run(write(sys.argv[1], sys.argv[2], sys.argv[3], sys.argv[4:]))
