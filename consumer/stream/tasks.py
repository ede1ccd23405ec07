"""Monitors aiokafka's background tasks: without one of them the daemon would wait for ever. Leaves
a group whose broker does not answer.
"""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from aiokafka import AIOKafkaConsumer
from aiokafka.errors import KafkaError

from consumer.errors import HookstreamError
from consumer.logs import get_logger

log = get_logger(__name__)


class StrayCancellationError(KafkaError):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka cancelled a future that was awaited; the awaiting task was not cancelled."""


@contextmanager
def raise_on_stray_cancel() -> Iterator[None]:
    """Pass `CancelledError` on if this task was cancelled, else raise `StrayCancellationError`.

    A future that aiokafka cancels raises `CancelledError` in the task that awaits it, and a task
    group would take that for an orderly end.
    """
    try:
        yield
    except asyncio.CancelledError as error:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise StrayCancellationError("an awaited future was cancelled") from error


@asynccontextmanager
async def timeout(seconds: float) -> AsyncIterator[None]:
    """Raise `TimeoutError` after `seconds`, and `StrayCancellationError` as above."""
    async with asyncio.timeout(seconds):
        with raise_on_stray_cancel():
            yield


async def watch_tasks(consumer: AIOKafkaConsumer) -> None:
    """Wait, usually for ever, until a background task of a started `consumer` has ended, or any
    client of the process has found another cluster; then raise `HookstreamError`.

    The tasks refresh the metadata, keep the group membership, and fetch. aiokafka starts each once
    and does not monitor most of them: aio-libs/aiokafka#1038 ended the first.
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


async def leave_group(consumer: AIOKafkaConsumer, seconds: float) -> None:
    """Leave the group and close within `seconds`, even if the broker does not answer."""
    # In a separate task: while the broker is unreachable, aiokafka cancels its own fetch in
    # `stop` and lets that cancellation escape.
    leaving = asyncio.ensure_future(consumer.stop())
    _, late = await asyncio.wait({leaving}, timeout=seconds)
    if late:
        leaving.cancel()
        _drop_connections(consumer)
        log.warning("could not leave the group in time; its session will expire")
    elif not leaving.cancelled() and (error := leaving.exception()) is not None:
        log.warning("the Kafka client failed to close", error=repr(error))
        _drop_connections(consumer)


def _drop_connections(consumer: AIOKafkaConsumer) -> None:
    for connection in list(consumer._client._conns.values()):  # noqa: SLF001
        connection.close()


def _describe_exit(task: asyncio.Task[None]) -> str:
    name = getattr(task.get_coro(), "__name__", task.get_name())
    error = None if task.cancelled() else task.exception()
    if isinstance(error, HookstreamError):
        return str(error)
    cause = "cancelled" if task.cancelled() else repr(error)
    return f"the Kafka client's task {name.lstrip('_')} has ended ({cause}): restart the daemon"
