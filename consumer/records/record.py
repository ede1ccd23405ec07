"""A consumed Kafka record."""

from collections.abc import Sequence
from typing import Protocol

from consumer.errors import HookstreamError


class UndecodableError(HookstreamError):
    """The record is no event; the text says why and holds nothing of its content."""


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
