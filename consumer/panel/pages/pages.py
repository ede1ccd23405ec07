"""Answers requests for pages: who may see one, the page itself, and errors as pages."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from http import HTTPStatus

from aiohttp import web

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.panel.callers import BadHeaderError, Caller, cookies
from consumer.panel.credentials import Identity, is_csrf_token
from consumer.panel.errors import problem_of
from consumer.panel.gate import Gate
from consumer.panel.pages.answers import (
    Asked,
    asset,
    download,
    html,
    moved,
    no_method,
    stale_form,
)
from consumer.panel.pages.assets import PREFIX
from consumer.panel.pages.entrance import LOG_IN, OPEN, Entrance
from consumer.panel.pages.inputs import parse_fields, refuse_unknown
from consumer.panel.pages.preferences import preferences
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import Download, MovedTo, PageRoute, Shown, Visit
from consumer.panel.problems import Problem
from consumer.panel.routes import find_route
from consumer.panel.transfer import while_there

Note = Callable[[str, Identity | None], None]
"""Is told the page and the user, for the log."""
Place = Callable[[], AbstractContextManager[None]]
"""Is entered while a page is made: their number is bounded, and raises `Problem` above it."""


class Pages:
    """All pages. They change nothing but by a form that one of them made."""

    def __init__(self, routes: Sequence[PageRoute], gate: Gate, clock: Clock) -> None:
        self.routes = routes
        self._gate = gate
        self._clock = clock
        self._entrance = Entrance(gate)

    async def answer(
        self, request: web.BaseRequest, caller: Caller, note: Note, place: Place
    ) -> web.StreamResponse:
        """The answer to a request for a page or a file of one."""
        path, _, query = request.raw_path.partition("?")
        headers = request.headers
        liked = preferences(cookies(headers), headers.get("Accept-Language", ""))
        asked = Asked(request.method, path, query, caller, request, liked)
        identity = None
        try:
            if path.startswith(PREFIX):
                note(PREFIX, None)
                return asset(request, path)
            if path in OPEN:
                note(path, None)
                return await self._entrance.answer(asked)
            route, parameters = self._find(asked)
            note(route.path, None)
            identity = self._identify(asked)
            note(route.path, identity)
            visit = await self._visit(asked, route, parameters, identity)
            with place():
                return await _page(asked, route, visit)
        except HookstreamError as error:
            return _failed(asked, problem_of(error), identity)
        except Problem as problem:
            if problem.status is HTTPStatus.UNAUTHORIZED:
                return moved(url(LOG_IN, next=asked.here))
            return _failed(asked, problem, identity)

    def _find(self, asked: Asked) -> tuple[PageRoute, Mapping[str, str]]:
        found = find_route(self.routes, asked.method, asked.path)
        if isinstance(found, tuple):
            return found
        if found:
            raise no_method(*found)
        raise Problem(HTTPStatus.NOT_FOUND, "path", "there is no such page")

    def _identify(self, asked: Asked) -> Identity:
        try:
            return self._gate.identify(asked.caller, asked.request.headers)
        except BadHeaderError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, "header", str(error)) from None

    async def _visit(
        self, asked: Asked, route: PageRoute, parameters: Mapping[str, str], identity: Identity
    ) -> Visit:
        """The request, if this user may make it. Raises `Problem`."""
        if not identity.may(route.role):
            raise Problem(
                HTTPStatus.FORBIDDEN, "forbidden",
                f"this is for {route.role}s, and {identity.name} is not one",
            )  # fmt: skip
        query = parse_fields(asked.query)
        refuse_unknown(route, query)
        form = await self._checked_form(asked, identity) if route.method == "POST" else {}
        now = self._clock.now()
        return Visit(identity, asked.preferences, asked.path, parameters, query, form, now)

    async def _checked_form(self, asked: Asked, identity: Identity) -> dict[str, str]:
        """The fields of a form that this user's page made. Raises `Problem`."""
        form, headers = await asked.form(), asked.request.headers
        mark = form.pop("csrf", "")
        match identity.how:
            case "session" if not is_csrf_token(identity, mark):
                raise stale_form()
            case "proxy" if "Origin" not in headers and "Sec-Fetch-Site" not in headers:
                raise stale_form()  # no browser: nothing says which page sent it
        return form


async def _page(asked: Asked, route: PageRoute, visit: Visit) -> web.StreamResponse:
    try:
        async with AsyncExitStack() as stack:
            if route.ends_with_client:
                await stack.enter_async_context(while_there(asked.request))
            await stack.enter_async_context(asyncio.timeout(route.seconds))
            result = await route.handler(visit)
    except TimeoutError:
        raise Problem(
            HTTPStatus.SERVICE_UNAVAILABLE, "time",
            f"this took longer than {route.seconds:.0f} s; what was begun may yet be done",
        ) from None  # fmt: skip
    match result:
        case Shown():
            return html(asked, result, visit.identity, route.section)
        case MovedTo(location):
            return moved(location)
        case Download():
            return download(result)


def _failed(asked: Asked, problem: Problem, identity: Identity | None) -> web.Response:
    shown = Shown("problem.html", {"problem": problem.details}, problem.status)
    answer = html(asked, shown, identity, "")
    answer.headers.update(problem.headers)
    return answer
