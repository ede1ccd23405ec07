"""How the attempts to one origin are dialled with libcurl."""

from ipaddress import ip_address
from itertools import count
from typing import Final
from urllib.parse import urlsplit

from consumer.delivery.http.resolver import Addresses

_PORTS = {"http": 80, "https": 443}
_GENERATIONS_KEPT = 16
"""Names of earlier generations that libcurl still knows: attempts that began by them may have to
dial once more."""

_WATCHED_AT_FIRST = 64

FOR_GOOD: Final = 1 << 60
"""As `Route.watched`: all answers there will be."""

_numbers = count()


class Route:
    """One origin, and the name by which libcurl dials it now.

    libcurl gives an attempt a kept connection only if that was dialled by the same name. `renew`
    changes the name (CURLOPT_CONNECT_TO), and with it the generation: no attempt that begins from
    then on goes over an earlier connection, while those under way there go on. What receivers see
    (`host`, SNI, the certificate's name) is always the origin's.
    """

    __slots__ = ("_generation", "_host", "_number", "_port", "addresses", "label", "lookup",
                 "origin", "since", "watched")  # fmt: skip

    def __init__(self, origin: str, now: float) -> None:
        """`origin`: `scheme://host[:port]`. `now`: the loop's time."""
        host, port = "", 0
        try:
            url = urlsplit(origin)
            host, port = url.hostname or "", url.port or _PORTS.get(url.scheme, 0)
        except ValueError:
            pass  # libcurl will say so
        self.origin = origin
        self.lookup = "" if _is_number(host) else host
        """The name to be looked up; empty if the host is a number, or cannot be read."""
        self.addresses: Addresses = ()
        """What is dialled; empty if libcurl can read that off the origin."""
        self.label = origin
        """Names the generation."""
        self.since = now
        """The loop's time when the generation began."""
        self.watched = _WATCHED_AT_FIRST
        """The number of answers whose header lines are still listened to.

        An answer counts by its status once its header block is complete, and libcurl does not tell
        whether it is: it even takes the connection's end for the block's. Its header lines do, but
        to hear them costs a tenth of a request, and each line lets other threads have the
        interpreter's lock. So the first answers of an origin are watched, and from the first one
        on that does not end in order, all that follow. Only that one, if none of the first was
        like it, may count as a connect error though its header block was complete.
        """
        self._host = host
        self._port = port
        self._number = next(_numbers)
        self._generation = 0

    def renew(self, now: float) -> None:
        """Begin the next generation of connections."""
        self.since = now
        self._generation += 1
        self.label = self._name(self._generation)
        if not self.lookup:
            self.addresses = (self._host,)

    def connect_to(self) -> list[str]:
        """CURLOPT_CONNECT_TO's form; empty for the first generation, which has the host's name."""
        return [f"::{self.label}:"] if self._generation else []

    def resolved(self) -> list[str]:
        """CURLOPT_RESOLVE's form: `addresses` for the name that is dialled. They stay in libcurl's
        cache until others come for the same name, or it is taken out.
        """
        listed = ",".join(f"[{each}]" if ":" in each else each for each in self.addresses)
        name = self.label if self._generation else self._host
        lines = [f"{name}:{self._port}:{listed}"]
        if self._generation > _GENERATIONS_KEPT:
            lines.append(f"-{self._name(self._generation - _GENERATIONS_KEPT)}:{self._port}")
        return lines

    def _name(self, generation: int) -> str:
        """One that nobody can have (RFC 6761 section 6.4), should it ever be looked up."""
        return f"route{self._number}-{generation}.invalid"


def _is_number(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True
