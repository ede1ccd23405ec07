"""What is open to everybody: the log-in, the log-out, and how the pages look."""

import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.panel.callers import Caller, cookies
from consumer.panel.gate import Gate
from consumer.panel.pages.answers import Asked, html, moved, no_method, stale_form
from consumer.panel.pages.catalogue import LANGUAGES
from consumer.panel.pages.inputs import local_path, parse_fields
from consumer.panel.pages.preferences import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, set_cookie
from consumer.panel.pages.visit import Shown
from consumer.panel.problems import Problem, invalid_field
from consumer.panel.transfer import OPEN_BODY

LOG_IN: Final = "/login"
_LOG_OUT: Final = "/logout"
_PREFERENCES: Final = "/preferences"
OPEN: Final = frozenset({LOG_IN, _LOG_OUT, _PREFERENCES})
"""The paths."""
SYSTEM_THEME: Final = "system"
_MARK_COOKIE: Final = "hookstream_login"
_MARK_SECONDS: Final = 3600


class Entrance:
    """Lets people in by a token or the one-time link."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(self, asked: Asked) -> web.Response:
        """The answer to a request for one of `OPEN`. Raises `Problem`."""
        if asked.method == "POST":
            form = await asked.form(OPEN_BODY)
            if asked.path == _PREFERENCES:
                return _prefer(asked, form)
            if asked.path == _LOG_OUT:
                return moved(LOG_IN, [self._gate.clear_cookie(asked.caller)])
            return self._log_in(asked, form)
        if asked.path != LOG_IN:
            raise no_method("POST")
        if not asked.is_read:
            raise no_method("GET", "POST")
        query = parse_fields(asked.query)
        if "code" in query:
            if asked.method != "GET":  # what looks at a link must not use it up
                return moved(LOG_IN)
            return moved("/", [self._gate.log_in_by_link(query["code"], asked.caller)])
        return self._form(asked, local_path(query.get("next", "/")), None)

    def _log_in(self, asked: Asked, form: Mapping[str, str]) -> web.Response:
        given = cookies(asked.request.headers).get(_MARK_COOKIE, ())
        mark = _bytes(form.get("mark", ""))
        if len(given) != 1 or not secrets.compare_digest(_bytes(given[0]), mark):
            raise stale_form()
        after = local_path(form.get("next", "/"))
        try:
            cookie, _ = self._gate.log_in(form.get("token", ""), asked.caller)
        except Problem as problem:
            return self._form(asked, after, problem)
        return moved(after, [cookie, _mark_cookie("", asked.caller, 0)])

    def _form(self, asked: Asked, after: str, problem: Problem | None) -> web.Response:
        """The form for a token. It comes back with a mark that its browser has in a cookie, so
        that no other page can log a person in.
        """
        mark = secrets.token_urlsafe(24)
        values = {"mark": mark, "next": after, "problem": problem, "by_link": self._gate.is_by_link}
        status = problem.status if problem is not None else HTTPStatus.OK
        answer = html(asked, Shown("login.html", values, status), None, "")
        answer.headers["Set-Cookie"] = _mark_cookie(mark, asked.caller, _MARK_SECONDS)
        return answer


def _bytes(text: str) -> bytes:
    """A text of a request, whose bytes need not be UTF-8, to be compared."""
    return text.encode(errors="replace")


def _prefer(asked: Asked, form: Mapping[str, str]) -> web.Response:
    changed, secure = list[str](), asked.caller.is_secure
    if (language := form.get("language")) is not None:
        if language not in LANGUAGES:
            raise invalid_field("language", "is not known", "choose one of the page")
        changed.append(set_cookie(LANGUAGE_COOKIE, language, secure=secure))
    if (theme := form.get("theme")) is not None:
        if theme not in {*THEMES, SYSTEM_THEME}:
            raise invalid_field("theme", "is not known", "choose one of the page")
        value = "" if theme == SYSTEM_THEME else theme
        changed.append(set_cookie(THEME_COOKIE, value, secure=secure))
    return moved(local_path(form.get("next", "/")), changed)


def _mark_cookie(mark: str, caller: Caller, seconds: int) -> str:
    end = "; Secure" if caller.is_secure else ""
    return (
        f"{_MARK_COOKIE}={mark}; Path={LOG_IN}; Max-Age={seconds}; HttpOnly; SameSite=Strict{end}"
    )
