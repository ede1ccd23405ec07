"""What the group's leader makes of members that are not as this daemon."""

import pytest
from aiokafka import TopicPartition
from aiokafka.coordinator.protocol import ConsumerProtocolMemberMetadata

from consumer.stream.assignor import CooperativeAssignor, divide


class FakeCluster:
    """One topic of four partitions."""

    def partitions_for_topic(self, topic: str) -> set[int] | None:
        """As aiokafka has them."""
        return {0, 1, 2, 3} if topic == "event" else None


@pytest.mark.parametrize(
    "user_data", [b"", b"\x00\x01", b"[1]", b'{"event": 1}', b'{"event": "x"}']
)
def test_a_member_of_another_program_owns_nothing(user_data: bytes) -> None:
    """A member whose data another assignor wrote owns nothing, and gets its share."""
    members = {
        name: ConsumerProtocolMemberMetadata(0, ["event", "unknown"], user_data) for name in "ab"
    }
    assigned = CooperativeAssignor().assign(FakeCluster(), members)
    assert sorted(len(its.partitions()) for its in assigned.values()) == [2, 2]


def test_a_topic_goes_to_its_subscribers() -> None:
    """A partition goes to members that subscribe to its topic, also if another one owns it."""
    owners = {TopicPartition("retry", 0): "old"}
    divided = divide({"retry": [0, 1]}, {"old": ["event"], "new": ["event", "retry"]}, owners)
    assert set(divided.values()) == {"new"}
