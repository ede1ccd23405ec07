"""A parser of Kafka's record batches (format 2, KIP-98) for those that aiokafka's does not read.

Brokers do not look at the encoding of header names: KIP-82 calls them UTF-8, and Java's client
replaces what is not. In a compressed batch they do not look at all of a record's structure either.
aiokafka raises an error of one kind or another, and the partition stands.

This parser is slower and gives up less: a name stays as it is; a record without structure is given
as its raw bytes, as is what follows it. The batch's checksum holds: another read changes nothing.
"""

from collections.abc import Iterator
from struct import Struct
from struct import error as StructError  # noqa: N812  # a lower-case class of the library's
from typing import Any, Self

from aiokafka.errors import UnsupportedCodecError
from aiokafka.record.legacy_records import LegacyRecordBatch
from aiokafka.record.util import calc_crc32c

from consumer.stream.decompression import DECODERS
from consumer.stream.parsed_records import ParsedRecord, Unparsed, UnreadableBatchError
from consumer.stream.record_fields import Cursor, MalformedError

_PREFIX = Struct(">qi")
"""Of a batch of any format: its first offset, and the bytes that follow."""
_HEADER = Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last
timestamp, producer id, epoch and sequence, number of records."""
_MAGIC_AT = 16
_CHECKED_FROM = 21
"""The checksum covers the attributes and all that follows."""
_CODEC, _APPEND_TIME, _TRANSACTIONAL, _CONTROL = 0x07, 0x08, 0x10, 0x20


class RecordBatches:
    """The batches of one fetch, from the one with the record at `offset` on.

    Takes the part of aiokafka's `MemoryRecords`. Raises `UnreadableBatchError`.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._offset = offset
        self._pos = 0
        self.ended = False
        """Whether no further batch is read."""

    def size_in_bytes(self) -> int:
        """Of the whole fetch, read or not."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether a whole batch is left to be read: a fetch may end within one."""
        left = 0 if self.ended else len(self._data) - self._pos
        return left >= _PREFIX.size and left >= _PREFIX.size + self._length()

    def next_batch(self) -> "_Batch | Any":
        """The next batch that is not wholly before the offset."""
        while True:
            end = self._pos + _PREFIX.size + self._length()
            if end <= self._pos + _MAGIC_AT:
                raise UnreadableBatchError("a batch is shorter than its header")
            data = memoryview(self._data)[self._pos : end]
            self._pos = end
            if data[_MAGIC_AT] < 2:  # noqa: PLR2004  # formats without headers
                return LegacyRecordBatch(data, data[_MAGIC_AT])
            batch = _Batch(data, self._offset)
            if batch.next_offset > self._offset or not self.has_next():
                return batch

    def _length(self) -> int:
        length: int = _PREFIX.unpack_from(self._data, self._pos)[1]
        return length


class _Batch:
    """One batch; what aiokafka's `PartitionRecords` wants to know of it."""

    def __init__(self, data: memoryview, offset: int) -> None:
        try:
            header = _HEADER.unpack_from(data)
        except StructError as error:
            raise UnreadableBatchError("a batch is shorter than its header") from error
        self.base_offset: int = header[0]
        self._crc: int = header[4]
        self._attributes: int = header[5]
        self._last_delta: int = header[6]
        self._first_timestamp: int = header[7]
        self._max_timestamp: int = header[8]
        if self._last_delta < 0:
            raise UnreadableBatchError("a batch ends before it begins")
        self.producer_id: int = header[9]
        self._count: int = header[12]
        self._data = data
        self._offset = offset
        self._records = self._read()

    @property
    def next_offset(self) -> int:
        """The first offset of the next batch."""
        return self.base_offset + self._last_delta + 1

    @property
    def is_transactional(self) -> bool:
        """Whether its records wait for the end of a transaction."""
        return bool(self._attributes & _TRANSACTIONAL)

    @property
    def is_control_batch(self) -> bool:
        """Whether it is the end of a transaction, and no record."""
        return bool(self._attributes & _CONTROL)

    def validate_crc(self) -> bool:
        """Whether the bytes are those that were written."""
        checksum: int = calc_crc32c(bytes(self._data[_CHECKED_FROM:]))
        return checksum == self._crc

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ParsedRecord:
        return next(self._records)

    def _read(self) -> Iterator[ParsedRecord]:
        try:
            data = self._decompressed()
        except UnreadableBatchError:  # too large: what it holds must not be given up unread
            raise
        except UnsupportedCodecError as error:  # which another release may have
            raise UnreadableBatchError(str(error)) from error
        except Exception as error:  # noqa: BLE001  # each library has errors of its own
            yield self._rest(bytes(self._data), f"a batch cannot be decompressed: {error!r}")
            return
        cursor, last, start, left = Cursor(data, 0, len(data)), -1, 0, self._count
        while left > 0:
            try:
                record = cursor.part(cursor.varint())
                record.take(1)  # attributes, of which there are none
                timestamp, delta = self._first_timestamp + record.varint(), record.varint()
            except MalformedError:
                break
            left -= 1
            if not last < delta <= self._last_delta - left:
                break
            last, start = delta, cursor.pos
            if self.base_offset + delta >= self._offset:
                yield self._record(record, self.base_offset + delta, timestamp)
        if last < self._last_delta and (left or start != len(data)):
            yield self._rest(data[start:], "the rest of a batch has no structure")

    def _rest(self, raw: bytes, why: str) -> ParsedRecord:
        """What cannot be told apart, as one record with the batch's last offset."""
        offset = self.base_offset + self._last_delta
        return ParsedRecord(offset, self._max_timestamp, 0, None, Unparsed(raw, why), ())

    def _decompressed(self) -> bytes:
        number = self._attributes & _CODEC
        if number not in DECODERS:
            raise UnsupportedCodecError(f"compression codec {number} is unknown")
        return DECODERS[number](bytes(self._data[_HEADER.size :]))

    def _record(self, cursor: Cursor, offset: int, timestamp: int) -> ParsedRecord:
        """The record at `cursor`, behind its offset; all its bytes as the value if they have no
        structure.
        """
        appended = bool(self._attributes & _APPEND_TIME)
        timestamp = self._max_timestamp if appended else timestamp
        try:
            key, value, headers = cursor.nullable(), cursor.nullable(), cursor.headers()
        except MalformedError as error:
            raw = Unparsed(cursor.all(), f"a record without structure: {error}")
            return ParsedRecord(offset, timestamp, int(appended), None, raw, ())
        return ParsedRecord(offset, timestamp, int(appended), key, value, headers)
