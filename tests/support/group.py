"""What tests do to a consumer group from outside."""

from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.coordinator.assignors.roundrobin import RoundRobinPartitionAssignor
from aiokafka.errors import GroupCoordinatorNotAvailableError
from aiokafka.protocol.group import JoinGroupRequest, LeaveGroupRequest

from support.cluster import Cluster
from support.waiting import wait_until

ABSENCE_MS = 290_000
"""Milliseconds for which a member that stays away is not missed."""


async def members(cluster: Cluster, group: str) -> list[str]:
    """The ids of the group's members, dead ones included until they are missed."""
    async with cluster.admin() as admin:
        [response] = await admin.describe_consumer_groups([group])
        [(_error, _group, _state, _type, _protocol, found, *_)] = response.groups
    return [member_id for member_id, *_ in found]


async def evict(cluster: Cluster, group: str) -> None:
    """Take every member out of the group, as its session time-out would after ten seconds."""
    async with cluster.admin() as admin:
        coordinator = await admin.find_coordinator(group)
        for member in await members(cluster, group):
            await admin._send_request(LeaveGroupRequest(group, member), coordinator)


async def state(cluster: Cluster, group: str) -> str:
    """The group's state as the broker calls it: `Stable`, `PreparingRebalance` and so on."""
    async with cluster.admin() as admin:
        [response] = await admin.describe_consumer_groups([group])
        [(_error, _group, state, *_)] = response.groups
    return str(state)


async def join_and_stay_away(cluster: Cluster, group: str, topic: str) -> None:
    """Make a member of the group that never comes to a rebalance: whoever joins afterwards waits
    for it, until it is evicted or some minutes have passed.
    """
    assignors = (RoundRobinPartitionAssignor, RangePartitionAssignor)
    protocols = [(assignor.name, assignor.metadata([topic]).encode()) for assignor in assignors]
    member = JoinGroupRequest.UNKNOWN_MEMBER_ID
    async with cluster.admin() as admin:

        async def joined() -> bool:
            nonlocal member
            request = JoinGroupRequest(
                group, ABSENCE_MS, ABSENCE_MS, member, "", "consumer", protocols
            )
            try:
                coordinator = await admin.find_coordinator(group)
            except GroupCoordinatorNotAvailableError:  # the broker has just begun
                return False
            response = await admin._send_request(request, coordinator)
            member = response.member_id  # KIP-394: the first answer may only give the id
            return bool(response.error_code == 0)

        await wait_until(joined, "another member to join")
