"""Reads the bodies of requests, and sends answers: each within bounds of size and time."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable
from contextlib import aclosing, asynccontextmanager
from dataclasses import dataclass
from http import HTTPStatus
from typing import Final

import orjson
from aiohttp import web
from pydantic import BaseModel

from consumer.errors import HookstreamError
from consumer.panel.connections import HEADERS
from consumer.panel.errors import problem_of
from consumer.panel.problems import Problem
from consumer.panel.routes import Answer

STREAM_SECONDS: Final = 3600.0
NDJSON: Final = "application/x-ndjson"
_JSON: Final = "application/json"
_LOOK_SECONDS: Final = 0.5
"""Between two looks whether a client is still there."""


@dataclass(frozen=True, slots=True)
class BodyBounds:
    """What the body of a request may take."""

    size: int
    """Bytes."""
    seconds: float
    """Time in which the whole body must arrive."""


BODY: Final = BodyBounds(256 * 1024, 10.0)
"""Of a user's request."""
OPEN_BODY: Final = BodyBounds(4 * 1024, 2.0)
"""Of a request that needs no user: a log-in's form has a token and an address to go on to."""


async def read_body(request: web.BaseRequest, bounds: BodyBounds) -> bytes:
    """The body of a request.

    Raises:
        Problem: it is too long, too slow, or compressed, or it broke off.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", "send the body without a compression"
        )
    if (request.content_length or 0) > bounds.size:
        raise _too_long(bounds)
    found = bytearray()
    try:
        async with asyncio.timeout(bounds.seconds):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > bounds.size:
                    raise _too_long(bounds)
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            "slow",
            f"the body took longer than {bounds.seconds:.0f} s",
            headers={"Connection": "close"},
        ) from None
    except ConnectionError:  # nobody reads this answer
        raise Problem(
            HTTPStatus.BAD_REQUEST, "left", "the client left before the body was whole"
        ) from None
    return bytes(found)


def response(answer: Answer) -> web.Response:
    """The response of an answer."""
    headers = {**HEADERS, **answer.headers}
    if answer.data is None:
        return web.Response(status=int(answer.status), headers=headers)
    headers["Content-Type"] = _JSON
    return web.Response(status=int(answer.status), body=_dump(answer.data), headers=headers)


async def send(
    request: web.BaseRequest, prepared: web.StreamResponse, idle: float
) -> web.StreamResponse:
    """Send a whole answer; a client that does not read it is cut off."""
    try:
        async with asyncio.timeout(idle):
            await prepared.prepare(request)
            await prepared.write_eof()
    except TimeoutError:
        _abort(request)  # an orderly close would wait for the same reader
    except ConnectionError:
        pass  # the client left, or its connection was closed
    return prepared


@asynccontextmanager
async def while_there(request: web.BaseRequest) -> AsyncIterator[None]:
    """End what is done inside if its client leaves.

    Raises:
        Problem: the client left.
    """
    bound = asyncio.timeout(None)
    watch = asyncio.create_task(_end_if_gone(request, bound))
    try:
        async with bound:
            yield
    except TimeoutError:
        if not bound.expired():
            raise
        raise Problem(HTTPStatus.BAD_REQUEST, "left", "the client left before the answer") from None
    finally:
        watch.cancel()


async def _end_if_gone(request: web.BaseRequest, bound: asyncio.Timeout) -> None:
    def is_there() -> bool:
        return request.transport is not None and not request.transport.is_closing()

    while is_there():  # noqa: ASYNC110  # aiohttp has no event of it
        await asyncio.sleep(_LOOK_SECONDS)
    bound.reschedule(0.0)


async def send_lines(
    request: web.BaseRequest,
    lines: AsyncGenerator[BaseModel, None],
    idle: float,
    first: float,
) -> web.StreamResponse:
    """Send lines of JSON as they come, the first within `first` seconds. An error at the beginning
    is raised; one in the middle is the last line.

    Raises:
        Problem: there is no first line.
    """
    async with aclosing(lines):
        try:
            async with while_there(request), asyncio.timeout(first):
                line = await _next(lines)
        except TimeoutError:
            raise too_slow(first) from None
        sent = web.StreamResponse(headers={**HEADERS, "Content-Type": NDJSON})
        try:
            await _within(idle, sent.prepare(request))
            async with asyncio.timeout(STREAM_SECONDS):
                while line is not None:
                    await _within(idle, sent.write(_dump(line) + b"\n"))
                    line = await _next(lines)
            await _within(idle, sent.write_eof())
        except Problem as problem:
            await _within(idle, sent.write(problem.body + b"\n"))
            await _within(idle, sent.write_eof())
        except (TimeoutError, ConnectionError):
            _abort(request)
        return sent


def too_slow(seconds: float) -> Problem:
    """The answer to a request whose work takes too long."""
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        "time",
        f"this took longer than {seconds:.0f} s; what was begun may yet be done",
    )


async def _next(lines: AsyncGenerator[BaseModel, None]) -> BaseModel | None:
    try:
        return await anext(lines, None)
    except HookstreamError as error:
        raise problem_of(error) from error


async def _within(seconds: float, work: Awaitable[object]) -> None:
    async with asyncio.timeout(seconds):
        await work


def _abort(request: web.BaseRequest) -> None:
    if request.transport is not None:
        request.transport.abort()


def _dump(data: object) -> bytes:
    return data.model_dump_json().encode() if isinstance(data, BaseModel) else orjson.dumps(data)


def _too_long(bounds: BodyBounds) -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "size",
        f"the body is longer than {bounds.size:,} bytes",
        headers={"Connection": "close"},
    )
