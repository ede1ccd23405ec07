"""Reads the bodies of requests, and sends answers: each within bounds of size and time."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable
from contextlib import aclosing
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

MAX_BODY_BYTES: Final = 256 * 1024
BODY_SECONDS: Final = 10.0
"""Time in which the whole body of a request must arrive."""
STREAM_SECONDS: Final = 3600.0
NDJSON: Final = "application/x-ndjson"
_JSON: Final = "application/json"


async def read_body(request: web.BaseRequest) -> bytes:
    """The body of a request.

    Raises:
        Problem: it is too long, too slow, or compressed.
    """
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(
            HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "encoding", "send the body without a compression"
        )
    if (request.content_length or 0) > MAX_BODY_BYTES:
        raise _too_long()
    found = bytearray()
    try:
        async with asyncio.timeout(BODY_SECONDS):
            async for chunk in request.content.iter_any():
                found += chunk
                if len(found) > MAX_BODY_BYTES:
                    raise _too_long()
    except TimeoutError:
        raise Problem(
            HTTPStatus.REQUEST_TIMEOUT,
            "slow",
            f"the body took longer than {BODY_SECONDS:.0f} s",
            headers={"Connection": "close"},
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


async def send_lines(
    request: web.BaseRequest, lines: AsyncGenerator[BaseModel, None], idle: float
) -> web.StreamResponse:
    """Send lines of JSON as they come. An error at the beginning is raised; one in the middle is
    the last line.

    Raises:
        Problem: there is no first line.
    """
    async with aclosing(lines):
        line = await _next(lines)
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


def _too_long() -> Problem:
    return Problem(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
        "size",
        f"the body is longer than {MAX_BODY_BYTES:,} bytes",
        headers={"Connection": "close"},
    )
