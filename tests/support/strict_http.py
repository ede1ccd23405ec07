"""A request as a strict HTTP parser reads it."""

import httptools

from consumer.delivery.http.transport import Request


class Parsed:
    """The request that a strict HTTP parser reads from bytes."""

    def __init__(self, data: bytes) -> None:
        self.target = b""
        self.headers: list[tuple[bytes, bytes]] = []
        self.messages = 0
        httptools.HttpRequestParser(self).feed_data(data)

    def on_url(self, url: bytes) -> None:
        """Take one part of the target."""
        self.target += url

    def on_header(self, name: bytes, value: bytes) -> None:
        """Take one header."""
        self.headers.append((name, value))

    def on_message_complete(self) -> None:
        """Take the end of one request."""
        self.messages += 1


def on_the_wire(request: Request, origin: str) -> bytes:
    """The bytes as an adapter sends them to `origin`."""
    target = request.url.removeprefix(origin).encode("ascii")
    host = origin.partition("://")[2].encode("ascii")
    lines = [b"GET " + target + b" HTTP/1.1", b"host: " + host, *request.headers]
    return b"\r\n".join([*lines, b"", b""])
