"""Builds the record batches that are published (format 2, KIP-98); compiled.

aiokafka's builder in C wants the headers as a sequence, which costs more than to encode them, and
accepts only names that are UTF-8.
"""

from collections.abc import Sequence
from struct import Struct
from typing import Final

from aiokafka.record.util import calc_crc32c

from consumer.records.header_sink import HeaderSink
from consumer.records.headers import OWN_HEADERS
from consumer.stream.outbox import Message
from consumer.stream.partitioner import partition_of
from consumer.stream.record_fields import header_name_bytes

_START: Final = Struct(">qiibI")
"""Base offset, length, leader epoch, magic and CRC."""
_REST: Final = Struct(">hiqqqhii")
"""Attributes, last offset delta, first and last timestamp, producer id, epoch and sequence, number
of records."""
_HEADER_BYTES: Final = _START.size + _REST.size
_LEADER_EPOCH_BYTES: Final = 9
"""The batch's length counts from the leader epoch on: with magic and CRC."""
_UNKNOWN_LEADER_EPOCH: Final = -1
_MAGIC: Final = 2
_NULL: Final = b"\x01"
"""The length -1 of a key or value that is missing."""
_TRANSACTIONAL: Final = 0x10
_NO_ATTRIBUTES: Final = b"\x00"
_NO_HEADERS: Final = b"\x00"
_CONSTANT_BYTES: Final = len(_NO_ATTRIBUTES) + len(_NO_HEADERS)
_NO_ATTRIBUTES_NO_DELAY: Final = b"\x00\x00"
"""Of a record: all have the batch's timestamp."""


def encode_length(number: int) -> bytes:
    """Encode a number from 0 on as a signed varint (Protocol Buffers' zigzag)."""
    left = number << 1
    encoded = bytearray()
    while left > 0x7F:  # noqa: PLR2004  # more than seven bits
        encoded.append(left & 0x7F | 0x80)
        left >>= 7
    encoded.append(left)
    return bytes(encoded)


_LENGTHS: Final = [encode_length(number) for number in range(2_048)]
"""The encodings of the usual numbers."""


def _length(number: int) -> bytes:
    return _LENGTHS[number] if number < len(_LENGTHS) else encode_length(number)


def _encode_name(name: str) -> bytes:
    raw = header_name_bytes(name)
    return _length(len(raw)) + raw


_OWN_NAMES: Final = {name: _encode_name(name) for name in OWN_HEADERS}


class BatchBuilder(HeaderSink):
    """One uncompressed batch: what aiokafka's producer needs of its `BatchBuilder`."""

    __slots__ = (
        "_built",
        "_bytes",
        "_count",
        "_headers",
        "_max_bytes",
        "_parts",
        "_producer",
        "_record",
        "_timestamp",
    )

    def __init__(self, max_bytes: int, timestamp: int) -> None:
        """`timestamp`: of all records, in milliseconds since the epoch."""
        self._max_bytes = max_bytes
        self._timestamp = timestamp
        self._parts: list[bytes] = []
        self._record: list[bytes] = []
        """The fields of the record that is being added."""
        self._headers = 0
        self._bytes = _HEADER_BYTES
        self._count = 0
        self._producer = (-1, -1, -1)
        self._built: bytes | None = None

    def append(self, message: Message) -> bool:
        """Add a record; False if `max_bytes` has no space for it. The first one is always added."""
        fields: list[bytes] = [_NO_ATTRIBUTES_NO_DELAY, _length(self._count)]
        self._record = fields
        self._add_bytes(message.key)
        self._add_bytes(message.value)
        count_at = len(fields)
        fields.append(_NULL)  # in the place of the headers' number
        self._headers = 0
        message.write_headers(self)
        fields[count_at] = _length(self._headers)
        record = b"".join(fields)
        length = _length(len(record))
        size = self._bytes + len(length) + len(record)
        if self._count and size > self._max_bytes:
            return False
        self._parts.append(length)
        self._parts.append(record)
        self._bytes = size
        self._count += 1
        return True

    def add(self, name: str, value: bytes | None) -> None:
        """Add a header to the record that `append` is adding."""
        own = _OWN_NAMES.get(name)
        self._record.append(_encode_name(name) if own is None else own)
        self._add_bytes(value)
        self._headers += 1

    def _add_bytes(self, content: bytes | None) -> None:
        if content is None:
            self._record.append(_NULL)
        else:
            self._record.append(_length(len(content)))
            self._record.append(content)

    def size(self) -> int:
        """Size of the batch in bytes."""
        return self._bytes

    def record_count(self) -> int:
        """Number of records in the batch."""
        return self._count

    def closed(self) -> bool:
        """True: aiokafka must add nothing and not wait for more."""
        return True

    def _set_producer_state(self, producer_id: int, epoch: int, base_sequence: int) -> None:
        """Called by aiokafka when the batch's place in the partition's sequence is known."""
        self._producer = (producer_id, epoch, base_sequence)

    def _build(self) -> bytes:
        """Called by aiokafka for each sending; the bytes stay the same."""
        if self._built is None:
            producer_id, epoch, sequence = self._producer
            moment, last = self._timestamp, self._count - 1
            rest = _REST.pack(0, last, moment, moment, producer_id, epoch, sequence, self._count)
            self._built = _whole(rest, self._parts)
            self._parts = []
        return self._built


