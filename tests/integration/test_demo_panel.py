"""The demo's panel: from its link to a hook of one's own that fires."""

import asyncio
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp

from support.waiting import wait_until


@asynccontextmanager
async def _demo(folder: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "consumer", "demo", "--seconds", "600", "--rate", "50",
        cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
    )  # fmt: skip
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def _line(process: asyncio.subprocess.Process, pattern: str) -> str:
    """What `pattern` finds in the first line that has it."""
    assert process.stdout is not None
    async with asyncio.timeout(60):
        while line := (await process.stdout.readline()).decode():
            if found := re.search(pattern, line):
                return found[1]
    raise AssertionError(f"the demo ended without {pattern}")


async def test_the_panel_of_the_demo(tmp_path: Path) -> None:
    """The demo prints a link to its panel and a URI to try: the page shows the demo's hooks, a hook
    that is made there fires, the log and the reports have what it sent, and Ctrl-C ends all in
    order.
    """
    async with (
        _demo(tmp_path) as process,
        aiohttp.ClientSession(
            cookie_jar=aiohttp.CookieJar(unsafe=True)  # for an address in place of a name
        ) as browser,
    ):
        link = await _line(process, r"panel.*: (http://\S+)")
        uri = await _line(process, r"URI (http://\S+)")
        await _line(process, r"(events arrive)")
        async with browser.get(link) as page:
            assert page.status == 200
            assert "click-analytics" in await page.text()
        root = str(page.url.origin()) + "/api/v1"
        async with browser.get(f"{root}/session") as answer:
            csrf = (await answer.json())["csrf_token"]
        definition = {"id": "mine", "trigger": "event", "uri": uri}
        headers = {"X-CSRF-Token": csrf}
        async with browser.post(f"{root}/hooks", json=definition, headers=headers) as made:
            assert made.status == 201, await made.text()

        async def get(path: str) -> Any:
            async with browser.get(root + path) as answer:
                return await answer.json()

        async def is_delivered() -> bool:
            found = await get("/deliveries?hook=mine&outcome=delivered")
            return bool(found["deliveries"])

        async def is_reported() -> bool:
            found = await get("/reports?hook=mine")
            return any(report["delivered"] for report in found["reports"])

        await wait_until(is_delivered, "a delivery of the own hook in the log")
        await wait_until(is_reported, "the own hook in the reports")
        assert [one["hook"] for one in (await get("/audit?hook=mine"))["changes"]] == ["mine"]
        process.send_signal(signal.SIGINT)
        _, errors = await asyncio.wait_for(process.communicate(), 45)
    assert (process.returncode, errors) == (0, b"")
