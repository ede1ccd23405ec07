"""When the HTTP client has ended for good, so does the daemon: it could only fail deliveries."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from consumer.delivery.http.curl_engine import Engine
from consumer.errors import HookstreamError
from support.daemon import InProcess
from support.receiver import Receiver
from support.waiting import PATIENCE, wait_until
from support.workspace import Workspace, event, hook


@pytest.fixture
async def receiver(workspace: Workspace) -> AsyncIterator[Receiver]:
    """A hook's, with one event that waits."""
    asyncio.get_running_loop().set_exception_handler(lambda _loop, _context: None)  # it is told
    await workspace.create_topics(partitions=1)
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
        yield receiver


async def _ends(workspace: Workspace, daemon: InProcess) -> str:
    """What the daemon says when it ends by itself."""
    with pytest.raises(HookstreamError) as caught:
        await asyncio.wait_for(daemon.app.run(), PATIENCE)
    assert not await workspace.dead_letters()
    return str(caught.value)


async def test_a_client_that_cannot_be_built_again_ends_the_daemon(
    workspace: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP client that cannot be built again ends the daemon with one sentence, and no event is
    lost.

    1. The client breaks with a request under way, and no new one can be made. 2. One sentence. 3.
    The event is neither committed nor deferred: the next daemon sends it.
    """

    def fail(*_: object, **_options: object) -> None:
        raise OSError("no descriptors left")

    with monkeypatch.context() as broken:

        def react(engine: Engine) -> None:
            if engine.fail_unanswered():
                broken.setattr(Engine, "__init__", fail)
                raise RuntimeError("broken")

        broken.setattr(Engine, "handle_events", react)
        said = await _ends(workspace, InProcess(workspace.config))
    assert "no descriptors left" in said
    assert "start the daemon again" in said
    committed = await workspace.cluster.committed(workspace.group)
    assert set(committed.values()) <= {0}
    async with InProcess(workspace.config):
        await wait_until(workspace.caught_up, "the event to be settled")
    assert len(receiver.requests) == 1


async def test_a_client_that_breaks_idle_ends_the_daemon(
    workspace: Workspace, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An HTTP client that breaks while idle ends the daemon, and what was settled is committed.

    1. An event is delivered, then the client breaks. 2. The daemon ends, what was settled is
    committed, and nothing is sent again.
    """
    whole = Engine.handle_events

    def react(engine: Engine) -> None:
        if receiver.requests and not engine.fail_unanswered():
            raise RuntimeError("broken")
        whole(engine)

    monkeypatch.setattr(Engine, "handle_events", react)
    assert "broken" in await _ends(workspace, InProcess(workspace.config))
    assert await workspace.caught_up()
    assert len(receiver.requests) == 1
