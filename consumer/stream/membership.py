"""The process's membership in the consumer group, and its share of the partitions."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.client import CLIENT_ID, REBALANCE_TIMEOUT_SECONDS
from consumer.stream.tasks import timeout

log = get_logger(__name__)

_CHECK_INTERVAL_SECONDS = 2.0
_DESCRIBE_TIMEOUT_SECONDS = 5.0


class Membership:
    """State of the membership. Intake reports rebalances; heartbeats are observed here."""

    def __init__(self, consumer: AIOKafkaConsumer, clock: Clock) -> None:
        """`consumer` need not be started yet."""
        self.stall_timeout = REBALANCE_TIMEOUT_SECONDS
        """Seconds that a rebalance may take, or the coordinator may be silent."""
        self._consumer = consumer
        self._clock = clock
        self._without_since: float | None = clock.monotonic()
        self._answered_at = clock.monotonic()
        self.confirmed_at = clock.monotonic()
        """Monotonic seconds at which the last successful heartbeat was sent."""
        self._member_id: str | None = None
        """The id under which this member has its share."""
        self._shares = 0
        self.joined = False
        """Whether the group has ever assigned this member a share, possibly empty."""

    def watch_heartbeats(self) -> None:
        """Record the start of each successful heartbeat. The consumer must be started."""
        coordinator = self._consumer._coordinator  # noqa: SLF001  # no public way
        coordinator._do_heartbeat = self._recorded(coordinator._do_heartbeat)  # noqa: SLF001

    def _recorded(self, beat: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        async def recorded() -> bool:
            began = self._clock.monotonic()
            is_member = await beat()
            if is_member:
                self.confirmed_at = began
                self._answered_at = self._clock.monotonic()
            return is_member

        return recorded

    def revoked(self) -> None:
        """Note that a rebalance has begun; the next share is awaited."""
        if self._without_since is None:
            self._without_since = self._clock.monotonic()

    def assigned(self) -> None:
        """Note that the group assigned a share to this member."""
        self.joined = True
        self._member_id = self._consumer._coordinator.member_id  # noqa: SLF001  # no public way
        self._shares += 1
        self._without_since = None
        self._answered_at = self._clock.monotonic()

    @property
    def is_expelled(self) -> bool:
        """Whether the group has removed the member that had the last share, or none had: others
        have it, and its commits are refused.
        """
        coordinator = self._consumer._coordinator  # noqa: SLF001  # no public way
        return bool(coordinator.generation < 0 or coordinator.member_id != self._member_id)

    def rejoin(self) -> None:
        """Begin a rebalance, in which others get what this member has given back."""
        self._consumer._coordinator.request_rejoin()  # noqa: SLF001  # no public way

    def seconds_without_share(self) -> float:
        """Seconds for which this member has had no valid share; 0.0 while it has one.

        After `stall_timeout` without an answer from the coordinator, the share may be another
        member's.
        """
        now = self._clock.monotonic()
        if self._without_since is not None:
            return now - self._without_since
        silent = now - self._answered_at
        return silent if silent > self.stall_timeout else 0.0

    def why_not_ready(self) -> str:
        """Why this member has had no share for longer than `stall_timeout`; else empty."""
        seconds = self.seconds_without_share()
        if seconds <= self.stall_timeout:
            return ""
        return f"without a share of the partitions for {seconds:.0f} s: {self._cause()}"

    def _cause(self) -> str:
        if self._without_since is None or self._coordinator_id() is None:
            return "the group's coordinator does not answer"
        return "a member of the group does not rejoin"

    def _coordinator_id(self) -> int | None:
        coordinator = self._consumer._coordinator  # noqa: SLF001  # no public way
        return coordinator.coordinator_id if coordinator is not None else None

    async def watch(self) -> None:
        """Log each wait that takes too long, and foreign members of the group, once each; until
        cancelled.
        """
        logged, foreign, shares = False, list[str](), 0
        while True:
            await asyncio.sleep(_CHECK_INTERVAL_SECONDS)
            waits = bool(self.why_not_ready())
            if waits and not logged:
                log.error(
                    "without a share of the partitions",
                    why=self._cause(),
                    seconds=round(self.seconds_without_share()),
                    members=[f"{client} {host}" for client, host in await self._members()],
                )
            logged = waits
            if shares != self._shares:
                shares, known = self._shares, foreign
                foreign = [f"{c} {host}" for c, host in await self._members() if c != CLIENT_ID]
                if foreign and foreign != known:
                    log.warning("other programs are members of the group", members=foreign)

    async def _members(self) -> list[tuple[str, str]]:
        """Client id and address of each group member; empty if the coordinator does not answer."""
        node, group = self._coordinator_id(), self._consumer._group_id  # noqa: SLF001
        if node is None:
            return []
        try:
            async with timeout(_DESCRIBE_TIMEOUT_SECONDS):
                answer = await self._consumer._client.send(node, DescribeGroupsRequest([group]))  # noqa: SLF001
        except (KafkaError, TimeoutError) as error:
            log.debug("the group's members are not known", error=repr(error))
            return []
        [(_error, _group, _state, _type, _protocol, members, *_)] = answer.groups
        return sorted((client, host) for _, client, host, *_ in members)
