"""Questions to the cluster: each node answers for itself, and each wait is bounded."""

import asyncio
from collections.abc import Callable
from io import BytesIO
from types import SimpleNamespace
from typing import Any
from uuid import UUID

import pytest
from aiokafka import TopicPartition
from aiokafka.errors import (
    KafkaConnectionError,
    NotLeaderForPartitionError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
)
from aiokafka.structs import OffsetAndMetadata

from consumer.stream import cluster_view
from consumer.stream.cluster_view import READ_UNCOMMITTED, ClusterView
from consumer.stream.metadata import NO_TOPIC_ID, TopicIdRequest
from consumer.stream.positions import EARLIEST, CommitNote, Committed, TopicState

A, B, C = (TopicPartition("event", number) for number in range(3))
TOPIC_ID = UUID(int=7)


class Client:
    """aiokafka's client, as far as the view uses it."""

    def __init__(self) -> None:
        self.leaders = {A: 1, B: 2, C: -1}
        self.answers: dict[int, Callable[[Any], Any]] = {}
        self.refreshed = 0
        self.cluster = self

    def leader_for_partition(self, tp: TopicPartition) -> int | None:
        """See `ClusterMetadata`."""
        return self.leaders.get(tp)

    def partitions_for_topic(self, topic: str) -> set[int]:
        """See `ClusterMetadata`."""
        return {tp.partition for tp in self.leaders if tp.topic == topic}

    def get_random_node(self) -> int:
        """See `AIOKafkaClient`."""
        return 1

    def force_metadata_update(self) -> None:
        """See `AIOKafkaClient`."""
        self.refreshed += 1

    async def send(self, node: int, request: Any, *, group: int) -> Any:
        """See `AIOKafkaClient`."""
        assert group > 1
        answer = self.answers[node](request)
        return await answer if asyncio.iscoroutine(answer) else answer


class Coordinator:
    """aiokafka's coordinator, as far as the view uses it."""

    def __init__(self) -> None:
        self.offsets: dict[TopicPartition, OffsetAndMetadata] = {}
        self.mute = False

    async def fetch_committed_offsets(
        self, tps: list[TopicPartition]
    ) -> dict[TopicPartition, OffsetAndMetadata]:
        """See `GroupCoordinator`."""
        if self.mute:
            await asyncio.Event().wait()
        return {tp: self.offsets[tp] for tp in tps if tp in self.offsets}


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> Client:
    """One whose nodes have little time."""
    monkeypatch.setattr(cluster_view, "_ANSWER_TIMEOUT_SECONDS", 0.05)
    return Client()


def _view(client: Client, coordinator: Coordinator | None = None) -> ClusterView:
    return ClusterView(SimpleNamespace(_client=client, _coordinator=coordinator))


def _offsets(*found: tuple[TopicPartition, int, int]) -> Any:
    """An answer to ListOffsets: partition, error code, offset."""
    rows = [(tp.topic, [(tp.partition, code, -1, offset, 0)]) for tp, code, offset in found]
    return SimpleNamespace(topics=rows)


async def _never(_request: Any) -> Any:
    await asyncio.Event().wait()


async def test_a_mute_leader_holds_back_its_own_partitions_only(client: Client) -> None:
    """A leader that does not answer holds back its own partitions only, and a partition without a
    leader is not asked for.
    """
    client.answers = {1: _never, 2: lambda _: _offsets((B, 0, 7))}
    found = await _view(client).offsets(dict.fromkeys((A, B, C), EARLIEST), READ_UNCOMMITTED)
    assert found == {B: 7}
    assert client.refreshed == 1


async def test_a_node_that_leads_no_more_is_no_answer(client: Client) -> None:
    """An answer of a node that no longer leads a partition counts as none, and the leaders are
    looked up again.
    """
    client.answers = {
        1: lambda _: _offsets((A, NotLeaderForPartitionError.errno, -1)),
        2: lambda _: _offsets((B, 0, 7)),
    }
    found = await _view(client).offsets(dict.fromkeys((A, B), EARLIEST), READ_UNCOMMITTED)
    assert found == {B: 7}
    assert client.refreshed == 1


