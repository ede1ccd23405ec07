"""Results of the record batch parser: records, and its error."""

from typing import NamedTuple, Self

from aiokafka import TopicPartition
from aiokafka.errors import CorruptRecordException

from consumer.stream.record_fields import Headers


class UnreadableBatchError(CorruptRecordException):  # type: ignore[misc]  # aiokafka has no types
    """The data at an offset of a partition cannot be read; the message says why."""

    tp: TopicPartition
    """Set when raised from a fetch."""
    offset: int
    """Set when raised from a fetch. All records before it were read."""


class Unparsed(bytes):
    """The value of a malformed record: its bytes, or those of the rest of its batch.

    It is never decoded as an event; `why` is a message.
    """

    why: str

    def __new__(cls, raw: bytes, why: str) -> Self:
        """`why`: the cause in a few words."""
        value = super().__new__(cls, raw)
        value.why = why
        return value


class ParsedRecord(NamedTuple):
    """One record, with the attributes of aiokafka's records."""

    offset: int
    timestamp: int
    timestamp_type: int
    key: bytes | None
    value: bytes | None
    headers: Headers
    checksum: None = None
