"""The pages over an installation in memory, served in a thread of its own for a real browser."""

import asyncio
import threading
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial

from aiohttp import web

from consumer.control.sealed import new_key, seal
from consumer.panel.connections import make_runner
from consumer.panel.gate import Gate
from consumer.panel.pages.day_reports import DayReports
from consumer.panel.pages.recent_window import RecentWindow
from consumer.panel.pages.site import make_pages
from consumer.panel.pages.trial_page import TrialPart
from consumer.panel.routes import Routes
from consumer.panel.server import Server
from consumer.services.last_day import DayReader
from consumer.settings import PanelSettings
from support.page_changes import PageChanges
from support.page_data import PageData
from support.page_trials import page_trials
from support.panel import token_entries


@dataclass(frozen=True, slots=True)
class ServedPages:
    """A panel that serves pages."""

    url: str
    data: PageData
    gate: Gate


@contextmanager
def served_pages(
    data: PageData,
    *,
    panel: PanelSettings | None = None,
    live: bool = True,
    sealing: bool = True,
    changes: PageChanges | None = None,
) -> Iterator[ServedPages]:
    """Serve the pages of an installation; `panel` has a token for each role, if it is not given.
    `sealing`: whether the settings have a key for secrets; `changes`: what writes, if not as usual.
    """
    gate = Gate(panel or PanelSettings(tokens=token_entries()), data.clock)
    ready: Future[int] = Future()
    stop = threading.Event()

    async def serve() -> None:
        reader = DayReader(data.day_reports, data.clock)
        day = DayReports(reader)
        sealer = partial(seal, public_key=new_key()[0]) if sealing else None
        writes = changes or PageChanges(data)
        recent = RecentWindow(data, data.clock)
        trial = TrialPart(data, page_trials(data.clock), recent)
        pages = make_pages(data, writes, trial, day, gate, clock=data.clock, live=live, seal=sealer)
        runner = make_runner(Server(Routes([]), pages, gate, data.clock).handle, gate.peer_name)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        ready.set_result(runner.addresses[0][1])
        await asyncio.to_thread(stop.wait)
        await reader.close()
        await recent.close()
        await runner.cleanup()

    thread = threading.Thread(target=lambda: asyncio.run(serve()))
    thread.start()
    try:
        yield ServedPages(f"http://127.0.0.1:{ready.result(10)}", data, gate)
    finally:
        stop.set()
        thread.join()
