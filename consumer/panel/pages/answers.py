"""Responses of pages: HTML, redirects, downloads and files."""

import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from multidict import CIMultiDict

from consumer.panel.callers import BadHeaderError, Caller, is_foreign
from consumer.panel.connections import HEADERS
from consumer.panel.credentials import Identity
from consumer.panel.pages.assets import by_path
from consumer.panel.pages.inputs import parse_fields
from consumer.panel.pages.preferences import Preferences
from consumer.panel.pages.render import render
from consumer.panel.pages.visit import Download, Shown
from consumer.panel.problems import Problem, invalid
from consumer.panel.transfer import BODY, BodyBounds, read_body

Parse = Callable[[str], dict[str, str]]
"""From a form's body to its fields. Raises `Problem`."""
_FORM: Final = "application/x-www-form-urlencoded"
_HTML: Final = {
    **HEADERS,
    "Content-Type": "text/html; charset=utf-8",
    "Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; "
    "connect-src 'self'; img-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "Referrer-Policy": "same-origin",  # without it forms would have no origin
}
FOR_BACK: Final = "private, no-cache"
"""The browser keeps the page for its own Back and Forward, also one that answers a POST, and asks
again whenever it is opened in another way.
"""
_IMMUTABLE: Final = "public, max-age=31536000, immutable"


@dataclass(slots=True)
class Asked:
    """A request before it is known whose it is."""

    method: str
    path: str
    query: str
    caller: Caller
    request: web.BaseRequest
    preferences: Preferences
    _posted: str | None = field(default=None, init=False)

    @property
    def is_read(self) -> bool:
        """Whether it changes nothing by its method."""
        return self.method in {"GET", "HEAD"}

    @property
    def was_read(self) -> bool:
        """Whether the body was read."""
        return self._posted is not None

    @property
    def here(self) -> str:
        """Path and query, to come back to; the first page if it is none to come back to."""
        if not self.is_read:
            return "/"
        return f"{self.path}?{self.query}" if self.query else self.path

    async def form(self, bounds: BodyBounds = BODY, parse: Parse = parse_fields) -> dict[str, str]:
        """The fields of a form that a page of this panel sent. Raises `Problem`."""
        if self._posted is None:
            self._posted = await self._read(bounds)
        return parse(self._posted)

    async def _read(self, bounds: BodyBounds) -> str:
        headers = self.request.headers
        try:
            if is_foreign(self.caller, headers):
                raise Problem(
                    HTTPStatus.FORBIDDEN, "forbidden", "a page of another site sent this request"
                )
        except BadHeaderError as error:
            raise Problem(HTTPStatus.BAD_REQUEST, "header", str(error)) from None
        if headers.get("Content-Type", "").partition(";")[0].strip().lower() != _FORM:
            raise Problem(
                HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "media-type", "the body is to be a form"
            )
        try:
            return (await read_body(self.request, bounds)).decode()
        except UnicodeDecodeError:
            raise invalid("the form is not UTF-8") from None


def html(
    asked: Asked, shown: Shown, identity: Identity | None, section: str, *, for_back: bool = False
) -> web.Response:
    """A page. `section`: the entry of the navigation that is marked; `for_back`: whether the
    browser may keep it, so that Back leads to it as it was.
    """
    values: dict[str, Any] = {
        "writer": "",
        **shown.values,
        "identity": identity,
        "section": section,
        "theme": asked.preferences.theme,
        "here": asked.here,
        "page_id": "" if asked.is_read else secrets.token_hex(8),
    }
    text = render(shown.template, asked.preferences.language, values)
    body = text.encode(errors="backslashreplace")
    headers = {**_HTML, "Cache-Control": FOR_BACK} if for_back else _HTML
    return web.Response(status=int(shown.status), body=body, headers=headers)


def moved(location: str, cookies: Sequence[str] = ()) -> web.Response:
    """A redirect to a page that is asked for by GET."""
    headers = CIMultiDict({**_HTML, "Location": location})
    for cookie in cookies:
        headers.add("Set-Cookie", cookie)
    return web.Response(status=int(HTTPStatus.SEE_OTHER), headers=headers)


def download(file: Download) -> web.Response:
    """A file that the browser keeps."""
    headers = {
        **HEADERS,
        "Content-Type": file.content_type,
        "Content-Disposition": f'attachment; filename="{file.name}"',
    }
    return web.Response(body=file.body, headers=headers)


def asset(request: web.BaseRequest, path: str) -> web.Response:
    """A style sheet or script: its name changes with its content, so browsers may keep it.

    Raises:
        Problem: there is none.
    """
    found = by_path().get(path)
    if found is None or request.method not in {"GET", "HEAD"}:
        raise Problem(HTTPStatus.NOT_FOUND, "path", "there is no such file")
    headers = {
        **HEADERS,
        "Content-Type": found.content_type,
        "Cache-Control": _IMMUTABLE,
        "Vary": "Accept-Encoding",
    }
    body = found.body
    # Pages are not compressed: their length would tell of the CSRF token beside what a link put
    # into the query (BREACH).
    if "gzip" in request.headers.get("Accept-Encoding", "").lower():
        headers["Content-Encoding"], body = "gzip", found.compressed
    return web.Response(body=body, headers=headers)


def stale_form() -> Problem:
    """The answer to a form without the mark of its page."""
    return Problem(HTTPStatus.FORBIDDEN, "stale-form", "load the page again, then send its form")


def no_method(*methods: str) -> Problem:
    """The answer to a method that a path does not have."""
    return Problem(
        HTTPStatus.METHOD_NOT_ALLOWED,
        "method",
        "this path has no such method",
        headers={"Allow": ", ".join(sorted(methods))},
    )
