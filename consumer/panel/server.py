"""Answers requests: the API's after the checks in their order, all others by the pages."""

import asyncio
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.panel.callers import BadHeaderError, one
from consumer.panel.connections import IDLE_SECONDS, failure
from consumer.panel.credentials import Identity
from consumer.panel.errors import problem_of
from consumer.panel.gate import Gate
from consumer.panel.inputs import parse_body, parse_query
from consumer.panel.pages.pages import Pages
from consumer.panel.problems import Problem
from consumer.panel.routes import Answer, Call, Route, Routes, find_route
from consumer.panel.transfer import (
    BODY,
    NDJSON,
    OPEN_BODY,
    read_body,
    response,
    send,
    send_lines,
    too_slow,
    while_there,
)

log = get_logger(__name__)

MAX_REQUESTS: Final = 64
"""Requests that are answered at a time."""


@dataclass(slots=True)
class _Seen:
    """What is known of a request so far, for the log."""

    route: str = ""
    identity: Identity | None = None

    def note(self, route: str, identity: Identity | None) -> None:
        """Note the page that is asked for."""
        self.route, self.identity = route, identity


class Server:
    """Answers what the routes have, and else by the pages."""

    def __init__(
        self, routes: Routes, pages: Pages, gate: Gate, clock: Clock, idle: float = IDLE_SECONDS
    ) -> None:
        """`idle`: see `IDLE_SECONDS`."""
        self._routes = routes
        self._pages = pages
        self._gate = gate
        self._clock = clock
        self._idle = idle
        self._under_way = 0

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        """Answer one request."""
        started, seen = self._clock.monotonic(), _Seen()
        try:
            answer = await self._answer(request, seen)
        except Problem as problem:
            answer = failure(problem)
        if not answer.prepared:
            await send(request, answer, self._idle)
        log.info(
            "request",
            route=seen.route,
            status=answer.status,
            who=seen.identity.name if seen.identity is not None else "",
            ms=round((self._clock.monotonic() - started) * 1000, 1),
        )
        return answer

    async def _answer(self, request: web.BaseRequest, seen: _Seen) -> web.StreamResponse:
        path, _, query = request.raw_path.partition("?")
        caller = self._gate.caller(request.remote, request.headers)
        if not self._routes.owns(path):
            return await self._pages.answer(request, caller, seen.note, self._place)
        route, parameters = self._find(request.method, path)
        seen.route = route.name
        seen.identity = self._gate.admit(route, caller, request.headers)
        call = Call(
            identity=seen.identity,
            caller=caller,
            path=parameters,
            query=parse_query(route, query),
            body=await _body(route, request),  # slow ones do not count as under way
            if_match=_if_match(route, request),
        )
        with self._place():
            if route.stream is not None and _accepts_lines(request):
                lines = route.stream(call).lines
                return await send_lines(request, lines, self._idle, route.seconds)
            if route.stream is None:
                return response(await _work(route, call))
            async with while_there(request):  # it is long, and of no use to a client that left
                return response(await _work(route, call))

    @contextmanager
    def _place(self) -> Iterator[None]:
        """One of the places for requests that are under way. Raises `Problem` if there is none."""
        if self._under_way >= MAX_REQUESTS:
            raise Problem(
                HTTPStatus.SERVICE_UNAVAILABLE, "busy", "too many requests are under way",
                headers={"Retry-After": "1"},
            )  # fmt: skip
        self._under_way += 1
        try:
            yield
        finally:
            self._under_way -= 1

    def _find(self, method: str, path: str) -> tuple[Route, Mapping[str, str]]:
        found = find_route(self._routes.all, method, path)
        if isinstance(found, tuple):
            return found
        if found:
            raise Problem(
                HTTPStatus.METHOD_NOT_ALLOWED, "method", "this path has no such method",
                headers={"Allow": ", ".join(sorted(found))},
            )  # fmt: skip
        raise Problem(HTTPStatus.NOT_FOUND, "path", "there is no such path")


async def _work(route: Route, call: Call) -> Answer:
    try:
        async with asyncio.timeout(route.seconds):
            return await route.handler(call)
    except TimeoutError:
        raise too_slow(route.seconds) from None
    except HookstreamError as error:
        raise problem_of(error) from error


async def _body(route: Route, request: web.BaseRequest) -> Any:
    if route.body is None:
        return None
    body = await read_body(request, BODY if route.role is not None else OPEN_BODY)
    return parse_body(route.body, request.headers.get("Content-Type", ""), body)


def _if_match(route: Route, request: web.BaseRequest) -> str:
    try:
        given = one(request.headers, "If-Match")
    except BadHeaderError as error:
        raise Problem(HTTPStatus.BAD_REQUEST, "header", str(error)) from None
    if route.if_match == "required" and not given:
        raise Problem(
            HTTPStatus.PRECONDITION_REQUIRED,
            "no-if-match",
            "send If-Match with the ETag that you saw, so that no other change is overwritten",
        )
    return given


def _accepts_lines(request: web.BaseRequest) -> bool:
    return NDJSON in request.headers.get("Accept", "").lower()
