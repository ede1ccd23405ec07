"""The end of a process that exits by itself at the end of its standard input."""

import asyncio
from asyncio.subprocess import Process
from typing import Final

EXIT_TIMEOUT_SECONDS: Final = 5.0
"""Time that a process has to exit by itself."""


async def end_child(process: Process) -> None:
    """End the process, and kill it if it does not exit in `EXIT_TIMEOUT_SECONDS`."""
    assert process.stdin is not None  # noqa: S101  # a pipe was asked for
    process.stdin.close()
    try:
        async with asyncio.timeout(EXIT_TIMEOUT_SECONDS):
            await process.wait()
    except TimeoutError:
        process.kill()
        await process.wait()
