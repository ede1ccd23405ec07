"""The demo's panel, in a process of its own: that of `hookstream panel`, on the mock cluster.

It prints the link that lets one person in. It exits at the end of standard input, so it cannot
outlive its parent.
"""

import asyncio
import sys
from pathlib import Path

from consumer import logs
from consumer.clock import SystemClock
from consumer.configuration import read_settings
from consumer.demo.mock_gaps import close_mock_gaps
from consumer.panel.panel import Panel


async def main(file: Path) -> None:
    """Serve by the settings in `file` as the module's docstring says."""
    clock = SystemClock()
    logs.configure("text", "error", sys.stderr, clock)
    settings, new_context = read_settings(file, environ={})
    panel = Panel(settings, new_context, clock)
    async with panel.serving():
        print(panel.link, flush=True)  # noqa: T201  # the protocol
        await asyncio.to_thread(sys.stdin.read)


if __name__ == "__main__":
    close_mock_gaps()
    asyncio.run(main(Path(sys.argv[1])))
