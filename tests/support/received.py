"""A recorded request, split into its parts."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from support.oracle import Sent

_OURS = ("host", "user-agent", "webhook-id", "webhook-timestamp", "webhook-signature")
_CLIENTS = ("accept", "accept-encoding")
"""The headers that every client adds by itself."""


@dataclass(frozen=True, slots=True)
class Received:
    """The head of one request."""

    method: str
    target: str
    headers: dict[str, str]
    """Names in lower case."""

    @property
    def webhook_id(self) -> str:
        """The id of the delivery."""
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
    """Split a head into its parts. No header may come twice."""
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
    """The number of attempts for each delivery."""
    return Counter(parse(head).webhook_id for head in heads)
