"""The sources of a value: a new one is a name in `Source` and its case in `make_reader`."""

from typing import Any, Literal, assert_never

from consumer.events.path import Path, walk

Source = Literal["profile", "device", "event", "fixed"]
"""What `source` of a header or parameter may say (docs/reference/hooks.md)."""


class Reader:
    """Takes one value out of events' documents.

    Classes in place of closures: a hook has many, and these take a fifth of the memory and, once
    compiled, less time.
    """

    __slots__ = ("reference",)

    def __init__(self, reference: str) -> None:
        self.reference = reference
        """The definition's own spelling of the value, for people."""

    def take(self, document: dict[str, Any]) -> Any:
        """The JSON value; None if it is missing."""
        raise NotImplementedError


class EventReader(Reader):
    """Takes the value at a path of the event."""

    __slots__ = ("_path",)

    def __init__(self, reference: str, path: Path) -> None:
        super().__init__(reference)
        self._path = path

    def take(self, document: dict[str, Any]) -> Any:
        """See `Reader.take`."""
        return walk(document, self._path)


class AttributeReader(Reader):
    """Takes an attribute of the user or device: a name with dots is first a name, then a path."""

    __slots__ = ("_owner", "_path")

    def __init__(self, reference: str, owner: str, path: Path) -> None:
        super().__init__(reference)
        self._owner = owner
        self._path = path

    def take(self, document: dict[str, Any]) -> Any:
        """See `Reader.take`."""
        owner = document.get(self._owner)
        attributes = owner.get("attributes") if type(owner) is dict else None
        if type(attributes) is not dict:
            return None
        found = attributes.get(self.reference)
        if found is not None or self.reference in attributes:
            return found
        return walk(attributes, self._path)


class FixedReader(Reader):
    """Takes the same text for every event."""

    __slots__ = ("_text",)

    def __init__(self, reference: str, text: str) -> None:
        super().__init__(reference)
        self._text = text

    def take(self, document: dict[str, Any]) -> str:  # noqa: ARG002  # the others' signature
        """See `Reader.take`."""
        return self._text


def make_reader(source: Source, reference: str, path: Path, text: str) -> Reader:
    """The reader of a value; `path` or `text` are what its definition compiled to."""
    match source:
        case "profile":
            return _attribute(reference, "user", path)
        case "device":
            return _attribute(reference, "device", path)
        case "event":
            return EventReader(reference, path)
        case "fixed":
            return FixedReader(reference, text)
        case _:
            assert_never(source)


def _attribute(reference: str, owner: str, path: Path) -> Reader:
    if path == ("id",):
        return EventReader(reference, (owner, "id"))
    return AttributeReader(reference, owner, path)
