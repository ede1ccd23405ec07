"""The panel's life: its parts, its address, and its end."""

from collections.abc import AsyncIterator, Callable
from collections.abc import Set as AbstractSet
from contextlib import AsyncExitStack, asynccontextmanager
from functools import cached_property
from typing import Any, Final

from aiohttp import web
from pydantic import BaseModel

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.hooks.load_context import LoadContext
from consumer.logs import get_logger
from consumer.panel.api_dead_letters import DeadLettersApi
from consumer.panel.api_events import EventsApi
from consumer.panel.api_hooks import HooksApi
from consumer.panel.api_journal import JournalApi
from consumer.panel.api_requests import RequestsApi
from consumer.panel.api_system import SystemApi
from consumer.panel.connections import IDLE_SECONDS, make_runner
from consumer.panel.gate import Gate
from consumer.panel.openapi import openapi_document
from consumer.panel.pages.data import ServiceData
from consumer.panel.pages.day_reports import DayReports
from consumer.panel.pages.entrance import LOG_IN
from consumer.panel.pages.recent_window import RecentWindow
from consumer.panel.pages.site import make_pages
from consumer.panel.pages.trial_page import TrialPart
from consumer.panel.routes import Routes
from consumer.panel.server import Server
from consumer.services.broker_watch import BrokerWatch
from consumer.services.dead_letter_reads import DeadLetterReads
from consumer.services.deliveries import make_deliveries
from consumer.services.hook_reader import read_ahead
from consumer.services.hooks import HookService
from consumer.services.last_day import DayReader
from consumer.services.report_reads import ReportReads
from consumer.services.sealing import make_seal
from consumer.services.test_sends import TestSends
from consumer.services.trials import ServiceTrials
from consumer.settings import Settings

log = get_logger(__name__)

_PLACE: Final = {"host", "port"}
"""Of the panel's settings: where it listens, until it ends."""


class Panel:
    """The server of the panel and its API. It never imports the running daemon."""

    def __init__(
        self,
        settings: Settings,
        new_context: Callable[[], LoadContext],
        clock: Clock,
        *,
        idle: float = IDLE_SECONDS,
    ) -> None:
        """`new_context` makes the contexts in which the definitions of test sends are loaded, with
        their secrets; `idle`: see `IDLE_SECONDS`. Raises `ConfigError` if a key for sealed secrets
        is none.
        """
        self._settings = settings
        self.gate = Gate(settings.panel, clock)
        self._broker = BrokerWatch(settings.kafka, clock)
        require = self._broker.require
        self._hooks = HookService(settings, require, clock)
        reports = ReportReads(settings.kafka, require, clock)
        dead_letters = DeadLetterReads(settings, require, clock)
        self._day = DayReader(reports.read, clock)
        tests = TestSends(settings, new_context, clock)
        system = SystemApi(settings, self._hooks, self.gate, clock, lambda: self.document)
        self.routes = Routes(
            [
                *HooksApi(self._hooks, self._day).routes(),
                *RequestsApi(settings, self._hooks, tests, clock).routes(),
                *EventsApi(settings, self._hooks, require, clock).routes(),
                *JournalApi(settings, self._hooks.reader, reports, clock).routes(),
                *DeadLettersApi(settings, dead_letters, clock).routes(),
                *system.routes(),
            ]
        )
        log_search = make_deliveries(settings, clock)
        data = ServiceData(
            settings, self._hooks, log_search, reports, dead_letters=dead_letters, clock=clock
        )
        day = DayReports(self._day)
        self._recent = RecentWindow(data, clock)
        trials = ServiceTrials(settings, self._hooks, tests, clock)
        pages = make_pages(
            data,
            self._hooks,
            TrialPart(data, trials, self._recent),
            day,
            self.gate,
            clock=clock,
            live=settings.hooks.live,
            seal=make_seal(settings),
        )
        self._server = Server(self.routes, pages, self.gate, clock, idle)
        self._idle = idle
        self.port = 0
        """The port in use while it serves."""

    @cached_property
    def document(self) -> dict[str, Any]:
        """The OpenAPI document."""
        return openapi_document(self.routes.all)

    @property
    def url(self) -> str:
        """Where it serves."""
        return f"http://{_authority(self._settings.panel.host, self.port)}"

    @property
    def link(self) -> str | None:
        """The link that lets one person in; None if there is another way, or it was used."""
        if self.gate.link is None:
            return None
        return f"{self.url}{LOG_IN}?code={self.gate.link}"

    def use(self, settings: Settings) -> list[str]:
        """Let in whom these settings name, from now on. Returns what else has changed, as fields of
        the settings: that needs a start.

        Raises:
            HookstreamError: nobody could log in; the settings before go on.
        """
        place = self._settings.panel.model_dump(include=_PLACE)
        self.gate.use(settings.panel.model_copy(update=place))
        return [
            *_changed(self._settings, settings, set(type(settings).model_fields) - {"panel"}),
            *(f"panel.{name}" for name in _changed(self._settings.panel, settings.panel, _PLACE)),
        ]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Answer requests while entered.

        Raises:
            HookstreamError: the address cannot be listened on.
        """
        panel = self._settings.panel
        if panel.trusts_this_machine:
            log.warning(
                "a proxy on this machine is trusted, so requests by any host name are answered: "
                "let it refuse names that are not the panel's (DNS rebinding)"
            )
        async with AsyncExitStack() as stack:
            stack.push_async_callback(self._hooks.close)
            stack.push_async_callback(self._day.close)
            stack.push_async_callback(self._recent.close)
            stack.push_async_callback(self._broker.close)
            runner = make_runner(self._server.handle, self.gate.peer_name, self._idle)
            stack.push_async_callback(runner.cleanup)
            await runner.setup()
            try:
                await web.TCPSite(runner, panel.host, panel.port).start()
            except OSError as error:
                raise HookstreamError(
                    f"the panel cannot listen on {_authority(panel.host, panel.port)} "
                    f"({error.strerror}): set panel.host and panel.port to a free address of this "
                    "machine"
                ) from error
            self.port = runner.addresses[0][1]
            async with read_ahead(self._hooks.reader):
                yield


def _changed(before: BaseModel, after: BaseModel, names: AbstractSet[str]) -> list[str]:
    return [name for name in sorted(names) if getattr(before, name) != getattr(after, name)]


def _authority(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
