"""What the replicas' statuses say: which replicas run, and whether their lag grows."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import orjson
import pytest

from consumer.control.status import GONE_SECONDS, STATUS_SECONDS, ReplicaStatus
from consumer.panel.pages.replica_view import LagCourse, replica_view
from consumer.services.replicas import Replica, StatusTable, lag_trends
from consumer.settings import KafkaSettings
from support.fakes import FakeClock, FakeRecord
from support.page_data import full, rfc3339

NOW = 1_800_000_000.0
RETRY = KafkaSettings().own_topics.retry(10.0)


def _statuses(lags: Sequence[int], topic: str = "event") -> list[ReplicaStatus]:
    """Statuses at the usual distance, the last one now."""
    status = replace(full(FakeClock()).running[0].status, partitions={topic: [0, 1]})
    return [
        replace(status, at=rfc3339(NOW - index * STATUS_SECONDS), lag={topic: lag})
        for index, lag in zip(range(len(lags) - 1, -1, -1), lags, strict=True)
    ]


@pytest.mark.parametrize(
    ("lags", "per_second"),
    [
        ([100, 150, 200, 250], 10.0),
        ([900, 800, 700, 600], -20.0),
        ([10, 900, 5, 800, 20, 700], 0.0),
        ([7, 7, 7, 7], 0.0),
    ],
)
def test_the_lag_of_a_topic_grows_or_shrinks(lags: list[int], per_second: float) -> None:
    """A lag that goes up and down neither grows nor shrinks, whatever its newest value is."""
    assert lag_trends(_statuses(lags)) == {"event": pytest.approx(per_second)}


def test_a_trend_needs_some_statuses_of_the_same_partitions() -> None:
    """After a start and after a rebalance the trend is not known for a while."""
    statuses = _statuses([100, 200, 300, 400, 500])
    assert lag_trends(statuses[:3]) == {}
    moved = [replace(one, partitions={"event": [0]}) for one in statuses[:2]]
    assert lag_trends([*moved, *statuses[2:]]) == {}
    assert lag_trends([]) == {}


def test_a_trend_is_of_the_last_minute() -> None:
    """What the lag did long ago is not its present pace."""
    old = replace(_statuses([1_000_000])[0], at=rfc3339(NOW - 3600))
    assert lag_trends([old, *_statuses([100, 150, 200, 250])]) == {"event": pytest.approx(10.0)}


def test_the_table_of_statuses_knows_the_trend_of_a_replica_that_runs() -> None:
    """The records of the topic are enough, and a replica that is gone leaves nothing behind."""
    table = StatusTable()
    for status in _statuses([100, 150, 200, 250]):
        key, value, _ = status.write()
        table.take(FakeRecord(value, key=key))
    (running,) = table.running(NOW)
    assert table.lag_trends(running) == {"event": pytest.approx(10.0)}
    assert table.running(NOW + GONE_SECONDS + 1) == []
    assert table.lag_trends(running) == {}


@pytest.mark.parametrize(
    "fields",
    [
        {"at": 5}, {"lag": [1]}, {"lag": {"event": "many"}}, {"partitions": {"event": 3}},
        {"partitions": 0}, {"open_circuits": [{}]}, {"learned_rates": {"h": None}}, {"hooks": "3"},
    ],
    ids=str,
)  # fmt: skip
def test_a_status_of_other_types_is_left_out(fields: dict[str, Any]) -> None:
    """What another program wrote as a status breaks no page: it is none."""
    key, value, _ = _statuses([1])[0].write()
    table = StatusTable()
    table.take(FakeRecord(orjson.dumps({**orjson.loads(value or b""), **fields}), key=key))
    assert table.running(NOW) == []


@pytest.mark.parametrize(
    ("lag", "trend", "course", "seconds"),
    [
        (0, {}, LagCourse.NONE, None),
        (600, {"event": -20.0}, LagCourse.SHRINKS, 30.0),
        (600, {"event": 5.0}, LagCourse.GROWS, None),
        (600, {"event": 0.0}, LagCourse.STEADY, None),
        (600, {}, LagCourse.UNKNOWN, None),
    ],
)
def test_the_page_says_what_becomes_of_a_lag(
    lag: int, trend: dict[str, float], course: LagCourse, seconds: float | None
) -> None:
    """A lag that shrinks has a time in which it is gone at the present pace."""
    (row,) = replica_view(Replica(_statuses([lag])[0], 0, trend)).topics
    assert (row.course, row.seconds) == (course, seconds)


def test_retry_and_overflow_topics_wait_on_purpose() -> None:
    """The lag of a topic in which deliveries wait is not judged as that of a source."""
    topics = KafkaSettings().own_topics
    assert topics.is_for_waiting(RETRY)
    assert topics.is_for_waiting(topics.overflow)
    assert not topics.is_for_waiting("event")
    assert not topics.is_for_waiting(topics.dead_letter)
    replica = Replica(_statuses([900], RETRY)[0], 0, {RETRY: 50.0}, frozenset({RETRY}))
    view = replica_view(replica)
    assert view.has_waiting
    assert [row.course for row in view.topics] == [LagCourse.WAITS]
