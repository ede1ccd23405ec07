"""Watches over tasks, aiokafka's and ours: without one of them the daemon would wait for ever."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from consumer.errors import HookstreamError


class StrayCancellationError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """A wait was cancelled, and the task that waited was not."""


@contextmanager
def raise_on_stray_cancel() -> Iterator[None]:
    """Let `CancelledError` pass only where this task was cancelled; else `StrayCancellationError`.

    Whoever waits for a future that aiokafka cancels gets the same error as one who is cancelled
    himself, and a task group takes either for an end in order.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise StrayCancellationError("a wait was cancelled by nobody here") from error


@asynccontextmanager
async def within(seconds: float) -> AsyncIterator[None]:
    """Wait for aiokafka so long; `TimeoutError` afterwards, and no stray cancellation at all."""
    async with asyncio.timeout(seconds):
        with raise_on_stray_cancel():
            yield


async def watch_tasks(consumer: AIOKafkaConsumer) -> None:
    """Wait, as a rule for ever, until a task that a started `consumer` lives by has ended, or any
    client of the process has found another cluster; then raise `HookstreamError`.

    They refresh the metadata, keep the membership in the group, and fetch. aiokafka starts each
    once, and looks at most of them no more: aio-libs/aiokafka#1038 ended the first.
    """
    client = consumer._client  # noqa: SLF001  # no public way to any of these
    identity = asyncio.ensure_future(client.identity.watch())
    tasks: set[asyncio.Task[None]] = {
        identity,
        client._sync_task,  # noqa: SLF001
        consumer._coordinator._coordination_task,  # noqa: SLF001
        consumer._fetcher._fetch_task,  # noqa: SLF001
    }
    try:
        ended, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        identity.cancel()
    raise HookstreamError("; ".join(dict.fromkeys(map(_describe_exit, ended))))


def drop_connections(consumer: AIOKafkaConsumer) -> None:
    """Close them, for a consumer whose `stop` took too long, or failed on a task that had ended."""
    for connection in list(consumer._client._conns.values()):  # noqa: SLF001
        connection.close()


def _describe_exit(task: asyncio.Task[None]) -> str:
    name = getattr(task.get_coro(), "__name__", task.get_name())
    error = None if task.cancelled() else task.exception()
    if isinstance(error, HookstreamError):
        return str(error)
    cause = "cancelled" if task.cancelled() else repr(error)
    return f"the Kafka client's task {name.lstrip('_')} has ended ({cause}): start the daemon again"
