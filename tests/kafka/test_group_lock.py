"""The lock that Kafka keeps: one holder, until it gives the lock back or dies."""

import asyncio
from typing import Any

import pytest
from aiokafka.protocol.group import HeartbeatRequest, SyncGroupRequest

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.stream.group_lock import SESSION_SECONDS, GroupLock, LockedError, LockLostError
from support.cluster import Cluster
from support.definition_topics import kafka_settings
from support.fakes import FakeClock
from support.waiting import wait_until


async def test_one_process_at_a_time_has_the_lock(cluster: Cluster, topic_prefix: str) -> None:
    """Of processes that ask for a lock at once one has it, and the others are refused at once;
    when it is given back the next one has it.
    """
    settings = kafka_settings(cluster.bootstrap, topic_prefix)
    release, refused, held = asyncio.Event(), list[str](), list[bool]()

    async def take() -> None:
        try:
            async with GroupLock(settings, f"{topic_prefix}.lock", SystemClock()) as lock:
                held.append(lock.is_held)
                await release.wait()
                held.append(lock.is_held)
            held.append(lock.is_held)
        except LockedError as error:
            refused.append(str(error))

    tasks = [asyncio.create_task(take()) for _ in range(4)]
    await wait_until(lambda: held and len(refused) == 3, "one holder")
    assert f"{topic_prefix}.lock" in refused[0]
    release.set()
    await asyncio.gather(*tasks)
    assert held == [True, True, False]
    async with GroupLock(settings, f"{topic_prefix}.lock", SystemClock()) as lock:
        assert lock.is_held


async def test_the_lock_of_a_dead_process_ends(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A holder that is not heard of takes the lock for lost after the session's time, and then
    another process has it.
    """
    monkeypatch.setattr("consumer.stream.group_lock._HEARTBEAT_SECONDS", 3600.0)
    settings, clock = kafka_settings(cluster.bootstrap, topic_prefix), FakeClock()
    name = f"{topic_prefix}.lock"
    async with GroupLock(settings, name, clock) as silent:
        clock.advance(SESSION_SECONDS - 0.1)
        assert silent.is_held
        clock.advance(0.1)
        assert not silent.is_held

        async def is_free() -> bool:
            try:
                async with GroupLock(settings, name, SystemClock()) as lock:
                    return lock.is_held
            except LockedError:
                return False

        await wait_until(is_free, "the lock to be free")


async def test_a_lock_is_kept_by_heartbeats(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While the coordinator answers the holder's heartbeats it has the lock."""
    monkeypatch.setattr("consumer.stream.group_lock._HEARTBEAT_SECONDS", 0.05)
    settings, clock = kafka_settings(cluster.bootstrap, topic_prefix), FakeClock()
    async with GroupLock(settings, f"{topic_prefix}.lock", clock) as lock:
        for _ in range(3):
            clock.advance(SESSION_SECONDS)
            await wait_until(lambda: lock.is_held, "a heartbeat")


async def test_work_ends_with_the_lock(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Work under a lock gives its result while the lock is held, ends when the lock ends, and does
    not begin afterwards.
    """
    monkeypatch.setattr("consumer.stream.group_lock._HEARTBEAT_SECONDS", 3600.0)
    settings, clock, ended = (
        kafka_settings(cluster.bootstrap, topic_prefix),
        FakeClock(),
        list[str](),
    )

    async def work(name: str, begun: asyncio.Event, go_on: asyncio.Event) -> str:
        begun.set()
        try:
            await go_on.wait()
            return name
        finally:
            ended.append(name)

    done, hangs, begun = asyncio.Event(), asyncio.Event(), asyncio.Event()
    done.set()
    async with GroupLock(settings, f"{topic_prefix}.lock", clock) as lock:
        assert await lock.while_held(work("first", asyncio.Event(), done)) == "first"
        clock.advance(SESSION_SECONDS - 0.05)
        second = asyncio.create_task(lock.while_held(work("second", begun, hangs)))
        await begun.wait()
        clock.advance(0.05)
        with pytest.raises(LockLostError, match="did not hear of this process"):
            await second
        never = asyncio.Event()
        with pytest.raises(LockLostError):
            await lock.while_held(work("third", never, done))
    assert ended == ["first", "second"]
    assert not never.is_set()


@pytest.mark.parametrize("kind", [HeartbeatRequest, SyncGroupRequest])
async def test_a_failed_holder_gives_the_lock_back(
    cluster: Cluster, topic_prefix: str, monkeypatch: pytest.MonkeyPatch, kind: type[Any]
) -> None:
    """A lock whose heartbeats fail with a bug, or that was granted without an answer, is given
    back, so that another process has it at once.
    """
    monkeypatch.setattr("consumer.stream.group_lock._HEARTBEAT_SECONDS", 0.01)
    settings, name = kafka_settings(cluster.bootstrap, topic_prefix), f"{topic_prefix}.lock"
    asked, error = GroupLock._ask, ValueError if kind is HeartbeatRequest else TimeoutError

    async def ask(lock: GroupLock, request: Any, **options: Any) -> Any:
        if isinstance(request, kind):
            raise error
        return await asked(lock, request, **options)

    lock = GroupLock(settings, name, SystemClock())

    async def hold() -> None:
        async with lock:
            await wait_until(lambda: not lock.is_held, "the lock to be lost")

    with monkeypatch.context() as broken:
        broken.setattr(GroupLock, "_ask", ask)
        with pytest.raises((ValueError, HookstreamError)):
            await hold()
    async with GroupLock(settings, name, SystemClock()) as another:
        assert another.is_held
    assert not any(connection.connected() for connection in lock._client._conns.values())
