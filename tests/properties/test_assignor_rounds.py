"""Rebalances of a group whose members come and go, by the assignor that divides its partitions."""

from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.assignor import CooperativeAssignor, Homes

Shares = Mapping[str, AbstractSet[TopicPartition]]

partitions = st.dictionaries(st.sampled_from("abcdef"), st.integers(1, 7), min_size=1)
homes_or_none = st.sampled_from([None, Homes("a", "bcdef"), Homes("f", "ab")])
groups = st.lists(st.sets(st.integers(0, 5), min_size=1), min_size=1, max_size=5)


class FakeCluster:
    """The topics of a cluster, with their numbers of partitions."""

    def __init__(self, topics: Mapping[str, int]) -> None:
        self.topics = topics

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """The numbers of a topic's partitions, as aiokafka has them."""
        return set(range(self.topics[topic])) if topic in self.topics else None


def rebalance(topics: Mapping[str, int], owned: Shares, homes: Homes | None = None) -> Shares:
    """One rebalance: the partitions that each member is assigned, by those that it owned."""
    metadata = {}
    for member, its in owned.items():
        assignor = CooperativeAssignor()
        assignor.owned = lambda its=its: its  # type: ignore[misc]
        written = assignor.metadata(topics).encode()
        metadata[member] = ConsumerProtocolMemberMetadata.decode(written)
    leader = CooperativeAssignor()
    leader.homes = lambda: homes
    assigned = leader.assign(FakeCluster(topics), metadata)
    return {member: set(its.partitions()) for member, its in assigned.items()}


def settle(
    topics: Mapping[str, int], owned: Shares, homes: Homes | None = None
) -> Iterator[Shares]:
    """Rebalances until no member has anything to give back: each member joins again when it has
    given back what was not assigned to it.
    """
    while True:
        assigned = rebalance(topics, owned, homes)
        yield assigned
        if all(owned[member] <= assigned[member] for member in owned):
            return
        owned = assigned


def shares_of(members: Collection[int], shares: Shares) -> Shares:
    """The partitions that the members of now own: new ones own none."""
    return {f"m{member}": shares.get(f"m{member}", set()) for member in members}


@given(topics=partitions, story=groups, homes=homes_or_none)
def test_partitions_are_divided_evenly_and_no_two_members_own_one(
    topics: Mapping[str, int], story: Sequence[set[int]], homes: Homes | None
) -> None:
    """After any joins and leaves each partition has one owner within two rebalances, each topic is
    divided evenly, and no partition is ever assigned while another member owns it.
    """
    shares: Shares = {}
    for members in story:
        owned = shares_of(members, shares)
        rounds = list(settle(topics, owned, homes))
        assert len(rounds) <= 2
        for assigned in rounds:
            for member, its in assigned.items():
                others = [tp for m, theirs in owned.items() if m != member for tp in theirs]
                assert not set(its) & set(others)
            owned = assigned
        shares = rounds[-1]
        every = Counter(tp for its in shares.values() for tp in its)
        assert every == Counter(
            TopicPartition(topic, n) for topic, count in topics.items() for n in range(count)
        )
        for topic in topics:
            counts = [sum(tp.topic == topic for tp in its) for its in shares.values()]
            assert max(counts) - min(counts) <= 1


@given(topics=partitions, story=groups, homes=homes_or_none)
def test_a_group_without_changes_keeps_its_assignment(
    topics: Mapping[str, int], story: Sequence[set[int]], homes: Homes | None
) -> None:
    """A rebalance of a group that has not changed moves no partition."""
    shares: Shares = {}
    for members in story:
        *_, shares = settle(topics, shares_of(members, shares), homes)
        assert rebalance(topics, shares, homes) == shares


@given(topics=partitions, members=st.sets(st.integers(0, 5), min_size=2), data=st.data())
def test_a_member_that_leaves_moves_only_its_own_partitions(
    topics: Mapping[str, int], members: set[int], data: st.DataObject
) -> None:
    """When a member leaves, the others keep what they have, except for a topic's remainder, which
    may move to keep the remainders even.
    """
    *_, before = settle(topics, shares_of(members, {}))
    leaver = data.draw(st.sampled_from(sorted(members)))
    owned = shares_of(members - {leaver}, before)
    after = rebalance(topics, owned)
    moved = Counter(tp.topic for member in owned for tp in owned[member] - after[member])
    assert all(number <= topics[topic] % len(members) for topic, number in moved.items())


@given(topics=partitions, members=st.sets(st.integers(0, 5), min_size=2))
def test_the_remainders_are_divided_too(topics: Mapping[str, int], members: set[int]) -> None:
    """The remainders of all topics are divided evenly: no member has all single partitions."""
    *_, shares = settle(topics, shares_of(members, {}))
    counts = [len(its) for its in shares.values()]
    assert max(counts) - min(counts) <= 1


@given(partitions=st.integers(1, 12), story=groups)
def test_homes_are_where_their_source_partitions_are(
    partitions: int, story: Sequence[set[int]]
) -> None:
    """A partition of the overflow topic has the owner of the source partition of its number, but
    for one that is in a member's remainder of only one of both topics.
    """
    topics = {"a": partitions, "z": partitions}
    shares: Shares = {}
    for members in story:
        *_, shares = settle(topics, shares_of(members, shares), Homes("z", "a"))
        for its in shares.values():
            mine = {tp.partition for tp in its if tp.topic == "a"}
            homes = {tp.partition for tp in its if tp.topic == "z"}
            assert len(mine ^ homes) <= 1
