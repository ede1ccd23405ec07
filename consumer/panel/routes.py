"""The routes of the API: one table, by which requests are served and the OpenAPI document made."""

import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal, Protocol, TypeVar

from pydantic import BaseModel

from consumer.hooks.texts import HOOK_ID
from consumer.panel.callers import Caller
from consumer.panel.credentials import Identity
from consumer.settings import RoleName

API: Final = "/api/v1"
_PARAMETERS: Final[Mapping[str, tuple[str, str]]] = {
    "id": (HOOK_ID, "A hook's id."),
    "hook": (HOOK_ID, "A hook's id."),
    "trigger": (r"[a-z_]{1,32}", "A trigger."),
}
"""By name, the pattern of a path's parameter and what it is."""


@dataclass(frozen=True, slots=True)
class Call:
    """One request that has passed all checks."""

    identity: Identity | None
    """None: the route needs no user."""
    caller: Caller
    path: Mapping[str, str]
    """The path's parameters."""
    query: Any
    """An instance of the route's query model; None without one."""
    body: Any
    """An instance of the route's body model, or a JSON value; None without one."""
    if_match: str
    """The header; empty without it."""

    @property
    def who(self) -> Identity:
        """The user, of a route that needs one."""
        assert self.identity is not None  # noqa: S101  # the server has checked it
        return self.identity


@dataclass(frozen=True, slots=True)
class Answer:
    """The answer to a call."""

    data: BaseModel | Mapping[str, Any] | None = None
    """None: no body."""
    status: HTTPStatus = HTTPStatus.OK
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that tells its progress: one object a line, the last one the answer itself."""

    lines: AsyncGenerator[BaseModel, None]


Handler = Callable[[Call], Awaitable[Answer]]
Streamer = Callable[[Call], Stream]
IfMatch = Literal["required", "optional"]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    """Below `API`; `{id}` stands for a parameter."""
    role: RoleName | None
    """The least role that may use it; None: it needs no user."""
    summary: str
    answers: Mapping[HTTPStatus, type[BaseModel] | None]
    """The answers without an error; None: without a body."""
    handler: Handler
    fails: Sequence[HTTPStatus] = ()
    """Errors beside those that every route has."""
    query: type[BaseModel] | None = None
    body: type[BaseModel] | Literal["definition"] | None = None
    if_match: IfMatch | None = None
    has_etag: bool = False
    stream: Streamer | None = None
    """Answers with progress, if the client accepts it."""
    line: type[BaseModel] | None = None
    """One line of progress."""
    seconds: float = 60.0
    """Time for an answer."""
    base: str = API

    @property
    def is_safe(self) -> bool:
        """Whether it changes nothing by its method."""
        return self.method == "GET"

    @property
    def url(self) -> str:
        """The whole path."""
        return self.base + self.path

    @property
    def name(self) -> str:
        """The method and the path, for logs and the document."""
        return f"{self.method} {self.url}"

    @property
    def parameters(self) -> list[tuple[str, str, str]]:
        """Name, pattern and description of each parameter of the path."""
        names = re.findall(r"{(\w+)}", self.path)
        return [(name, *_PARAMETERS[name]) for name in names]


class Located(Protocol):
    """What a request may be for."""

    @property
    def method(self) -> str:
        """The method."""
        ...

    @property
    def url(self) -> str:
        """The whole path, with names of `_PARAMETERS` in braces."""
        ...


RouteT = TypeVar("RouteT", bound=Located)


def find_route(
    routes: Iterable[RouteT], method: str, path: str
) -> tuple[RouteT, Mapping[str, str]] | Sequence[str]:
    """The route of a method and path, and the path's parameters; if there is none, the methods that
    the path has.
    """
    wanted, methods = "GET" if method == "HEAD" else method, list[str]()
    for route in routes:
        parameters = _matched(route.url, path)
        if parameters is None:
            continue
        if route.method == wanted:
            return route, parameters
        methods.append(route.method)
    return methods


def _matched(url: str, path: str) -> Mapping[str, str] | None:
    """The parameters of a path; None: it is another route's."""
    own, given = url.split("/"), path.split("/")
    if len(own) != len(given):
        return None
    found: dict[str, str] = {}
    for part, text in zip(own, given, strict=True):
        if not part.startswith("{"):
            if part != text:
                return None
        elif re.fullmatch(_PARAMETERS[part[1:-1]][0], text):
            found[part[1:-1]] = text
        else:
            return None
    return found


class Routes:
    """All routes."""

    def __init__(self, routes: Sequence[Route]) -> None:
        self.all = routes

    def owns(self, path: str) -> bool:
        """Whether a path is the API's: all others are pages'."""
        return path.startswith("/api/") or any(
            _matched(route.url, path) is not None for route in self.all
        )
