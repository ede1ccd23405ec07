"""Whether the consumer group counts this process among its members, and gave it its share."""

import asyncio
from collections.abc import Awaitable, Callable

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError
from aiokafka.protocol.admin import DescribeGroupsRequest

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.stream.client import CLIENT_ID, REBALANCE_TIMEOUT
from consumer.stream.tasks import within

log = get_logger(__name__)

_LOOK_SECONDS = 2.0
_DESCRIBE_TIMEOUT = 5.0


class Membership:
    """Told of each rebalance by the intake; hears of the heartbeats itself."""

    def __init__(self, consumer: AIOKafkaConsumer, clock: Clock) -> None:
        """`consumer` need not be started yet."""
        self.stall_timeout = REBALANCE_TIMEOUT
        """Seconds that a rebalance may take, and that the coordinator may be silent."""
        self._consumer = consumer
        self._clock = clock
        self._without_since: float | None = clock.monotonic()
        self._answered_at = clock.monotonic()
        self.confirmed_at = clock.monotonic()
        """Monotonic seconds: the group took this process for a member when it was asked then."""
        self._shares = 0
        self.joined = False
        """Whether the group has ever given this member its share, be it empty."""

    def watch_heartbeats(self) -> None:
        """Note when each began that is answered with yes. For a consumer that has started."""
        coordinator = self._consumer._coordinator  # noqa: SLF001  # no public way
        coordinator._do_heartbeat = self._noted(coordinator._do_heartbeat)  # noqa: SLF001

    def _noted(self, beat: Callable[[], Awaitable[bool]]) -> Callable[[], Awaitable[bool]]:
        async def noted() -> bool:
            began = self._clock.monotonic()
            is_member = await beat()
            if is_member:
                self.confirmed_at = began
                self._answered_at = self._clock.monotonic()
            return is_member

        return noted

    def revoked(self) -> None:
        """The share is given back, and the next one is waited for."""
        if self._without_since is None:
            self._without_since = self._clock.monotonic()

    def assigned(self) -> None:
        """The group gave this member its share."""
        self.joined = True
        self._shares += 1
        self._without_since = None
        self._answered_at = self._clock.monotonic()

    @property
    def is_expelled(self) -> bool:
        """Whether the group has told that it knows this member no more: others have its share, and
        it can commit nothing.
        """
        return bool(self._consumer._coordinator.generation < 0)  # noqa: SLF001  # no public way

    def seconds_without_share(self) -> float:
        """For how long this member has had no share that the group stands by; 0.0 while it has one.

        A share whose coordinator has been silent for a while may be another member's by now.
        """
        now = self._clock.monotonic()
        if self._without_since is not None:
            return now - self._without_since
        silent = now - self._answered_at
        return silent if silent > self.stall_timeout else 0.0

    def why_not_ready(self) -> str:
        """What this member waits for, once that takes longer than a rebalance may; else empty."""
        seconds = self.seconds_without_share()
        if seconds <= self.stall_timeout:
            return ""
        return f"without a share of the partitions for {seconds:.0f} s: {self._cause()}"

    def _cause(self) -> str:
        if self._without_since is None or self._coordinator_id() is None:
            return "the group's coordinator does not answer"
        return "a member of the group does not join again"

    def _coordinator_id(self) -> int | None:
        coordinator = self._consumer._coordinator  # noqa: SLF001  # no public way
        return coordinator.coordinator_id if coordinator is not None else None

    async def watch(self) -> None:
        """Tell of each wait that takes too long, and of members that are other programs, once;
        until cancelled.
        """
        told, foreign, shares = False, list[str](), 0
        while True:
            await asyncio.sleep(_LOOK_SECONDS)
            waits = bool(self.why_not_ready())
            if waits and not told:
                log.error(
                    "without a share of the partitions",
                    why=self._cause(),
                    seconds=round(self.seconds_without_share()),
                    members=[f"{client} {host}" for client, host in await self._members()],
                )
            told = waits
            if shares != self._shares:
                shares, known = self._shares, foreign
                foreign = [f"{c} {host}" for c, host in await self._members() if c != CLIENT_ID]
                if foreign and foreign != known:
                    log.warning("other programs are members of the group", members=foreign)

    async def _members(self) -> list[tuple[str, str]]:
        """Client id and address of each member of the group, as far as its coordinator tells."""
        node, group = self._coordinator_id(), self._consumer._group_id  # noqa: SLF001
        if node is None:
            return []
        try:
            async with within(_DESCRIBE_TIMEOUT):
                answer = await self._consumer._client.send(node, DescribeGroupsRequest([group]))  # noqa: SLF001
        except (KafkaError, TimeoutError) as error:
            log.debug("the group's members are not known", error=repr(error))
            return []
        [(_error, _group, _state, _type, _protocol, members, *_)] = answer.groups
        return sorted((client, host) for _, client, host, *_ in members)
