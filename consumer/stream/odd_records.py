"""Makes aiokafka read malformed records and header names that are not UTF-8."""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from consumer.stream.decompression import MAX_FETCH_BYTES, bound_decompression, decompressed
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.record_batches import RecordBatches


def read_odd_records() -> None:
    """Make aiokafka read records whose header names are not UTF-8, decompress a batch to at most
    `MAX_BATCH_BYTES`, and raise only `UnreadableBatchError` for unreadable data. Idempotent.

    The parser's own errors are of many kinds (decoders', libraries', Python's), and do not tell the
    offset.
    """
    fetcher.MemoryRecords = FetchedBytes
    fetcher.PartitionRecords = _FetchedRecords
    bound_decompression()


class FetchedBytes(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's `MemoryRecords`, with access to its bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data
        self.ended = False
        """Whether to skip the remaining batches."""

    def has_next(self) -> bool:
        """Whether there is another batch to read."""
        return not self.ended and super().has_next()

    def next_batch(self) -> Any:
        """Return the next batch. Raises `UnreadableBatchError` if it ends before it begins: the
        position would not advance, and the same records would be read in a loop.
        """
        batch = super().next_batch()
        # Formats before 2 have no base offset, and one record for each offset.
        if batch.next_offset <= getattr(batch, "base_offset", -1):
            raise UnreadableBatchError("a batch ends before it begins")
        return batch


class _FetchedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """One partition's records of a fetch, read by aiokafka's parser, and after its first error by
    `RecordBatches`.

    It replaces aiokafka's `__next__`, so it costs little without errors.
    """

    _records_iterator: Iterator[Any] | None

    def __init__(self, tp: Any, records: MemoryRecords, *details: Any) -> None:
        super().__init__(tp, records, *details)
        self._data: bytes | None = getattr(records, "data", None)
        self._first: int = self.next_fetch_offset
        self._decompressed = 0

    def __next__(self) -> Any:
        before = decompressed.total
        try:
            return self._next()
        finally:
            if decompressed.total != before:  # a batch has begun
                self._decompressed += decompressed.total - before
                self._records.ended = self._decompressed >= MAX_FETCH_BYTES

    def _next(self) -> Any:
        try:
            return next(self._records_iterator)  # type: ignore[arg-type]  # as aiokafka does it
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception as error:  # noqa: BLE001  # the parser raises errors of many kinds
            return self._next_from_own_parser(error)

    def _consumer_record(self, tp: Any, record: Any) -> ConsumerRecord:
        """Make a `ConsumerRecord`. The timestamp is -1 if the format (before 2) has none."""
        key, value, timestamp = record.key, record.value, record.timestamp
        return ConsumerRecord(
            tp.topic,
            tp.partition,
            record.offset,
            -1 if timestamp is None else timestamp,
            record.timestamp_type,
            key,
            value,
            record.checksum,
            -1 if key is None else len(key),
            -1 if value is None else len(value),
            tuple(record.headers),
        )

    def _next_from_own_parser(self, error: Exception) -> Any:
        """Continue with our own parser at the record that caused `error`."""
        data, self._data = self._data, None
        if data is None:  # our own parser failed as well
            raise self._end(error) from error
        self._records = RecordBatches(data, self.next_fetch_offset)
        records = self._records_iterator = self._unpack_records()
        try:
            return next(records)
        except StopIteration:
            self._records_iterator = None
            raise
        except Exception as again:
            raise self._end(again) from again

    def _end(self, error: Exception) -> Exception:
        """The exception to raise: the error, or the end of the fetch if records were read before,
        since aiokafka drops them at an error. The next fetch then begins with the error.
        """
        self._records_iterator = iter(())
        if self.next_fetch_offset > self._first:
            return StopIteration()
        tp, offset = self._tp, self.next_fetch_offset
        unreadable = UnreadableBatchError(f"{tp.topic}/{tp.partition}/{offset}: {error}")
        unreadable.tp, unreadable.offset = tp, offset
        return unreadable
