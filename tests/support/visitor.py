"""A browser without script, for tests of the pages over HTTP."""

import re
from collections.abc import Mapping
from html import unescape

import aiohttp
import yarl

from consumer.panel.panel import Panel
from support.panel import TOKENS, Reply
from support.served_pages import ServedPages


class Visitor:
    """A browser without script: it keeps cookies and follows nothing."""

    def __init__(
        self, panel: ServedPages | Panel, headers: Mapping[str, str] | None = None
    ) -> None:
        self.panel = panel
        self.cookies: dict[str, str] = {}
        self.headers = dict(headers or {})

    async def __call__(
        self, method: str, path: str, form: Mapping[str, str] | None = None, **headers: str
    ) -> Reply:
        """Send a request as a browser does; header names are written with underscores."""
        given = {**self.headers, **{name.replace("_", "-"): text for name, text in headers.items()}}
        if self.cookies:
            given["Cookie"] = "; ".join(f"{name}={text}" for name, text in self.cookies.items())
        url = yarl.URL(self.panel.url + path, encoded=True)
        async with (
            aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session,
            session.request(method, url, data=form, headers=given, allow_redirects=False) as answer,
        ):
            for morsel in answer.cookies.values():
                self.cookies[morsel.key] = morsel.value
            return Reply(answer.status, answer.headers.copy(), await answer.read())

    async def log_in(self, role: str) -> "Visitor":
        """Log in by the form."""
        page = await self("GET", "/login")
        form = {"mark": field(page, "mark"), "next": "/hooks", "token": TOKENS[role]}
        answer = await self("POST", "/login", form)
        assert (answer.status, answer.headers["Location"]) == (303, "/hooks")
        return self

    async def csrf(self) -> str:
        """The mark of this session's forms, from a page that every role sees."""
        return field(await self("GET", "/compose?trigger=push_click&subject=spring-sale"), "csrf")


def field(page: Reply, name: str) -> str:
    """The value of a hidden field."""
    match = re.search(rf'name="{name}" value="([^"]*)"', page.body.decode())
    assert match is not None
    return unescape(match[1])
