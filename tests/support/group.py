"""A consumer group as tests change it from outside."""

import asyncio
from contextlib import AsyncExitStack
from typing import Any, Self

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
    """Join the group as a member that never comes to a rebalance.

    Members that join afterwards wait for it, until it is evicted or some minutes have passed.
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


class ForeignMembers:
    """Members of a group that join once and say nothing more, for minutes; at the end of this
    context they leave.
    """

    def __init__(self, cluster: Cluster, group: str, topic: str) -> None:
        self._cluster = cluster
        self._group = group
        self._protocol = [("roundrobin", RoundRobinPartitionAssignor.metadata([topic]).encode())]
        self._stack = AsyncExitStack()
        self._joining: list[asyncio.Task[Any]] = []
        self._ids: list[str] = []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.leave()
        await asyncio.gather(*self._joining)
        await self._stack.aclose()

    async def join(self, kind: str = "consumer") -> None:
        """Begin to join as one more member."""
        admin = await self._stack.enter_async_context(self._cluster.admin())
        coordinator = await admin.find_coordinator(self._group)
        first = await admin._send_request(self._request("", kind), coordinator)
        self._ids.append(first.member_id)
        again = admin._send_request(self._request(first.member_id, kind), coordinator)
        self._joining.append(asyncio.create_task(again))

    async def joined(self) -> None:
        """Wait until all are members."""
        await asyncio.gather(*self._joining)

    async def leave(self) -> None:
        """Let all members go, which ends their rebalance."""
        async with self._cluster.admin() as admin:
            coordinator = await admin.find_coordinator(self._group)
            while self._ids:
                request = LeaveGroupRequest(self._group, self._ids.pop())
                await admin._send_request(request, coordinator)

    def _request(self, member: str, kind: str) -> JoinGroupRequest:
        return JoinGroupRequest(
            self._group, ABSENCE_MS, ABSENCE_MS, member, None, kind, self._protocol
        )
