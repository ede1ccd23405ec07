"""One request for a page, and what it is answered with."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final, Literal

from consumer.panel.credentials import Identity
from consumer.panel.pages.preferences import Preferences
from consumer.settings import RoleName

Keep = Callable[[Mapping[str, str]], Mapping[str, str]]
"""From the fields of a form to those that a page may carry on: without secrets and buttons."""
WRITER: Final = "writer"
"""The field of a form that is kept with the user who wrote it."""
_OF_THE_PAGE: Final = frozenset({"csrf", "restored"})
Restored = Literal["session", "stale", "again"]
"""The session had ended; the form was of an earlier session; what it asked for did not work."""


def keep_all(posted: Mapping[str, str]) -> Mapping[str, str]:
    """The fields of a form without secrets, all of which a page may carry on."""
    return {name: text for name, text in posted.items() if name not in _OF_THE_PAGE}


@dataclass(frozen=True, slots=True)
class Visit:
    """A request that has passed all checks."""

    identity: Identity
    preferences: Preferences
    path: str
    parameters: Mapping[str, str]
    """Of the path."""
    query: Mapping[str, str]
    """Without empty values: a form sends each of its fields."""
    form: Mapping[str, str]
    now: float
    """Epoch seconds."""
    restored: Restored | None = None
    """Why the form is to be shown again and nothing to be done; only of a route that keeps."""
    writer: str = ""
    """The user who wrote a form that is shown again; empty: this one, or it is not known."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A page."""

    template: str
    values: Mapping[str, Any]
    status: HTTPStatus = HTTPStatus.OK
    is_confidential: bool = False
    """Whether it has values of events, a receiver's answer or a secret: then no browser keeps it,
    not even for its own Back.
    """


@dataclass(frozen=True, slots=True)
class MovedTo:
    """Another page is to be asked for."""

    location: str


@dataclass(frozen=True, slots=True)
class Download:
    """A file."""

    name: str
    content_type: str
    body: bytes


Result = Shown | MovedTo | Download
Handler = Callable[[Visit], Awaitable[Result]]


@dataclass(frozen=True, slots=True)
class PageRoute:
    """One method of one page."""

    method: Literal["GET", "POST"]
    path: str
    """`{hook}` stands for a hook's id."""
    handler: Handler
    section: str
    """The entry of the navigation that it belongs to."""
    role: RoleName = "viewer"
    """The least role that may use it."""
    query: frozenset[str] = field(default_factory=frozenset)
    """The parameters that it takes."""
    seconds: float = 30.0
    """Time for an answer."""
    ends_with_client: bool = False
    """Whether what is under way ends if the client leaves before the answer."""
    keep: Keep | None = None
    """Of a form that a person writes at length: its text survives a session's end and a failure."""
    is_long: bool = False
    """Whether its form may have thousands of fields; one that keeps may, too."""

    @property
    def url(self) -> str:
        """See `Located`."""
        return self.path