def _whole(rest: bytes, records: list[bytes]) -> bytes:
    checked = b"".join([rest, *records])
    length = _LEADER_EPOCH_BYTES + len(checked)
    crc: int = calc_crc32c(checked)
    return _START.pack(0, length, _UNKNOWN_LEADER_EPOCH, _MAGIC, crc) + checked


class LogRecord:
    """A record to write; its key decides on the partition."""

    __slots__ = ("key", "timestamp", "topic", "value")

    def __init__(self, topic: str, key: bytes, value: bytes, timestamp: int) -> None:
        """`timestamp`: milliseconds since the epoch."""
        self.topic = topic
        self.key = key
        self.value = value
        self.timestamp = timestamp


class BatchPacker:
    """Packs records into batches for the partitions of their keys."""

    __slots__ = ("_homes", "_max_bytes", "_partitions", "batches")

    def __init__(self, max_bytes: int, partitions: dict[str, int]) -> None:
        """`max_bytes`: of a batch; `partitions`: how many each topic has."""
        self._max_bytes = max_bytes
        self._partitions = partitions
        self._homes: dict[tuple[str, bytes], list[TimedBatch]] = {}
        self.batches: dict[tuple[str, int], list[TimedBatch]] = {}
        """By topic and partition, in the order in which they are first needed."""

    def add(self, records: Sequence[LogRecord], start: int, end: int) -> None:
        """Pack the records from `start` to `end`."""
        for index in range(start, min(end, len(records))):
            record = records[index]
            home = self._homes.get((record.topic, record.key))
            if home is None:
                home = self._home(record.topic, record.key)
            if not home or not home[-1].append(record):
                batch = TimedBatch(self._max_bytes, record.timestamp)
                batch.append(record)
                home.append(batch)

    def _home(self, topic: str, key: bytes) -> "list[TimedBatch]":
        tp = (topic, partition_of(key, self._partitions[topic]))
        home = self._homes[topic, key] = self.batches.setdefault(tp, [])
        return home


class TimedBatch:
    """One uncompressed batch of records with times of their own and without headers."""

    __slots__ = ("_bytes", "_first", "_last", "_max_bytes", "_parts", "count")

    def __init__(self, max_bytes: int, first: int) -> None:
        """`first`: the time of the first record, in milliseconds since the epoch. An earlier one
        counts as this.
        """
        self._max_bytes = max_bytes
        self._first = self._last = first
        self._parts: list[bytes] = []
        self._bytes = _HEADER_BYTES
        self.count = 0

    def append(self, added: LogRecord) -> bool:
        """Add a record; False if `max_bytes` has no space for it. The first one is always added."""
        timestamp, key, value = max(added.timestamp, self._first), added.key, added.value
        later, index = _length(timestamp - self._first), _length(self.count)
        key_length, value_length = _length(len(key)), _length(len(value))
        size = len(later) + len(index) + len(key_length) + len(key)
        size += len(value_length) + len(value) + _CONSTANT_BYTES
        length = _length(size)
        size += self._bytes + len(length)
        if self.count and size > self._max_bytes:
            return False
        self._parts += [
            length, _NO_ATTRIBUTES, later, index, key_length, key, value_length, value, _NO_HEADERS,
        ]  # fmt: skip
        self._bytes = size
        self._last = max(self._last, timestamp)
        self.count += 1
        return True

    def build(self, producer_id: int, epoch: int, sequence: int) -> bytes:
        """The bytes: of a transaction, unless `producer_id` is -1 for a writer without one."""
        attributes = _TRANSACTIONAL if producer_id >= 0 else 0
        last = self.count - 1
        rest = _REST.pack(
            attributes, last, self._first, self._last, producer_id, epoch, sequence, self.count
        )
        return _whole(rest, self._parts)
