"""Divides the partitions among the members of the group, without a pause for those that stay.

aiokafka knows the eager protocol only: at each rebalance every member gives back all its partitions
and waits for what is in flight on them. This assignor has the meaning of Kafka's incremental
cooperative protocol (KIP-429) instead. Each member says which partitions it owns, and goes on with
those that are assigned to it again. A partition that is to move is first assigned to no member: its
owner finishes it, commits, and joins again, and only then the group gives it to another member.

aiokafka's `StickyPartitionAssignor` has its state in the class, and never learns its generation
(aiokafka issues 1175 and 1176).
"""

from collections import Counter, defaultdict
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import NamedTuple

import orjson
from aiokafka import TopicPartition
from aiokafka.cluster import ClusterMetadata
from aiokafka.coordinator.assignors.abstract import AbstractPartitionAssignor
from aiokafka.coordinator.protocol import (
    ConsumerProtocolMemberAssignment,
    ConsumerProtocolMemberMetadata,
)

_VERSION = 0
"""Of the formats of members' metadata and of assignments."""

Owners = Mapping[TopicPartition, str]
"""The member that owns each partition."""


class Homes(NamedTuple):
    """A topic whose partition n is best at a member with partitions of the sources whose numbers
    are n modulo its partitions.
    """

    topic: str
    sources: Collection[str]


class CooperativeAssignor(AbstractPartitionAssignor):  # type: ignore[misc]  # aiokafka has no types
    """One member's assignor; the group's leader decides for all."""

    name = "roundrobin"
    """The name of aiokafka's default, so that members with and without this assignor can be in one
    group. Those without own nothing, as they give back everything before they join."""

    def __init__(self) -> None:
        self.owned: Callable[[], Collection[TopicPartition]] = tuple
        """The partitions that this member goes on with if they are assigned to it again."""
        self.homes: Callable[[], Homes | None] = lambda: None
        """Asked of the leader."""

    def metadata(self, topics: Iterable[str]) -> ConsumerProtocolMemberMetadata:
        """What this member tells the leader: its topics, and the partitions that it owns."""
        owned = defaultdict(list)
        for tp in sorted(self.owned()):
            owned[tp.topic].append(tp.partition)
        return ConsumerProtocolMemberMetadata(_VERSION, sorted(topics), orjson.dumps(owned))

    def assign(
        self, cluster: ClusterMetadata, members: Mapping[str, ConsumerProtocolMemberMetadata]
    ) -> dict[str, ConsumerProtocolMemberAssignment]:
        """The leader's decision, without the partitions that must first be given back."""
        topics = {member: frozenset(data.subscription) for member, data in members.items()}
        partitions = {
            topic: sorted(cluster.partitions_for_topic(topic) or ())
            for topic in frozenset().union(*topics.values())
        }
        owners = {tp: m for m, data in sorted(members.items()) for tp in _read(data.user_data)}
        assigned: dict[str, defaultdict[str, list[int]]] = {m: defaultdict(list) for m in members}
        for tp, member in divide(partitions, topics, owners, self.homes()).items():
            if owners.get(tp, member) == member:
                assigned[member][tp.topic].append(tp.partition)
        return {
            member: ConsumerProtocolMemberAssignment(_VERSION, sorted(its.items()), b"")
            for member, its in assigned.items()
        }

    def on_assignment(self, assignment: ConsumerProtocolMemberAssignment) -> None:
        """Keep no state: the trackers know what this member owns."""


def divide(
    partitions: Mapping[str, Collection[int]],
    topics: Mapping[str, Collection[str]],
    owners: Owners,
    homes: Homes | None = None,
) -> Owners:
    """Divide each topic's `partitions` evenly among the members that subscribe to it, and the
    remainders of all topics evenly too. Owners keep what that allows. `topics`: by member.

    The same owners get the same partitions again, whatever else has changed. Those of `homes` go
    where the sources' are, as far as an even division allows.
    """
    divided: dict[TopicPartition, str] = {}
    extras = Counter[str]()
    most_extras = _most_extras(partitions, topics)
    last = homes.topic if homes is not None else ""
    for topic, numbers in sorted(partitions.items(), key=lambda each: (each[0] == last, each[0])):
        members = sorted(member for member in topics if topic in topics[member])
        if not members:
            continue
        owned: dict[str, list[TopicPartition]] = {member: [] for member in members}
        free: list[TopicPartition] = []
        for number in sorted(numbers):
            tp = TopicPartition(topic, number)
            owned.get(owners.get(tp, ""), free).append(tp)
        least, remainder = divmod(len(numbers), len(members))
        larger = sorted(
            members,
            key=lambda m: (
                len(owned[m]) <= least or extras[m] >= most_extras,
                extras[m],
                len(owned[m]) <= least,
                m,
            ),
        )[:remainder]
        extras.update(larger)
        if homes is not None and topic == last:
            quotas = {member: least + (member in larger) for member in members}
            divided |= _place_homes(homes, numbers, quotas, owners, divided)
            continue
        for member in members:
            quota = least + (member in larger)
            free += owned[member][quota:]
            del owned[member][quota:]
        for member in members:
            quota = least + (member in larger)
            while len(owned[member]) < quota:
                owned[member].append(free.pop())
        divided |= {tp: member for member, tps in owned.items() for tp in tps}
    return divided


def _place_homes(
    homes: Homes,
    numbers: Collection[int],
    quotas: dict[str, int],
    owners: Owners,
    divided: Owners,
) -> Owners:
    """Give each partition to the member with the most partitions of its sources that may have one
    more, else to its owner; `quotas`: by member.
    """
    near: dict[int, Counter[str]] = {number: Counter() for number in numbers}
    for (topic, number), member in divided.items():
        if topic in homes.sources and (home := number % len(numbers)) in near:
            near[home][member] += 1

    def rank(number: int, member: str) -> tuple[int, bool, str]:
        tp = TopicPartition(homes.topic, number)
        return -near[number][member], owners.get(tp) != member, member

    placed: dict[TopicPartition, str] = {}
    pairs = ((*rank(number, member), number) for number in numbers for member in quotas)
    for *_, member, number in sorted(pairs):
        tp = TopicPartition(homes.topic, number)
        if quotas[member] and tp not in placed:
            placed[tp] = member
            quotas[member] -= 1
    return placed


def _most_extras(
    partitions: Mapping[str, Collection[int]], topics: Mapping[str, Collection[str]]
) -> int:
    """How many of the topics' remainders one member may have: an equal share, rounded up."""
    subscribers = Counter(topic for its in topics.values() for topic in its)
    extras = sum(len(its) % subscribers[topic] for topic, its in partitions.items())
    return -(-extras // max(1, len(topics)))


def _read(user_data: bytes) -> list[TopicPartition]:
    """The partitions that a member owns; none if another program's assignor wrote something."""
    try:
        owned = orjson.loads(user_data or b"{}")
        return [TopicPartition(str(t), int(p)) for t, its in owned.items() for p in its]
    except (ValueError, TypeError, AttributeError):
        return []
