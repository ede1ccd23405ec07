"""Fetched records take a bounded memory, and are freed when aiokafka drops them: all of this with
the garbage collector off.
"""

import asyncio
import gc
from collections.abc import Callable, Iterator
from typing import Any
from weakref import ref

import pytest
from aiokafka import TopicPartition
from aiokafka.consumer import fetcher
from aiokafka.consumer.fetcher import Fetcher, FetchResult
from aiokafka.consumer.subscription_state import SubscriptionState
from aiokafka.record.default_records import DefaultRecordBatchBuilder

import consumer.stream.client  # noqa: F401  # it prepares aiokafka, as in the daemon
from consumer.stream import fetches
from consumer.stream.parsed_records import UnreadableBatchError
from support.fakes import FakeClock

A, B = TopicPartition("event", 0), TopicPartition("event", 1)
PATIENT = TopicPartition("hookstream.retry.10s", 0)
RECORDS = 3


@pytest.fixture(autouse=True)
def _no_collector() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def _batch(header: str = "name") -> bytes:
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
        builder.append(offset, timestamp=1, key=None, value=b"value", headers=[(header, b"")])
    return bytes(builder.build())


def _records(raw: bytes) -> Any:
    """As aiokafka makes them of a partition's part of an answer."""
    return fetcher.PartitionRecords(A, fetcher.MemoryRecords(raw), [], 0, None, None, False, 1)


@pytest.mark.parametrize("read", range(RECORDS + 1))
def test_a_dropped_fetch_is_freed_however_much_of_it_was_read(read: int) -> None:
    """A fetch that aiokafka drops is freed with its raw bytes, however much of it was read."""
    records = _records(_batch())
    assert [next(records).offset for _ in range(read)] == list(range(read))
    alive = ref(records)
    del records
    assert alive() is None


def test_a_fetch_that_is_read_to_its_end_is_as_before() -> None:
    """A fetch that is read to its end gives aiokafka's own records, order and position."""
    records = _records(_batch())
    assert [record.offset for record in records] == list(range(RECORDS))
    assert records.next_fetch_offset == RECORDS


def test_a_fetch_that_our_own_parser_reads_is_freed() -> None:
    """A fetch that our own parser reads is freed."""
    records = _records(_batch("name").replace(b"name", b"nam\xff"))
    assert next(records).offset == 0
    alive = ref(records)
    del records
    assert alive() is None


def test_a_fetch_that_cannot_be_read_is_freed_with_its_error() -> None:
    """A fetch that cannot be read is freed once its error was handled."""
    records = _records(_batch())
    records._data = None  # no second try by our own parser
    records._records_iterator = _fails()
    alive = ref(records)
    with pytest.raises(UnreadableBatchError):
        next(records)
    del records
    assert alive() is None


def _fails() -> Iterator[Any]:
    raise ValueError
    yield


class _NoClient:
    """One that knows a leader of every partition, and nothing else."""

    _metadata_max_age_ms = 1_000

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self.cluster = self

    def leader_for_partition(self, _tp: TopicPartition) -> int:
        return 1


class _Assigned:
    """A fetcher of two assigned partitions that has fetched one of them."""

    def __init__(self) -> None:
        self.subscriptions = SubscriptionState()
        self.subscriptions.assign_from_user({A, B, PATIENT})
        self.assignment = self.subscriptions.subscription.assignment
        for tp in (A, B, PATIENT):
            self.assignment.state_value(tp).seek(0)
        self.fetcher = Fetcher(_NoClient(), self.subscriptions)
        self.fetcher._fetch_task.cancel()  # it would ask a broker for more
        self.is_urgent = False
        self.clock = FakeClock()
        fetches.bound_fetches(
            self.fetcher,
            lambda: self.is_urgent,
            lambda topic: topic == PATIENT.topic,
            self.clock,
        )
        records = _records(_batch())
        self.alive = ref(records)
        self.fetcher._records[A] = FetchResult(
            A, assignment=self.assignment, partition_records=records, backoff=0
        )

    async def read(self, number: int) -> list[int]:
        """The offsets of the next records."""
        batches = await self.fetcher.fetched_records((), max_records=number)
        return [record.offset for record in batches.get(A, [])]

    def asks_for(self) -> list[tuple[str, list[tuple[int, int, int]]]]:
        """What the next request would be for."""
        requests, *_ = self.fetcher._get_actions_per_node(self.assignment)
        return [topic for _, request in requests for topic in request.topics]

    def waits(self) -> list[int]:
        """How long the next requests would wait at their brokers for records, in milliseconds, half
        a second later.
        """
        self.clock.advance(0.5)
        requests, *_ = self.fetcher._get_actions_per_node(self.assignment)
        return [request._max_wait_ms for _, request in requests]

    def asks(self) -> tuple[list[str], int]:
        """Topics of the next request, and how long it would wait."""
        [(_, request)], *_ = self.fetcher._get_actions_per_node(self.assignment)
        return sorted(topic for topic, _ in request.topics), request._max_wait_ms


