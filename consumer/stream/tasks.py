"""Watches over aiokafka's own tasks: without one of them a consumer waits for ever."""

import asyncio

from aiokafka import AIOKafkaConsumer

from consumer.errors import HookstreamError


async def watch_tasks(consumer: AIOKafkaConsumer) -> None:
    """Wait, as a rule for ever, until a task that a started `consumer` lives by has ended; then
    raise `HookstreamError`.

    They refresh the metadata, keep the membership in the group, and fetch. aiokafka starts each
    once, and looks at most of them no more: aio-libs/aiokafka#1038 ended the first.
    """
    tasks: set[asyncio.Task[None]] = {
        consumer._client._sync_task,  # noqa: SLF001  # no public way to any of them
        consumer._coordinator._coordination_task,  # noqa: SLF001
        consumer._fetcher._fetch_task,  # noqa: SLF001
    }
    ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    raise HookstreamError("; ".join(map(_obituary, ended)))


def drop_connections(consumer: AIOKafkaConsumer) -> None:
    """Close them, for a consumer whose `stop` fails on a task that ended before."""
    for connection in list(consumer._client._conns.values()):  # noqa: SLF001
        connection.close()


def _obituary(task: asyncio.Task[None]) -> str:
    name = getattr(task.get_coro(), "__name__", task.get_name())
    cause = "cancelled" if task.cancelled() else repr(task.exception())
    return f"the Kafka client's task {name.lstrip('_')} has ended ({cause}): start the daemon again"
