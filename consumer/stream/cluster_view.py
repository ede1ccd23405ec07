"""Queries to the cluster about topics, logs and commits, each with a timeout of its own."""

import asyncio
from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import (
    KafkaError,
    NoError,
    TopicAuthorizationFailedError,
    UnknownTopicOrPartitionError,
    for_code,
)
from aiokafka.protocol.offset import OffsetRequest

from consumer.stream.metadata import NO_TOPIC_ID, TopicIdRequest
from consumer.stream.positions import Committed, TopicState
from consumer.stream.tasks import timeout

_ANSWER_TIMEOUT_SECONDS = 2.0
"""For one node: what a frozen node adds to a round of queries."""
_MAX_NODES_ASKED = 3
"""For a query that any node can answer, before the next round tries again."""
_CONNECTION_GROUP = 2
"""A separate connection to each node: on the fetching one an answer waits behind a fetch, up to
half a second."""
READ_UNCOMMITTED, READ_COMMITTED = 0, 1
"""Isolation levels: a log ends after its last record, or before its first open transaction."""


class View(Protocol):
    """The queries of `Placement` and `LagWatch`."""

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicState | None] | None:
        """Each topic's present state, None if it does not exist; None if no node answers."""
        ...

    async def offsets(
        self, times: Mapping[TopicPartition, int], isolation: int
    ) -> Mapping[TopicPartition, int]:
        """Each partition's first offset at or after a time (EARLIEST, LATEST, or epoch ms);
        UNKNOWN_OFFSET if no record is that new. Partitions without an answer are left out.
        """
        ...

    async def committed(
        self, tps: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """The group's existing commits; None if the coordinator does not answer."""
        ...

    def by_leader(self, tps: Iterable[TopicPartition]) -> Mapping[int, list[TopicPartition]]:
        """Partitions by their leader's node id; those without a leader are left out."""
        ...

    def notice(self, topics: Mapping[str, TopicState | None]) -> None:
        """Refresh the consumer's metadata if its view of these topics differs."""
        ...


class ClusterView:
    """The `View` of a started consumer's client.

    A query that this user has no permission for raises the broker's `KafkaError`; after any other
    failure the answer is missing.
    """

    def __init__(self, consumer: AIOKafkaConsumer) -> None:
        self._client = consumer._client  # noqa: SLF001  # no public way to send such requests
        self._consumer = consumer

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicState | None] | None:
        """See `View`."""
        for _ in range(_MAX_NODES_ASKED):
            answer = await self._ask(self._client.get_random_node(), TopicIdRequest(names))
            if answer is not None:
                return _topic_states(answer.to_object())
        return None

    async def offsets(
        self, times: Mapping[TopicPartition, int], isolation: int
    ) -> Mapping[TopicPartition, int]:
        """See `View`."""
        asked = [
            self._offsets_at(leader, {tp: times[tp] for tp in tps}, isolation)
            for leader, tps in self.by_leader(times).items()
        ]
        found: dict[TopicPartition, int] = {}
        for offsets in await asyncio.gather(*asked):
            found |= offsets
        return found

    async def committed(
        self, tps: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """See `View`."""
        coordinator = self._consumer._coordinator  # noqa: SLF001  # `committed` drops the metadata
        try:
            async with timeout(_ANSWER_TIMEOUT_SECONDS):
                found = await coordinator.fetch_committed_offsets(list(tps))
        except TimeoutError:
            return None
        return {tp: Committed.read(commit.offset, commit.metadata) for tp, commit in found.items()}

    def by_leader(self, tps: Iterable[TopicPartition]) -> Mapping[int, list[TopicPartition]]:
        """See `View`."""
        leaders: defaultdict[int, list[TopicPartition]] = defaultdict(list)
        for tp in tps:
            leader = self._client.cluster.leader_for_partition(tp)
            if leader not in (None, -1):
                leaders[leader].append(tp)
        return leaders

    def notice(self, topics: Mapping[str, TopicState | None]) -> None:
        """See `View`."""
        known = self._client.cluster.partitions_for_topic
        for name, state in topics.items():
            if len(known(name) or ()) != (state.partitions if state is not None else 0):
                self._client.force_metadata_update()
                return

    async def _offsets_at(
        self, leader: int, times: Mapping[TopicPartition, int], isolation: int
    ) -> dict[TopicPartition, int]:
        wanted: defaultdict[str, list[tuple[int, int]]] = defaultdict(list)
        for tp, time in times.items():
            wanted[tp.topic].append((tp.partition, time))
        answer = await self._ask(leader, OffsetRequest(-1, isolation, list(wanted.items())))
        found: dict[TopicPartition, int] = {}
        for topic, partitions in answer.topics if answer is not None else ():
            for partition, code, _timestamp, offset, *_ in partitions:
                error = for_code(code)
                if error is TopicAuthorizationFailedError:
                    raise error(topic)
                if error is NoError:
                    found[TopicPartition(topic, partition)] = offset
        if found.keys() != times.keys():
            self._client.force_metadata_update()  # the leaders have changed
        return found

    async def _ask(self, node: Any, request: Any) -> Any:
        """Return a node's answer; None if it fails or times out."""
        try:
            async with timeout(_ANSWER_TIMEOUT_SECONDS):
                return await self._client.send(node, request, group=_CONNECTION_GROUP)
        except (KafkaError, TimeoutError):
            return None


def _topic_states(answer: Mapping[str, Any]) -> dict[str, TopicState | None]:
    """Topic states in a Metadata answer, without topics that lack a leader for a partition."""
    states: dict[str, TopicState | None] = {}
    for topic in answer["topics"]:
        error = for_code(topic["error_code"])
        if error is TopicAuthorizationFailedError:
            raise error(topic["topic"])
        if error is UnknownTopicOrPartitionError:
            states[topic["topic"]] = None
        elif error is NoError:
            topic_id = topic.get("topic_id", NO_TOPIC_ID)
            states[topic["topic"]] = TopicState(
                answer["cluster_id"] or "",
                "" if topic_id == NO_TOPIC_ID else str(topic_id),
                len(topic["partitions"]),
            )
    return states
