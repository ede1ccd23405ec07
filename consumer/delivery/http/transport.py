"""What the dispatcher asks of an HTTP client. The adapters live in `curl.py` and `aiohttp.py`;
one contract suite (`tests/contract/`) holds both to this page.
"""

from collections.abc import Callable
from typing import Final, Protocol

from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.authorities import Authorities
from consumer.reasons import ErrorKind

BODY_LIMIT = 64 * 1024
"""Bytes of a response's body that are read, and thrown away; more costs the connection only."""

CONNECTION_LIFETIME = 300
"""Seconds after which a connection is given no more attempts, so that changed DNS answers are
followed."""

LEAST_FINAL: Final = 200
"""Statuses below it announce another response (RFC 9110 section 15.2). A number, since `http`'s own
name for it costs more to look up than a whole answer to make."""

RETRY_AFTER_LIMIT = 6 * 60 * 60.0
"""Seconds; a longer `Retry-After` counts as this (libcurl's own bound)."""


class Request:
    """One GET, complete: an adapter adds `host` and `accept: */*` and nothing else."""

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
        """Path and query, ASCII, percent-encoded (RFC 9112 section 3.2.1): sent byte for byte."""
        self.headers = headers
        """Wire form without line ends: `b"x-city: Bursa"`, UTF-8; an empty value is `b"x-a: "`."""
        self.timeout = timeout
        """Seconds for the whole attempt, from the first byte dialled to the last received."""
        self.connect_timeout = connect_timeout
        """Seconds until the connection (with TLS) stands."""

    @property
    def url(self) -> str:
        """The absolute URI."""
        return self.origin + self.target


class AttemptResult:
    """What came back: a status, or the kind of error that stood in its way."""

    __slots__ = ("blocked_by_lookup", "detail", "duration", "error", "gave_up_connections",
                 "retry_after", "status")  # fmt: skip

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
        """HTTP status; 0 where no complete response arrived."""
        self.error = error
        """None exactly where `status` is not 0."""
        self.detail = detail
        """For people: the client's own words on the error; never a URL, header or secret."""
        self.retry_after = retry_after
        """Seconds that the receiver asked for (RFC 9110 section 10.2.3), above 0 and at most
        `RETRY_AFTER_LIMIT`; None where it did not, or in words that nobody can read."""
        self.duration = duration
        """Seconds that the attempt took."""
        self.blocked_by_lookup = blocked_by_lookup
        """True if `error` is `BLOCKED` because of the addresses that a lookup found: the next
        lookup may find others. False for a refusal that is certain: a literal address, a name in
        `network.deny`."""
        self.gave_up_connections = False
        """True if the attempt timed out on a connection that may be dead, so that no attempt that
        begins from now on goes over a connection that the origin had until then. Of several
        attempts that fail because of the same connections, one says so."""


OnResult = Callable[[AttemptResult], None]
"""Takes what became of an attempt."""


def closed_result() -> AttemptResult:
    """Of an attempt that a transport cannot make, or cannot finish, because it was closed."""
    return AttemptResult(error=ErrorKind.CONNECT, detail="the transport was closed")


class Transport(Protocol):
    """Sends requests at once and without a bound of its own: the dispatcher keeps the bounds."""

    def send(self, request: Request, done: OnResult) -> None:
        """Start one attempt. `done` is called exactly once, later, on the event loop's thread;
        never from inside `send`. Errors of the network are answers, not exceptions, and so is the
        guard's no: `BLOCKED`, where every address of the host was refused and none dialled.
        """
        ...

    def keep_idle(self, connections: int) -> None:
        """Keep at most so many connections open for reuse, all hosts together: more than there are
        attempts under way at once, or each answer closes a connection.
        """
        ...

    def set_policy(self, policy: EgressPolicy) -> None:
        """Send what comes from now on by `policy`. Where it differs from the one before, no
        connection made until now carries any of it; those close with the last attempt on them.
        """
        ...

    def trust(self, authorities: Authorities) -> None:
        """Check receivers' certificates with these from now on. If they differ from the ones
        before, no connection made until now carries an attempt that comes from now on, and no TLS
        session is resumed.
        """
        ...

    async def failure(self) -> str:
        """Wait, as a rule for ever, until this can send nothing any more though nobody closed it.
        Returns what happened, for people.
        """
        ...

    async def close(self) -> None:
        """End every connection. Attempts under way are answered with a connect error first."""
        ...
