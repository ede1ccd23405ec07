"""The daemon ends when aiokafka's own tasks do: it would wait for ever, and look alive."""

import asyncio
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

from consumer.errors import HookstreamError
from support.daemon import InProcess
from support.receiver import Receiver
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, event, hook


def _fail(*_: object) -> NoReturn:
    raise RuntimeError("the handler is closed")


def _break_metadata(consumer: Any) -> None:
    """As a broker's restart did on uvloop: an error that aiokafka does not expect."""
    consumer._client._metadata_update = _fail
    consumer._client.force_metadata_update()


def _break_membership(consumer: Any) -> None:
    consumer._coordinator.ensure_active_group = _fail
    consumer._coordinator.request_rejoin()


def _break_fetching(consumer: Any) -> None:
    consumer._fetcher._get_actions_per_node = _fail
    consumer._fetcher._notify(consumer._fetcher._wait_consume_future)


@pytest.mark.parametrize(
    ("kill", "said"),
    [
        (_break_metadata, "md_synchronizer has ended (RuntimeError('the handler is closed'))"),
        (_break_membership, "coordination_routine has ended (KafkaError("),
        (_break_fetching, "fetch_requests_routine has ended (KafkaError("),
    ],
)
async def test_a_task_that_ends_ends_the_daemon(
    workspace: Workspace, kill: Callable[[Any], None], said: str
) -> None:
    """If one of aiokafka's tasks ends, the daemon ends with one sentence, and the next one goes on
    behind the delivered event.

    1. An event is delivered, then the task ends. 2. So does the daemon, with one sentence. 3. The
    next one goes on behind the event.
    """
    heard: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _loop, told: heard.append(told))
    await workspace.create_topics(partitions=1)
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        daemon = InProcess(workspace.config)
        running = asyncio.create_task(daemon.app.run())
        await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
        await wait_until(workspace.caught_up, "the event to be settled")
        kill(daemon.app._intake._consumer)
        with pytest.raises(HookstreamError) as caught:
            await asyncio.wait_for(running, PATIENCE)
        assert said in str(caught.value)
        assert "restart the daemon" in str(caught.value)
        async with InProcess(workspace.config):
            await workspace.cluster.produce(workspace.topic("event"), [event("e2")])
            await wait_until(workspace.caught_up, "the next event to be settled")
        assert len(receiver.requests) == 2
    assert heard == []
