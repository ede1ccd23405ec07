"""A parser for record batches (format 2, KIP-98) that aiokafka's parser rejects.

Brokers do not check the encoding of header names: KIP-82 specifies UTF-8, and Java's client
replaces other bytes. In a compressed batch they do not check the structure of records either.
aiokafka raises errors of several kinds for these, which would block the partition.

This slower parser keeps the bytes of a header name, and returns a malformed record, or a malformed
rest of a batch, as its raw bytes. The batch's checksum is valid, so another read would not help.
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
"""First offset, and number of the bytes that follow; in all formats."""
_HEADER = Struct(">qiibIhiqqqhii")
"""Base offset, length, leader epoch, magic, CRC, attributes, last offset delta, first and last
timestamp, producer id, epoch and sequence, number of records."""
_MAGIC_OFFSET = 16
_CRC_START_OFFSET = 21
"""The checksum covers everything from the attributes on."""
_CODEC_MASK, _APPEND_TIME_FLAG, _TRANSACTIONAL_FLAG, _CONTROL_FLAG = 0x07, 0x08, 0x10, 0x20


def checksum(covered: bytes) -> int:
    """The checksum of a batch whose bytes from the attributes on are `covered` (CRC-32C)."""
    crc: int = calc_crc32c(covered)
    return crc


class RecordBatches:
    """The batches of one fetch, starting with the one that contains `offset`.

    A replacement for aiokafka's `MemoryRecords`. Raises `UnreadableBatchError`.
    """

    def __init__(self, data: bytes, offset: int) -> None:
        self._data = data
        self._offset = offset
        self._pos = 0
        self.ended = False
        """Whether to skip the remaining batches."""

    def size_in_bytes(self) -> int:
        """Size of the whole fetch, read or not."""
        return len(self._data)

    def has_next(self) -> bool:
        """Whether there is another whole batch: a fetch may end within one."""
        remaining = 0 if self.ended else len(self._data) - self._pos
        return remaining >= _PREFIX.size and remaining >= _PREFIX.size + self._length()

    def next_batch(self) -> "_Batch | Any":
        """Return the next batch that does not end before the offset."""
        while True:
            end = self._pos + _PREFIX.size + self._length()
            if end <= self._pos + _MAGIC_OFFSET:
                raise UnreadableBatchError("a batch is shorter than its header")
            data = memoryview(self._data)[self._pos : end]
            self._pos = end
            if data[_MAGIC_OFFSET] < 2:  # noqa: PLR2004  # formats without headers
                return LegacyRecordBatch(data, data[_MAGIC_OFFSET])
            batch = _Batch(data, self._offset)
            if batch.next_offset > self._offset or not self.has_next():
                return batch

    def _length(self) -> int:
        length: int = _PREFIX.unpack_from(self._data, self._pos)[1]
        return length


class _Batch:
    """One batch, with the interface that aiokafka's `PartitionRecords` expects."""

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
        """Whether the records belong to a transaction."""
        return bool(self._attributes & _TRANSACTIONAL_FLAG)

    @property
    def is_control_batch(self) -> bool:
        """Whether the batch is a transaction marker, without records."""
        return bool(self._attributes & _CONTROL_FLAG)

    def validate_crc(self) -> bool:
        """Whether the checksum matches the bytes."""
        return checksum(bytes(self._data[_CRC_START_OFFSET:])) == self._crc

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> ParsedRecord:
        return next(self._records)

    def _read(self) -> Iterator[ParsedRecord]:
        try:
            data = self._decompressed()
        except UnreadableBatchError:  # too large: its records must not be skipped
            raise
        except UnsupportedCodecError as error:  # another release may support it
            raise UnreadableBatchError(str(error)) from error
        except Exception as error:  # noqa: BLE001  # errors differ between libraries
            yield self._rest(bytes(self._data), f"a batch cannot be decompressed: {error!r}")
            return
        cursor, last, start, remaining = Cursor(data, 0, len(data)), -1, 0, self._count
        while remaining > 0:
            try:
                record = cursor.part(cursor.varint())
                record.take(1)  # attributes, unused
                timestamp, delta = self._first_timestamp + record.varint(), record.varint()
            except MalformedError:
                break
            remaining -= 1
            if not last < delta <= self._last_delta - remaining:
                break
            last, start = delta, cursor.pos
            if self.base_offset + delta >= self._offset:
                yield self._record(record, self.base_offset + delta, timestamp)
        if last < self._last_delta and (remaining or start != len(data)):
            yield self._rest(data[start:], "the rest of a batch is malformed")

    def _rest(self, raw: bytes, why: str) -> ParsedRecord:
        """Make one record of unparsed bytes, with the batch's last offset."""
        offset = self.base_offset + self._last_delta
        return ParsedRecord(offset, self._max_timestamp, 0, None, Unparsed(raw, why), ())

    def _decompressed(self) -> bytes:
        number = self._attributes & _CODEC_MASK
        if number not in DECODERS:
            raise UnsupportedCodecError(f"compression codec {number} is unknown")
        return DECODERS[number](bytes(self._data[_HEADER.size :]))

    def _record(self, cursor: Cursor, offset: int, timestamp: int) -> ParsedRecord:
        """Read a record from its key on; if it is malformed, its value is all its bytes."""
        appended = bool(self._attributes & _APPEND_TIME_FLAG)
        timestamp = self._max_timestamp if appended else timestamp
        try:
            key, value, headers = cursor.nullable(), cursor.nullable(), cursor.headers()
        except MalformedError as error:
            raw = Unparsed(cursor.all(), f"a malformed record: {error}")
            return ParsedRecord(offset, timestamp, int(appended), None, raw, ())
        return ParsedRecord(offset, timestamp, int(appended), key, value, headers)
