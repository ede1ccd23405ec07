"""A recorded request, taken apart."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from support.oracle import Sent

_OURS = ("host", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature")
_CLIENTS = ("accept", "accept-encoding")
"""What a client adds by itself, and curl's users are used to."""


@dataclass(frozen=True, slots=True)
class Received:
    """One request's head."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def webhook_id(self) -> str:
        """The delivery's id."""
        return self.headers["webhook-id"]

    @property
    def hook(self) -> str:
        """The hook's id, which tests put into the path: `/h/<id>`."""
        return self.target.split("/")[2].partition("?")[0]

    @property
    def sent(self) -> Sent:
        """Target and configured headers, in the oracle's form."""
        own = {*_OURS, *_CLIENTS}
        headers = [(name, value) for name, value in self.headers.items() if name not in own]
        return self.target, tuple(sorted(headers))


def parse(head: bytes) -> Received:
    """Take a head apart. No header may come twice."""
    first, *lines = head.decode().removesuffix("\r\n\r\n").split("\r\n")
    method, target, version = first.split(" ")
    assert version == "HTTP/1.1"
    pairs = [line.split(":", 1) for line in lines]
    headers = {name.lower(): value.strip(" \t") for name, value in pairs}
    assert len(headers) == len(lines), head
    return Received(method, target, headers)


def sent(heads: Iterable[bytes]) -> Counter[Sent]:
    """All requests in the oracle's form."""
    return Counter(parse(head).sent for head in heads)


def ids(heads: Iterable[bytes]) -> Counter[str]:
    """How often each delivery was attempted."""
    return Counter(parse(head).webhook_id for head in heads)
