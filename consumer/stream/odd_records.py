"""Lets aiokafka read and write records whose bytes it does not expect."""

from collections.abc import Iterator
from typing import Any

from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import PartitionRecords
from aiokafka.producer.message_accumulator import BatchBuilder
from aiokafka.record.default_records import _DefaultRecordBatchBuilderPy
from aiokafka.record.memory_records import MemoryRecords
from aiokafka.structs import ConsumerRecord

from consumer.stream.decompression import MAX_FETCH_BYTES, bound_decompression, decompressed
from consumer.stream.parsed_records import UnreadableBatchError
from consumer.stream.record_batches import RecordBatches


def read_odd_records() -> None:
    """Let a record with a header name that is not UTF-8 be read, and a batch be decompressed to
    `MAX_BATCH_BYTES` at most. Nothing but `UnreadableBatchError` is raised for what cannot be read.
    A second call does nothing.

    The parser's own errors are of many kinds (decoders', libraries', Python's), and say nothing
    of their place.
    """
    fetcher.MemoryRecords = _FetchedBytes
    fetcher.PartitionRecords = _FetchedRecords
    bound_decompression()


class _FetchedBytes(MemoryRecords):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's own, which does not tell its bytes."""

    def __init__(self, data: bytes) -> None:
        super().__init__(data)
        self.data = data
        self.ended = False
        """Whether no further batch is read."""

    def has_next(self) -> bool:
        """Whether a batch is left to be read."""
        return not self.ended and super().has_next()

    def next_batch(self) -> Any:
        """As aiokafka does. Raises `UnreadableBatchError` for a batch that ends before it begins:
        the position would stay or go back, and the same records be read again and again.
        """
        batch = super().next_batch()
        # Formats before 2 have no base offset, and one record behind each offset.
        if batch.next_offset <= getattr(batch, "base_offset", -1):
            raise UnreadableBatchError("a batch ends before it begins")
        return batch


class _FetchedRecords(PartitionRecords):  # type: ignore[misc]  # aiokafka has no types
    """One partition's records of a fetch, by aiokafka's parser as far as that comes, then by ours.

    aiokafka has a `__next__` of its own in this place: this costs little as long as nothing fails.
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
        except Exception as error:  # noqa: BLE001  # the parser's are of many kinds
            return self._next_of_our_own(error)

    def _consumer_record(self, tp: Any, record: Any) -> ConsumerRecord:
        """As aiokafka does, which knows no time for records of the formats before 2: -1."""
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

    def _next_of_our_own(self, error: Exception) -> Any:
        """Go on with our own parser at the record that `error` came from."""
        data, self._data = self._data, None
        if data is None:  # it was our own already
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
        """The error; if anything came before it the end, which the next fetch begins with the error
        then: aiokafka forgets what it has read when something is raised.
        """
        self._records_iterator = iter(())
        if self.next_fetch_offset > self._first:
            return StopIteration()
        tp, offset = self._tp, self.next_fetch_offset
        unreadable = UnreadableBatchError(f"{tp.topic}/{tp.partition}/{offset}: {error}")
        unreadable.tp, unreadable.offset = tp, offset
        return unreadable


class RawNamesBatch(BatchBuilder):  # type: ignore[misc]  # aiokafka has no types
    """A batch whose header names may be `RawHeaderName`.

    aiokafka's encoder in C takes nothing but `str`; the one in Python, slower by far, asks each
    name for its bytes.
    """

    def __init__(self, batch_size: int) -> None:
        super().__init__(batch_size, 0)
        self._builder = _DefaultRecordBatchBuilderPy(2, 0, 0, -1, -1, 0, batch_size)

    def _set_producer_state(self, *state: int) -> None:
        """As its base class does, which insists on the encoder in C."""
        self._builder.set_producer_state(*state)
