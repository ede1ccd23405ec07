"""The lock that Kafka keeps: one holder, until it gives the lock back or dies."""

import asyncio

import pytest

from consumer.clock import SystemClock
from consumer.stream.group_lock import SESSION_SECONDS, GroupLock, LockedError
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
