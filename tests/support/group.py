"""What tests do to a consumer group from outside."""

from aiokafka.protocol.group import LeaveGroupRequest

from support.cluster import Cluster


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
