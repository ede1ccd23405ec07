"""Routes: how libcurl dials the attempts to one origin."""

from ipaddress import ip_address
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from consumer.delivery.http.resolver import Addresses

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_GENERATIONS_KEPT = 16
"""Names of earlier generations that stay in libcurl's cache, for attempts that began with them and
dial once more."""

_INITIAL_WATCHED_ANSWERS = 64

ALL_ANSWERS: Final = 1 << 60
"""A value of `Route.watched_answers` that does not run out."""

_route_numbers = count()


class Route:
    """One origin, and the name by which libcurl dials it now.

    libcurl reuses a connection only under the name that was dialled. `renew` changes the name
    (CURLOPT_CONNECT_TO), and with it the generation: no later attempt goes over an earlier
    connection, while those under way go on. Receivers always see the origin's name (`host`, SNI,
    the certificate's name).
    """

    __slots__ = ("_generation", "_host", "_number", "_port", "addresses", "label", "lookup",
                 "origin", "since", "watched_answers")  # fmt: skip

    def __init__(self, origin: str, now: float) -> None:
        """`origin` is `scheme://host[:port]`, and `now` the loop's time."""
        host, port = "", 0
        try:
            url = urlsplit(origin)
            host, port = url.hostname or "", url.port or _DEFAULT_PORTS.get(url.scheme, 0)
        except ValueError:
            pass  # libcurl will report it
        self.origin = origin
        self.lookup = "" if _is_number(host) else host
        """The name to look up; empty if the host is an IP address or unreadable."""
        self.addresses: Addresses = ()
        """The addresses to dial; empty if libcurl reads the address from the origin."""
        self.label = origin
        """The name of the generation."""
        self.since = now
        """The loop's time at which the generation began."""
        self.watched_answers = _INITIAL_WATCHED_ANSWERS
        """The number of answers whose header lines are still to be received.

        An answer counts by its status once its header block is complete, which libcurl does not
        tell: it takes the connection's end for the block's end too. The header lines tell, but
        receiving them costs a tenth of a request, and each line releases the interpreter's lock.
        So the first answers of an origin are watched, and all answers after one that did not end
        in order. Only that one may count as a connect error though its header block was complete.
        """
        self._host = host
        self._port = port
        self._number = next(_route_numbers)
        self._generation = 0

    def renew(self, now: float) -> None:
        """Begin the next generation of connections."""
        self.since = now
        self._generation += 1
        self.label = self._name(self._generation)
        if not self.lookup:
            self.addresses = (self._host,)

    def connect_to(self) -> list[str]:
        """The value of CURLOPT_CONNECT_TO; empty for the first generation, named after the host."""
        return [f"::{self.label}:"] if self._generation else []

    def resolved(self) -> list[str]:
        """The value of CURLOPT_RESOLVE: `addresses` for the dialled name. libcurl caches them until
        others are set for the name, or it is removed.
        """
        listed = ",".join(f"[{each}]" if ":" in each else each for each in self.addresses)
        name = self.label if self._generation else self._host
        lines = [f"{name}:{self._port}:{listed}"]
        if self._generation > _MAX_GENERATIONS_KEPT:
            lines.append(f"-{self._name(self._generation - _MAX_GENERATIONS_KEPT)}:{self._port}")
        return lines

    def _name(self, generation: int) -> str:
        """The dialled name of a generation, which cannot exist in DNS (RFC 6761 section 6.4)."""
        return f"route{self._number}-{generation}.invalid"


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
