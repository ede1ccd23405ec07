"""What a format is, and the names of all."""

from typing import Any, Literal, Protocol

from consumer.records.record import Headers, UndecodableError

FormatName = Literal["json", "cloudevents", "avro", "protobuf", "auto"]
"""The values of `sources[].format`; `factories.make_decoder` makes each."""
MAX_EVENT_BYTES = 1024 * 1024
"""Kafka's default limit. A larger record counts as undecodable: one of a million attributes would
block the event loop, and with it all deliveries, for a third of a second."""


class Format(Protocol):
    """Decodes the values of one topic. It keeps nothing of a record."""

    def __call__(self, value: bytes | None, headers: Headers) -> dict[str, Any]:
        """The tree of a record: JSON's types, and `LongNumber`. The caller may change it.

        Raises:
            UndecodableError: it is none; the message quotes nothing of it.
        """
        ...


def checked(value: bytes | None) -> bytes:
    """The value of a record, if it may be decoded. Raises `UndecodableError`."""
    if type(value) is not bytes:  # a record that the stream could not parse says why
        raise UndecodableError(getattr(value, "why", "the record has no value"))
    if len(value) > MAX_EVENT_BYTES:
        raise UndecodableError(f"the record is longer than {MAX_EVENT_BYTES} bytes")
    return value
