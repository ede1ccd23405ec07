"""Receivers of the headers that a record is written with."""

from consumer.records.record import Headers


class HeaderSink:
    """Takes headers one by one, in their order. A subclass says what becomes of them."""

    __slots__ = ()

    def add(self, name: str, value: bytes | None) -> None:
        """Take one header."""
        raise NotImplementedError

    def add_text(self, name: str, text: str) -> None:
        """Take one header with a text; an empty text is an unknown fact, and has no header."""
        if text:
            self.add(name, text.encode())

    def add_all(self, headers: Headers) -> None:
        """Take headers that are a sequence already."""
        for name, value in headers:
            self.add(name, value)


class HeaderList(HeaderSink):
    """Collects headers as a sequence."""

    __slots__ = ("headers",)

    def __init__(self) -> None:
        self.headers: list[tuple[str, bytes | None]] = []

    def add(self, name: str, value: bytes | None) -> None:
        """Append one header."""
        self.headers.append((name, value))
