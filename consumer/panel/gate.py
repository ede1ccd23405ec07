"""Who may make which request: the checks before a route's own work."""

import secrets
from collections.abc import Sequence
from http import HTTPStatus
from math import ceil
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.panel.callers import (
    BadHeaderError,
    Caller,
    Callers,
    Headers,
    cookies,
    is_foreign,
    one,
)
from consumer.panel.credentials import (
    MAX_TOKEN_CHARACTERS,
    SESSION_SECONDS,
    Credential,
    Credentials,
    Identity,
    is_csrf_token,
)
from consumer.panel.failures import FailedLogIns
from consumer.panel.problems import Problem
from consumer.panel.routes import Route
from consumer.settings import PanelSettings

COOKIE: Final = "hookstream_panel"
SECURE_COOKIE: Final = "__Host-hookstream_panel"
CSRF_HEADER: Final = "X-CSRF-Token"
LINK_NAME: Final = "local"
"""The user of the one-time link."""
_CHALLENGE: Final = {"WWW-Authenticate": 'Bearer realm="hookstream"'}


class Gate:
    """Judges requests by the settings of the panel."""

    def __init__(self, panel: PanelSettings, clock: Clock) -> None:
        self._clock = clock
        self._failures = FailedLogIns()
        self._link: str | None = None
        self._link_credential: Credential | None = None
        if panel.is_open_by_link:
            self._link = secrets.token_urlsafe(32)
            self._link_credential = Credential(LINK_NAME, "operator", secrets.token_bytes(32))
        self.use(panel)

    def use(self, panel: PanelSettings) -> None:
        """Judge by these settings from now on. The link ends for good once there is another way.

        Raises:
            HookstreamError: nobody could log in; the settings before go on.
        """
        if not panel.is_open_by_link:
            self._link = self._link_credential = None
            self._credentials = Credentials.of(panel.tokens)
        elif self._link_credential is not None:
            self._credentials = Credentials([self._link_credential])
        else:
            raise HookstreamError(
                "without tokens and trusted proxies nobody could log in, for a link is made at the "
                "start only: name one of them, or start the panel again"
            )
        self._callers = Callers(panel)
        self._is_by_link = panel.is_open_by_link
        self._has_tokens = bool(panel.tokens)

    @property
    def link(self) -> str | None:
        """The code that lets one person in, once; None if it was used, or there is another way."""
        return self._link

    @property
    def is_by_link(self) -> bool:
        """Whether the link is the only way in."""
        return self._is_by_link

    @property
    def has_tokens(self) -> bool:
        """Whether a token lets people in."""
        return self._has_tokens

    def peer_name(self, peer: str | None) -> str | None:
        """See `Callers.peer_name`."""
        return self._callers.peer_name(peer)

    def caller(self, peer: str | None, headers: Headers) -> Caller:
        """Who sends a request. Raises `Problem`."""
        try:
            caller = self._callers.caller(peer, headers)
        except BadHeaderError as error:
            raise _bad_header(error) from None
        if not self._callers.is_ours(caller):
            raise Problem(
                HTTPStatus.MISDIRECTED_REQUEST,
                "host",
                "the panel is for this machine only: ask for it as localhost or 127.0.0.1",
            )
        return caller

    def admit(self, route: Route, caller: Caller, headers: Headers) -> Identity | None:
        """The user of a request that may use the route; None if it needs none.

        Raises `Problem`.
        """
        try:
            if not route.is_safe and is_foreign(caller, headers):
                raise _forbidden("a page of another site sent this request")
            if route.role is None:
                return None
            identity = self.identify(caller, headers)
            if not identity.may(route.role):
                raise _forbidden(identity.refusal(route.role))
            if not route.is_safe and identity.how == "session":
                self._check_csrf(identity, headers)
        except BadHeaderError as error:
            raise _bad_header(error) from None
        return identity

    def log_in(self, token: str, caller: Caller) -> tuple[str, Identity]:
        """The cookie of a session that a token opens, and whose it is. Raises `Problem`."""
        credential = self._by_token(token, caller)
        return self._cookie(credential, caller)

    def log_in_by_link(self, code: str, caller: Caller) -> str:
        """The cookie of the session that the link opens, once. Raises `Problem`."""
        self._refuse_hasty(caller)
        link, credential = self._link, self._link_credential
        if (
            link is None
            or credential is None
            or not secrets.compare_digest(link.encode(), code.encode(errors="replace"))
        ):
            self._failures.failed(caller.address, self._clock.monotonic())
            raise Problem(
                HTTPStatus.FORBIDDEN,
                "link",
                "this link was used, or is of another start: start the panel again for a new one",
            )
        self._link = None
        return self._cookie(credential, caller)[0]

    def clear_cookie(self, caller: Caller) -> str:
        """A header that ends the browser's session."""
        return _set_cookie("", caller, 0)

    def identify(self, caller: Caller, headers: Headers) -> Identity:
        """The user of a request. Raises `Problem`, or `BadHeaderError` as `Callers` does."""
        authorization = one(headers, "Authorization")
        if authorization:
            scheme, _, token = authorization.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthorised("send a token as `Authorization: Bearer ...`")
            credential = self._by_token(token.strip(), caller)
            return Identity(credential.name, credential.role, "token")
        proxied = self._callers.identity(caller, headers)
        if proxied is not None:
            return proxied
        session = self._session(caller, headers)
        if session is None:
            raise _unauthorised("log in, or send a token")
        return session

    def _session(self, caller: Caller, headers: Headers) -> Identity | None:
        name = SECURE_COOKIE if caller.is_secure else COOKIE
        given: Sequence[str] = cookies(headers).get(name, ())
        if len(given) != 1:
            return None
        return self._credentials.by_session(given[0], self._clock.now())

    def _check_csrf(self, identity: Identity, headers: Headers) -> None:
        if not is_csrf_token(identity, one(headers, CSRF_HEADER)):
            raise _forbidden(f"a session's writes repeat its CSRF token in {CSRF_HEADER}")

    def _by_token(self, token: str, caller: Caller) -> Credential:
        self._refuse_hasty(caller)
        found = None
        if not self._is_by_link and 0 < len(token) <= MAX_TOKEN_CHARACTERS:
            found = self._credentials.by_token(token)
        if found is None:
            self._failures.failed(caller.address, self._clock.monotonic())
            raise _unauthorised("this token is not known")
        self._failures.succeeded(caller.address, self._clock.monotonic())
        return found

    def _refuse_hasty(self, caller: Caller) -> None:
        wait = self._failures.wait(caller.address, self._clock.monotonic())
        if wait > 0.0:
            raise Problem(
                HTTPStatus.TOO_MANY_REQUESTS,
                "log-ins",
                "too many log-ins have failed: wait, and look at the token",
                headers={"Retry-After": str(ceil(wait))},
            )

    def _cookie(self, credential: Credential, caller: Caller) -> tuple[str, Identity]:
        value, identity = self._credentials.begin_session(
            credential, self._clock.now(), secrets.token_urlsafe(12)
        )
        return _set_cookie(value, caller, int(SESSION_SECONDS)), identity


def _set_cookie(value: str, caller: Caller, seconds: int) -> str:
    name = SECURE_COOKIE if caller.is_secure else COOKIE
    secure = "; Secure" if caller.is_secure else ""
    return f"{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Strict{secure}"


def _unauthorised(detail: str) -> Problem:
    return Problem(HTTPStatus.UNAUTHORIZED, "log-in", detail, headers=_CHALLENGE)


def _forbidden(detail: str) -> Problem:
    return Problem(HTTPStatus.FORBIDDEN, "forbidden", detail)


def _bad_header(error: BadHeaderError) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "header", str(error))