async def test_a_right_that_is_missing_is_raised(client: Client) -> None:
    """A missing right is raised, since waiting would not help."""
    code = TopicAuthorizationFailedError.errno
    client.answers = {1: lambda _: _offsets((A, code, -1))}
    with pytest.raises(TopicAuthorizationFailedError):
        await _view(client).offsets({A: EARLIEST}, READ_UNCOMMITTED)
    client.answers = {1: lambda _: _topics(("event", code, NO_TOPIC_ID, 0))}
    with pytest.raises(TopicAuthorizationFailedError):
        await _view(client).topics(["event"])


def _topics(*topics: tuple[str, int, UUID, int]) -> Any:
    found = [
        {"topic": name, "error_code": code, "topic_id": topic_id, "partitions": [None] * count}
        for name, code, topic_id, count in topics
    ]
    return SimpleNamespace(to_object=lambda: {"cluster_id": "c", "topics": found})


async def test_topics_are_told_as_they_are(client: Client) -> None:
    """Topics are reported as they exist, and one that is being created is left out."""
    missing = UnknownTopicOrPartitionError.errno
    client.answers = {
        1: lambda _: _topics(
            ("event", 0, TOPIC_ID, 3),
            ("old", 0, NO_TOPIC_ID, 1),
            ("gone", missing, NO_TOPIC_ID, 0),
            ("new", 5, NO_TOPIC_ID, 0),
        )
    }
    view = _view(client)
    found = await view.topics(["event", "old", "gone", "new"])
    assert found == {
        "event": TopicState("c", str(TOPIC_ID), 3),
        "old": TopicState("c", "", 1),
        "gone": None,
    }
    view.notice(found)
    assert client.refreshed == 1  # it knows no topic `old`
    view.notice({"event": found["event"], "gone": None})
    assert client.refreshed == 1


async def test_a_cluster_that_tells_nothing_is_no_answer(client: Client) -> None:
    """A cluster that does not answer is no error, and the question is asked again."""

    def away(_request: Any) -> Any:
        raise KafkaConnectionError("away")

    client.answers = {1: away}
    assert await _view(client).topics(["event"]) is None


async def test_commits_are_told_with_their_notes(client: Client) -> None:
    """Commits are reported with their metadata notes; a coordinator that does not answer is no
    answer, and a partition without a commit is left out.
    """
    coordinator = Coordinator()
    note = CommitNote("c", str(TOPIC_ID), 5, 3)
    coordinator.offsets = {
        A: OffsetAndMetadata(4, note.text()),
        B: OffsetAndMetadata(2, "another tool's"),
    }
    view = _view(client, coordinator)
    assert await view.committed([A, B, C]) == {A: Committed(4, note), B: Committed(2, None)}
    coordinator.mute = True
    assert await view.committed([A]) is None


def test_topic_ids_are_asked_for_in_the_newest_version_that_both_speak() -> None:
    """Topic ids are asked for in the newest request version that both sides have, and the question
    creates no topic.
    """
    request = TopicIdRequest(["event"])
    newest = request.prepare({3: (0, 13)})
    assert (newest.API_VERSION, newest.allow_auto_topic_creation) == (10, False)
    assert newest.encode() == bytes([2]) + bytes(16) + bytes([6]) + b"event" + bytes([0] * 5)
    oldest = request.prepare({3: (0, 9)})
    assert (oldest.API_VERSION, oldest.allow_auto_topic_creation) == (5, False)


def test_an_answer_with_topic_ids_is_read() -> None:
    """An answer with topic ids is read byte for byte as KIP-516 and KIP-482 define it."""
    node = bytes(4)
    answer = b"".join(
        [
            bytes(4),
            bytes([2]) + node + bytes([2]) + b"h" + (9092).to_bytes(4, "big") + bytes([0, 0]),
            bytes([2]) + b"c" + node,
            bytes([2]) + bytes(2) + bytes([6]) + b"event" + TOPIC_ID.bytes + bytes([0]),
            bytes([2]) + bytes(2) + bytes(4) + node + bytes(4) + bytes([1, 1, 1, 0]),
            bytes(4) + bytes([0]) + bytes(4) + bytes([0]),
        ]
    )
    response = TopicIdRequest([]).prepare({3: (0, 10)}).RESPONSE_TYPE.decode(BytesIO(answer))
    found = response.to_object()
    assert found["cluster_id"] == "c"
    [topic] = found["topics"]
    assert (topic["topic"], topic["topic_id"], len(topic["partitions"])) == ("event", TOPIC_ID, 1)
