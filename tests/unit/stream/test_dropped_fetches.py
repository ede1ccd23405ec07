"""Fetched records are freed when aiokafka drops them, with the garbage collector off."""

import asyncio
import gc
from collections.abc import Callable, Iterator
from weakref import ref

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer.fetcher import Fetcher, FetchResult, PartitionRecords
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.errors import CorruptRecordException
from aiokafka.record.default_records import DefaultRecordBatchBuilder
from aiokafka.record.memory_records import MemoryRecords

from consumer.stream.fetches import free_dropped_fetches

TP = TopicPartition("event", 0)
RECORDS = 3


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    free_dropped_fetches()
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _batch() -> bytes:
    builder = DefaultRecordBatchBuilder(
        magic=2,
        compression_type=0,
        is_transactional=0,
        producer_id=-1,
        producer_epoch=-1,
        base_sequence=-1,
        batch_size=1_000,
    )
    for offset in range(RECORDS):
        builder.append(offset, timestamp=1, key=None, value=b"value", headers=[])
    return bytes(builder.build())


def _records(raw: bytes) -> PartitionRecords:
    return PartitionRecords(TP, MemoryRecords(raw), [], 0, None, None, True, 1)


@pytest.mark.parametrize("read", range(RECORDS + 1))
def test_a_dropped_fetch_is_freed_however_much_of_it_was_read(read: int) -> None:
    """The raw bytes go with the object that aiokafka drops, from the first record to the last."""
    records = _records(_batch())
    assert [next(records).offset for _ in range(read)] == list(range(read))
    alive = ref(records)
    del records
    assert alive() is None


def test_a_fetch_that_is_read_to_its_end_is_as_before() -> None:
    """The records, their order and the position behind them are aiokafka's own."""
    records = _records(_batch())
    assert [record.offset for record in records] == list(range(RECORDS))
    assert records.next_fetch_offset == RECORDS


def test_a_corrupt_fetch_is_freed_with_its_error() -> None:
    """The error's traceback must not keep the bytes once it was handled."""
    raw = bytearray(_batch())
    raw[-1] ^= 0xFF
    records = _records(bytes(raw))
    alive = ref(records)
    with pytest.raises(CorruptRecordException):
        next(records)
    del records
    assert alive() is None


class _Assigned:
    """A fetcher of one assigned partition that has one fetch in its buffer."""

    def __init__(self) -> None:
        self.subscriptions = SubscriptionState()
        self.subscriptions.assign_from_user({TP})
        self.assignment = self.subscriptions.subscription.assignment
        self.assignment.state_value(TP).seek(0)
        self.fetcher = Fetcher(_NoClient(), self.subscriptions)
        self.fetcher._fetch_task.cancel()  # it would ask a broker for more
        records = _records(_batch())
        self.alive = ref(records)
        self.fetcher._records[TP] = FetchResult(
            TP, assignment=self.assignment, partition_records=records, backoff=0
        )

    async def read(self, number: int) -> list[int]:
        """The offsets of the next records."""
        batches = await self.fetcher.fetched_records((), max_records=number)
        return [record.offset for record in batches.get(TP, [])]


class _NoClient:
    _metadata_max_age_ms = 1_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()


def _seek(assigned: _Assigned) -> None:
    assigned.fetcher.seek_to(TP, 1)


def _pause(assigned: _Assigned) -> None:
    assigned.subscriptions.pause(TP)


def _revoke(assigned: _Assigned) -> None:
    assigned.assignment._unassign()


@pytest.mark.parametrize("drop", [_seek, _pause, _revoke])
async def test_a_fetch_is_freed_wherever_aiokafka_drops_it(
    drop: Callable[[_Assigned], None],
) -> None:
    """After a seek at once; after a pause and a revocation when the next poll comes."""
    assigned = _Assigned()
    assert await assigned.read(1) == [0]
    drop(assigned)
    assert await assigned.read(1) == []
    assert assigned.alive() is None
    await assigned.fetcher.close()