def _seek(assigned: _Assigned) -> None:
    assigned.fetcher.seek_to(A, 1)


def _pause(assigned: _Assigned) -> None:
    assigned.subscriptions.pause(A)


def _revoke(assigned: _Assigned) -> None:
    assigned.assignment._unassign()


@pytest.mark.parametrize("drop", [_seek, _pause, _revoke])
async def test_a_fetch_is_freed_wherever_aiokafka_drops_it(
    drop: Callable[[_Assigned], None],
) -> None:
    """A fetch is freed wherever aiokafka drops it: after a seek at once, after a pause and a
    revocation at the next poll.
    """
    assigned = _Assigned()
    assert await assigned.read(1) == [0]
    drop(assigned)
    assert await assigned.read(1) == []
    assert assigned.alive() is None
    await assigned.fetcher.close()


async def test_no_more_is_fetched_while_much_is_not_polled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Fetching stops while much is not polled, by a limit for all partitions together."""
    monkeypatch.setattr(fetches, "_BUFFERED_BYTES", len(_batch()))
    assigned = _Assigned()
    assert assigned.asks_for() == []
    assert await assigned.read(RECORDS + 1) == list(range(RECORDS))
    assert assigned.asks_for()
    await assigned.fetcher.close()


async def test_what_a_paused_partition_has_fetched_holds_back_no_other(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Records that a paused partition has fetched hold back no other partition."""
    monkeypatch.setattr(fetches, "_BUFFERED_BYTES", len(_batch()))
    assigned = _Assigned()
    assigned.subscriptions.pause(A)
    asked = dict(assigned.asks_for())
    assert [number for number, *_ in asked[A.topic]] == [1]
    await assigned.fetcher.close()


async def test_patient_topics_are_asked_for_ten_times_a_second() -> None:
    """Topics that are patient are in the first request and in one each tenth of a second, which the
    others do not outlast; they are in each while a position will soon be set, and in one that would
    be for nothing else.
    """
    assigned = _Assigned()
    await assigned.read(RECORDS + 1)
    both = sorted([A.topic, PATIENT.topic])
    assert assigned.asks() == (both, 500)
    for passed, expected in [(0.05, [A.topic]), (0.04, [A.topic]), (0.02, both), (0.01, [A.topic])]:
        assigned.clock.advance(passed)
        assert assigned.asks() == (expected, 500 if expected == both else 100)
    assigned.is_urgent = True
    assert assigned.asks() == (both, 20)
    assigned.is_urgent = False
    for tp in (A, B):
        assigned.subscriptions.pause(tp)
    assert assigned.asks() == ([PATIENT.topic], 500)
    await assigned.fetcher.close()


async def test_a_request_that_leaves_partitions_out_waits_briefly() -> None:
    """A request waits half a second for records if it is for all partitions, and 20 ms while some
    still have fetched records or a position will soon be set: until its answer they get no other.
    """
    assigned = _Assigned()
    assert assigned.waits() == [20]
    await assigned.read(RECORDS + 1)
    assert assigned.waits() == [500]
    assigned.is_urgent = True
    assert assigned.waits() == [20]
    await assigned.fetcher.close()
