"""Answers requests for pages: who may see one, the page itself, and errors as pages."""

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, AsyncExitStack
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.panel.callers import BadHeaderError, Caller, cookies
from consumer.panel.credentials import Identity, is_csrf_token
from consumer.panel.errors import problem_of
from consumer.panel.gate import Gate
from consumer.panel.pages.answers import (
    Asked,
    Parse,
    asset,
    download,
    html,
    moved,
    no_method,
    stale_form,
)
from consumer.panel.pages.assets import PREFIX
from consumer.panel.pages.entrance import LOG_IN, OPEN, Entrance
from consumer.panel.pages.inputs import parse_fields, parse_written, refuse_unknown
from consumer.panel.pages.preferences import preferences
from consumer.panel.pages.render import url
from consumer.panel.pages.visit import WRITER, Download, MovedTo, PageRoute, Restored, Shown, Visit
from consumer.panel.problems import Problem
from consumer.panel.routes import find_route
from consumer.panel.transfer import while_there

Note = Callable[[str, Identity | None], None]
"""Is told the page and the user, for the log."""
Place = Callable[[], AbstractContextManager[None]]
"""Is entered while a page is made: their number is bounded, and raises `Problem` above it."""

_BEFORE_BODY: Final = {HTTPStatus.UNAUTHORIZED, HTTPStatus.FORBIDDEN}
"""Answers that are given before the body is read."""
_STALE: Final[Restored] = "stale"
_AGAIN: Final[Restored] = "again"


class Pages:
    """All pages. They change nothing but by a form that one of them made."""

    def __init__(self, routes: Sequence[PageRoute], gate: Gate, clock: Clock) -> None:
        self.routes = routes
        self._forms = frozenset(route.path for route in routes if route.keep is not None)
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
        route, identity = None, None
        try:
            if path.startswith(PREFIX):
                note(PREFIX, None)
                return asset(request, path)
            if path in OPEN:
                note(path, None)
                return await self._entrance.answer(asked, partial(self._restore, asked, place))
            route, parameters = self._find(asked)
            note(route.path, None)
            identity = self._identify(asked)
            note(route.path, identity)
            visit = await self._visit(asked, route, parameters, identity)
            with place():
                return await self._page(asked, route, visit)
        except HookstreamError as error:
            return await self._failed(asked, route, problem_of(error), identity, place)
        except Problem as problem:
            return await self._failed(asked, route, problem, identity, place)

    async def _restore(
        self,
        asked: Asked,
        place: Place,
        identity: Identity,
        path: str,
        fields: Mapping[str, str],
    ) -> web.StreamResponse:
        """The page of a form whose text was carried through a log-in. Raises `Problem`."""
        found = find_route(self.routes, "POST", path)
        if not isinstance(found, tuple) or found[0].keep is None:
            raise Problem(HTTPStatus.NOT_FOUND, "path", "there is no such form")
        route, parameters = found
        kept = route.keep(fields) if route.keep is not None else {}
        visit = Visit(
            identity, asked.preferences, path, parameters, {}, kept, self._clock.now(), "session",
            _other_writer(identity, fields.get(WRITER, "")),
        )  # fmt: skip
        try:
            _check_role(identity, route)
            with place():
                return await self._page(asked, route, visit)
        except HookstreamError as error:
            problem = problem_of(error)
        except Problem as error:
            problem = error
        carried = {**kept, WRITER: fields.get(WRITER, "")}
        values = {"problem": problem.details, "kept": carried, "path": path, "reload": ""}
        return html(asked, Shown("problem.html", values, problem.status), identity, "")

    async def _page(self, asked: Asked, route: PageRoute, visit: Visit) -> web.StreamResponse:
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
                shown = replace(result, values={**result.values, WRITER: visit.writer})
                for_back = route.path in self._forms and not shown.is_confidential
                return html(asked, shown, visit.identity, route.section, for_back=for_back)
            case MovedTo(location):
                return moved(location)
            case Download():
                return download(result)

    async def _failed(  # what is known when it fails
        self,
        asked: Asked,
        route: PageRoute | None,
        problem: Problem,
        identity: Identity | None,
        place: Place,
    ) -> web.Response:
        kept = await _kept(asked, route, problem, place)
        if problem.status is HTTPStatus.UNAUTHORIZED:
            if kept is None:
                return moved(url(LOG_IN, next=asked.here))
            return self._entrance.keep(asked, kept)
        reload = problem.headers.get("Retry-After", "") if asked.is_read else ""
        values = {"problem": problem.details, "kept": kept, "path": asked.path, "reload": reload}
        shown = Shown("problem.html", values, problem.status)
        answer = html(asked, shown, identity, "", for_back=kept is not None)
        answer.headers.update(problem.headers)
        return answer

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
        _check_role(identity, route)
        query = parse_fields(asked.query)
        refuse_unknown(route, query)
        now, form, restored, writer = self._clock.now(), dict[str, str](), None, ""
        if route.method == "POST":
            form = await asked.form(parse=_parse(route))
            writer = _other_writer(identity, form.pop(WRITER, ""))
            if not _is_of_its_page(asked, identity, form.pop("csrf", "")):
                if route.keep is None:
                    raise stale_form()
                form, restored = dict(route.keep(form)), _STALE
            elif "restored" in form:
                restored = _AGAIN
        return Visit(
            identity, asked.preferences, asked.path, parameters, query, form, now, restored,
            writer if restored is not None else "",
        )  # fmt: skip


def _other_writer(identity: Identity, writer: str) -> str:
    return writer if writer != identity.name else ""


def _check_role(identity: Identity, route: PageRoute) -> None:
    if not identity.may(route.role):
        raise Problem(HTTPStatus.FORBIDDEN, "forbidden", identity.refusal(route.role))


def _parse(route: PageRoute) -> Parse:
    return parse_written if route.keep is not None or route.is_long else parse_fields


def _is_of_its_page(asked: Asked, identity: Identity, mark: str) -> bool:
    """Whether this user's page made a form; `mark`: its CSRF token."""
    headers = asked.request.headers
    match identity.how:
        case "session":
            return is_csrf_token(identity, mark)
        case "proxy":  # without both it is no browser: nothing says which page sent it
            return "Origin" in headers or "Sec-Fetch-Site" in headers
        case _:
            return True


async def _kept(
    asked: Asked, route: PageRoute | None, problem: Problem, place: Place
) -> Mapping[str, str] | None:
    """What a page may carry on of the form that was posted; None: there is nothing to keep."""
    if route is None or route.keep is None or asked.method != "POST":
        return None
    if not asked.was_read and problem.status not in _BEFORE_BODY:
        return None  # the body is what failed: too long, or too slow
    try:
        posted = await asked.form(parse=parse_written)
        with place():
            return {**route.keep(posted), WRITER: posted.get(WRITER, "")}
    except Problem:  # it is no form, another site's page sent it, or too much is under way
        return None
