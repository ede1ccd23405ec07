"""The contract of an HTTP client. `curl.py` and `aiohttp.py` implement it, and one contract suite
(`tests/contract/`) tests both.
"""

from collections.abc import Callable
from typing import Final, Protocol

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.reasons import ErrorKind

MAX_BODY_BYTES = 64 * 1024
"""Bytes of a response's body that are read and discarded; a longer body closes the connection."""

CONNECTION_LIFETIME_SECONDS: float = 300.0
"""Age from which a connection is given no more attempts, so that changed DNS answers are used."""

MIN_FINAL_STATUS: Final = 200
"""Statuses below it are interim (RFC 9110 section 15.2). It is an int, since looking up the enum of
`http` costs more than making a result."""

MAX_RETRY_AFTER_SECONDS = 6 * 60 * 60.0
"""A longer `Retry-After` counts as this (libcurl's own bound)."""


Phases = tuple[int, int, int, int]
"""Microseconds from the start of an attempt to the end of the lookup, of the connection, of TLS,
and to the first byte of the answer; 0: there was no such phase, or the client cannot tell."""

Wanted = Callable[[int], bool]
"""Whether the phases of an attempt are wanted, by its status; 0: it has none."""


class Request:
    """One complete GET; an adapter adds only `host` and `accept: */*`."""

    __slots__ = ("connect_timeout", "headers", "origin", "target", "timeout")

    def __init__(
        self,
        origin: str,
        target: str,
        headers: list[bytes],
        timeout: float,
        connect_timeout: float,
    ) -> None:
        self.origin = origin
        """`scheme://host[:port]`, ASCII."""
        self.target = target
        """Path and query, percent-encoded ASCII (RFC 9112 section 3.2.1), sent byte for byte."""
        self.headers = headers
        """Header lines without line ends, UTF-8: `b"x-city: Bursa"`; without a value `b"x-a: "`."""
        self.timeout = timeout
        """Seconds for the whole attempt, lookup included."""
        self.connect_timeout = connect_timeout
        """Seconds for establishing the connection, TLS included."""

    @property
    def url(self) -> str:
        """The absolute URI."""
        return self.origin + self.target


def in_microseconds(seconds: float) -> float:
    """The nearest time that is a whole number of microseconds."""
    return round(seconds, 6)


class AttemptResult:
    """The result of an attempt: a status, or the kind of error."""

    __slots__ = ("blocked_by_lookup", "detail", "duration", "error", "gave_up_connections",
                 "phases", "retry_after", "status")  # fmt: skip

    def __init__(
        self,
        *,
        status: int = 0,
        error: ErrorKind | None = None,
        detail: str = "",
        retry_after: float | None = None,
        duration: float = 0.0,
        blocked_by_lookup: bool = False,
    ) -> None:
        self.status = status
        """HTTP status; 0 if no complete header block arrived."""
        self.error = error
        """The kind of error; None if there is a status."""
        self.detail = detail
        """The client's message on the error, for people, without URLs, headers and secrets."""
        self.retry_after = retry_after
        """Seconds that the receiver asked for (RFC 9110 section 10.2.3), above 0 and at most
        `MAX_RETRY_AFTER_SECONDS`; None if it asked for none, or unreadably."""
        self.duration = duration
        """Seconds that the attempt took, in whole microseconds, as the delivery log has them: it
        and the reports count alike."""
        self.blocked_by_lookup = blocked_by_lookup
        """True if `error` is `BLOCKED` because of the addresses that a lookup found: the next
        lookup may find others. False for a refusal that is certain: a literal address, a name in
        `network.deny`."""
        self.gave_up_connections = False
        """True if the attempt timed out on a connection that may be dead, so that later attempts
        use none of the origin's earlier connections. If several attempts fail because of the same
        connections, it is True for one of them."""
        self.phases: Phases | None = None
        """The phases if they were wanted: to read them for all attempts would cost."""


OnResult = Callable[[AttemptResult], None]
"""Takes the result of an attempt."""


class AnswerTaker(Protocol):
    """Takes an answer as it comes; for a transport that is made for one request."""

    def take_line(self, line: bytes) -> object:
        """Take a line of the header block, `name: value`; a line end, a status line, and interim
        blocks with theirs may be among them.
        """
        ...

    def take(self, part: bytes) -> object:
        """Take the next part of the body; of one beyond `MAX_BODY_BYTES` the beginning."""
        ...


def closed_result() -> AttemptResult:
    """The result of an attempt that was not finished because the transport was closed."""
    return AttemptResult(error=ErrorKind.CONNECT, detail="the transport was closed")


class Transport(Protocol):
    """Sends requests at once and without bounds of its own; the `Scheduler` keeps the bounds."""

    def send(self, request: Request, done: OnResult) -> None:
        """Start one attempt. `done` is called exactly once, later, on the event loop's thread, and
        never from inside `send`. Network errors are results, not exceptions. So are the guard's
        refusals: `BLOCKED` if every address of the host was refused.
        """
        ...

    def keep_idle(self, connections: int) -> None:
        """Keep at most `connections` open for reuse to all hosts together. The number must exceed
        that of attempts in flight, or each answer closes a connection.
        """
        ...

    def set_policy(self, policy: EgressPolicy) -> None:
        """Send later attempts by `policy`. If it differs from the previous one, they use new
        connections; the earlier connections close with the last attempt on them.
        """
        ...

    def trust(self, authorities: Authorities) -> None:
        """Verify receivers' certificates with `authorities` from now on. If they differ from the
        previous ones, later attempts use new connections and resume no earlier TLS session.
        """
        ...

    def measure(self, wanted: Wanted | None) -> None:
        """Tell the phases of those attempts that `wanted` names, once each, when their result is
        there; None: of no attempt.
        """
        ...

    async def failure(self) -> str:
        """Wait until the transport has failed for good without being closed; usually for ever.
        Returns what happened, for people.
        """
        ...

    async def close(self) -> None:
        """Close every connection, after failing the attempts under way with a connect error."""
        ...
