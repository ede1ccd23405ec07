"""What the parser of record batches gives: records, and one kind of error."""

from typing import NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from consumer.stream.record_fields import Headers


class UnreadableBatchError(CorruptRecordException):  # type: ignore[misc]  # aiokafka has no types
    """What is at this place of a partition cannot be read; the text says why."""

    tp: TopicPartition
    """Known where a fetch is read."""
    offset: int
    """Likewise. What is before it was read."""


class Unparsed(bytes):
    """The value of a record that has no structure: its bytes, or those of the rest of its batch.

    No event, whatever the bytes are; `why` is for people.
    """

    why: str

    def __new__(cls, raw: bytes, why: str) -> Self:
        """`why` in a few words."""
        value = super().__new__(cls, raw)
        value.why = why
        return value


class ParsedRecord(NamedTuple):
    """One record; the attributes that aiokafka's own have."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    checksum: None = None
