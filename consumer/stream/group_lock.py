"""A lock that Kafka keeps: one holder at a time, of all processes of an installation."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AsyncExitStack
from typing import Any, Final, Self, TypeVar
from uuid import uuid4

from aiokafka.client import ConnectionGroup, CoordinationType
from aiokafka.errors import (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    InconsistentGroupProtocolError,
    KafkaError,
    MemberIdRequired,
    NotCoordinatorForGroupError,
    for_code,
)
from aiokafka.protocol.group import (
    HeartbeatRequest,
    JoinGroupRequest,
    LeaveGroupRequest,
    SyncGroupRequest,
)

from consumer.cancellation import end_tasks
from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options, kafka_timeout
from consumer.stream.cluster_client import ClusterClient

log = get_logger(__name__)

SESSION_SECONDS: Final = 10.0
"""Time without a heartbeat after which another process may have the lock."""
_HEARTBEAT_SECONDS: Final = 2.0
_ANSWER_TIMEOUT_SECONDS: Final = 30.0
_LEAVE_TIMEOUT_SECONDS: Final = 2.0
_PAUSE_SECONDS: Final = 0.2
_PROTOCOL_TYPE: Final = "hookstream-lock"
_MOVED: Final = (
    GroupCoordinatorNotAvailableError,
    GroupLoadInProgressError,
    NotCoordinatorForGroupError,
)


ResultT = TypeVar("ResultT")


class LockedError(HookstreamError):
    """Another process holds the lock."""


class LockLostError(HookstreamError):
    """The lock has ended before its holder gave it back."""

    def __init__(self) -> None:
        super().__init__(f"Kafka did not hear of this process for {SESSION_SECONDS:.0f} s")


class GroupLock:
    """The membership of a consumer group whose members have no protocol in common, so that the
    coordinator takes one of them only. If its process dies, it ends after `SESSION_SECONDS`.
    """

    def __init__(self, settings: KafkaSettings, group: str, clock: Clock) -> None:
        self._settings = settings
        self._group = group
        self._clock = clock
        self._protocol = uuid4().hex
        self._client = ClusterClient(**connection_options(settings))
        self._coordinator: Any = None
        self._member = ""
        self._generation = -1
        self._confirmed_at = float("-inf")
        """Monotonic seconds at which the last confirmed request was sent."""
        self._heartbeats: asyncio.Task[None] | None = None
        self._stack = AsyncExitStack()

    @property
    def is_held(self) -> bool:
        """Whether no other process can have the lock now."""
        return self._seconds_left() > 0

    async def while_held(self, work: Awaitable[ResultT]) -> ResultT:
        """The result of `work`, which is cancelled when the lock ends.

        Raises:
            LockLostError: the lock has ended, before or meanwhile.
        """
        task = asyncio.ensure_future(work)
        watched: list[asyncio.Future[Any]] = [task]
        if self._heartbeats is not None:
            watched.append(self._heartbeats)
        try:
            while self.is_held and not task.done():
                await asyncio.wait(
                    watched, timeout=self._seconds_left(), return_when=asyncio.FIRST_COMPLETED
                )
            if not self.is_held:
                raise LockLostError
            return await task
        finally:
            task.cancel()
            await asyncio.wait([task])
            if not task.cancelled():
                task.exception()  # of work that failed when the lock had ended

    def _seconds_left(self) -> float:
        return self._confirmed_at + SESSION_SECONDS - self._clock.monotonic()

    async def __aenter__(self) -> Self:
        """Take the lock.

        Raises:
            LockedError: another process has it.
            HookstreamError: the broker does not answer, or refuses.
        """
        self._stack.push_async_callback(self._client.close)
        self._stack.push_async_callback(self._leave)
        try:
            async with kafka_timeout(self._settings, _ANSWER_TIMEOUT_SECONDS):
                await self._client.bootstrap()
                await self._repeat(self._join)
        except BaseException:
            await self._stack.aclose()
            raise
        self._heartbeats = asyncio.create_task(self._beat())
        self._stack.push_async_callback(self._stop_beating, self._heartbeats)
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stack.aclose()

    async def _stop_beating(self, heartbeats: "asyncio.Task[None]") -> None:
        """Raises what the heartbeats failed with, if that is a bug."""
        await end_tasks([heartbeats])
        if not heartbeats.cancelled():
            heartbeats.result()

    async def _leave(self) -> None:
        """Give the lock back, also one whose grant was not heard of."""
        self._confirmed_at = float("-inf")
        if not self._member:
            return
        try:
            async with asyncio.timeout(_LEAVE_TIMEOUT_SECONDS):
                await self._ask(LeaveGroupRequest(self._group, self._member))
        except (KafkaError, TimeoutError) as error:
            log.debug("a lock was not given back: it ends by itself", error=repr(error))

    async def _join(self) -> None:
        began = self._clock.monotonic()
        session_ms = round(SESSION_SECONDS * 1000)
        request = JoinGroupRequest(
            self._group, session_ms, session_ms, self._member, None, _PROTOCOL_TYPE,
            [(self._protocol, b"")],
        )  # fmt: skip
        try:
            answer = await self._ask(request, allowed=MemberIdRequired)
        except InconsistentGroupProtocolError as error:
            self._member = ""
            raise LockedError(f"another process has the lock {self._group}") from error
        self._member = answer.member_id
        if for_code(answer.error_code) is MemberIdRequired:
            await self._join()
            return
        self._generation = answer.generation_id
        assignment = [(self._member, b"")]
        await self._ask(
            SyncGroupRequest(self._group, self._generation, self._member, None, assignment)
        )
        self._confirmed_at = began

    async def _beat(self) -> None:
        """Keep the lock until it is lost."""
        try:
            await self._beat_until_lost()
        finally:
            self._confirmed_at = float("-inf")

    async def _beat_until_lost(self) -> None:
        while True:
            await asyncio.sleep(_HEARTBEAT_SECONDS)
            began = self._clock.monotonic()
            request = HeartbeatRequest(self._group, self._generation, self._member)
            try:
                async with asyncio.timeout(SESSION_SECONDS):
                    await self._repeat(lambda: self._ask(request))  # noqa: B023  # awaited here
            except (KafkaError, HookstreamError, TimeoutError) as error:
                log.warning("a lock was lost", group=self._group, error=repr(error))
                return
            self._confirmed_at = began

    async def _repeat(self, ask: Callable[[], Awaitable[object]]) -> None:
        """Repeat `ask` while the coordinator moves; for use under a time limit."""
        while True:
            try:
                await ask()
            except KafkaError as error:
                if not (error.retriable or isinstance(error, _MOVED)):
                    raise
                log.debug("a lock is asked for again", error=repr(error))
            else:
                return
            await asyncio.sleep(_PAUSE_SECONDS)

    async def _ask(self, request: Any, allowed: type[KafkaError] | None = None) -> Any:
        """The coordinator's answer. Raises its error, unless it is the one that is allowed."""
        if self._coordinator is None:
            self._coordinator = await self._client.coordinator_lookup(
                CoordinationType.GROUP, self._group
            )
        try:
            answer = await self._client.send(
                self._coordinator, request, group=ConnectionGroup.COORDINATION
            )
        except KafkaError:
            self._coordinator = None
            raise
        error = for_code(answer.error_code)
        if answer.error_code and error is not allowed:
            if issubclass(error, _MOVED):
                self._coordinator = None
            raise error(self._group)
        return answer
