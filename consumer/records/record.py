"""A consumed Kafka record."""

from collections.abc import Sequence
from typing import Protocol

from consumer.errors import HookstreamError


class UndecodableError(HookstreamError):
    """The record is no event; the text says why and holds nothing of its content."""


class SchemaWantedError(HookstreamError):
    """The record cannot be decoded yet: its schema is asked for."""

    def __init__(self, schema_id: int | str, seconds: float, *, is_away: bool) -> None:
        super().__init__(f"schema {schema_id} is not here yet")
        self.schema_id = schema_id
        self.seconds = seconds
        """From now until it is worth another look."""
        self.is_away = is_away
        """Whether the registry did not help a moment ago, so that it may take long."""


Headers = Sequence[tuple[str, bytes | None]]
"""Kafka's headers: names may come more than once, and values may be missing."""


class Record(Protocol):
    """A consumed Kafka record, as aiokafka returns it without deserializers."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the Unix epoch."""
    key: bytes | None
    value: bytes | None
    headers: Headers
