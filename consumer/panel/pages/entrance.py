"""What is open to everybody: the log-in, the log-out, and how the pages look."""

import secrets
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Final

from aiohttp import web

from consumer.panel.callers import Caller, cookies
from consumer.panel.credentials import Identity
from consumer.panel.gate import Gate
from consumer.panel.pages.answers import Asked, html, moved, no_method, stale_form
from consumer.panel.pages.catalogue import LANGUAGES
from consumer.panel.pages.inputs import local_path, parse_fields, parse_written
from consumer.panel.pages.preferences import LANGUAGE_COOKIE, THEME_COOKIE, THEMES, set_cookie
from consumer.panel.pages.visit import Shown
from consumer.panel.problems import Problem, invalid_field
from consumer.panel.transfer import BODY, OPEN_BODY

LOG_IN: Final = "/login"
_LOG_OUT: Final = "/logout"
_PREFERENCES: Final = "/preferences"
OPEN: Final = frozenset({LOG_IN, _LOG_OUT, _PREFERENCES})
"""The paths."""
SYSTEM_THEME: Final = "system"
_KEPT: Final = "kept."
"""Begins the names of fields of the form that a log-in carries."""
_KEPT_QUERY: Final = "kept=1"
"""Of a log-in that carries a form: its body may be as long as the form's."""
Restore = Callable[[Identity, str, Mapping[str, str]], Awaitable[web.StreamResponse]]
"""The page of a form, for a user, at a path, with the fields that were carried. Raises
`Problem`."""
_MARK_COOKIE: Final = "hookstream_login"
_MARK_SECONDS: Final = 3600


class Entrance:
    """Lets people in by a token or the one-time link."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    async def answer(self, asked: Asked, restore: Restore) -> web.StreamResponse:
        """The answer to a request for one of `OPEN`. Raises `Problem`."""
        if asked.method == "POST":
            return await self._post(asked, restore)
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

    async def _post(self, asked: Asked, restore: Restore) -> web.StreamResponse:
        if (asked.path, asked.query) == (LOG_IN, _KEPT_QUERY):
            return await self._log_in_with_form(asked, restore)
        form = await asked.form(OPEN_BODY)
        if asked.path == _PREFERENCES:
            return _prefer(asked, form)
        if asked.path == _LOG_OUT:
            answer = moved(LOG_IN, [self._gate.clear_cookie(asked.caller)])
            answer.headers["Clear-Site-Data"] = '"cache"'  # the forms that Back would show
            return answer
        return self._log_in(asked, form)

    def keep(self, asked: Asked, kept: Mapping[str, str]) -> web.Response:
        """The log-in for a person whose session ended: it carries the form that was posted."""
        return self._form(asked, local_path(asked.path), None, kept)

    async def _log_in_with_form(self, asked: Asked, restore: Restore) -> web.StreamResponse:
        """A log-in that carries a form, which is shown again afterwards, with all that was written
        into it. It is sent by that page's own button only.
        """
        form = await asked.form(BODY, parse_written)
        kept = {
            name.removeprefix(_KEPT): text for name, text in form.items() if name.startswith(_KEPT)
        }
        after = local_path(form.get("next", "/"))
        if not _has_mark(asked, form):
            return self._form(asked, after, None, kept)
        try:
            cookie, identity = self._gate.log_in(form.get("token", "").strip(), asked.caller)
        except Problem as problem:
            return self._form(asked, after, problem, kept)
        answer = await restore(identity, after, kept)
        for line in (cookie, _mark_cookie("", asked.caller, 0)):
            answer.headers.add("Set-Cookie", line)
        return answer

    def _log_in(self, asked: Asked, form: Mapping[str, str]) -> web.Response:
        if not _has_mark(asked, form):
            raise stale_form()
        after = local_path(form.get("next", "/"))
        try:
            cookie, _ = self._gate.log_in(form.get("token", ""), asked.caller)
        except Problem as problem:
            return self._form(asked, after, problem)
        return moved(after, [cookie, _mark_cookie("", asked.caller, 0)])

    def _form(
        self,
        asked: Asked,
        after: str,
        problem: Problem | None,
        kept: Mapping[str, str] | None = None,
    ) -> web.Response:
        """The form for a token. It comes back with a mark that its browser has in a cookie, so
        that no other page can log a person in.
        """
        mark = secrets.token_urlsafe(24)
        values = {
            "mark": mark, "next": after, "problem": problem, "kept": kept,
            "by_link": self._gate.is_by_link, "by_token": self._gate.has_tokens,
        }  # fmt: skip
        status = problem.status if problem is not None else HTTPStatus.OK
        answer = html(asked, Shown("login.html", values, status), None, "")
        # A script's request must not replace the mark of the log-in page that is open.
        if asked.request.headers.get("Sec-Fetch-Dest", "document") == "document":
            answer.headers["Set-Cookie"] = _mark_cookie(mark, asked.caller, _MARK_SECONDS)
        return answer


def _has_mark(asked: Asked, form: Mapping[str, str]) -> bool:
    """Whether the log-in's own page sent this form from this browser."""
    given = cookies(asked.request.headers).get(_MARK_COOKIE, ())
    mark = _bytes(form.get("mark", ""))
    return len(given) == 1 and secrets.compare_digest(_bytes(given[0]), mark)


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
