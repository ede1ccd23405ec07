"""The broker takes no dead letters: intake pauses, nothing is committed past, nothing is lost."""

from functools import partial

import pytest

from consumer import app
from consumer.stream import topic_watch
from consumer.stream.outbox import Outbox
from support.daemon import InProcess
from support.received import ids
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook


def _answer(head: bytes) -> Reply:
    return response(404 if b"webhook-id: bad" in head else 200)


async def test_nothing_passes_a_dead_letter_that_is_not_acknowledged(
    workspace: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No commit passes a dead letter that the broker has not acknowledged, and intake pauses
    meanwhile.

    1. A first dead letter is written. 2. The dead-letter topic is deleted. 3. A second dead letter
    is due: its failure is counted, the daemon is not ready, and the committed offset stays before
    it, whatever was delivered behind it. 4. Intake pauses: an event written now is not sent. 5. The
    topic is back: the dead letter is written, the event sent, all committed.
    """
    monkeypatch.setattr(app, "Outbox", partial(Outbox, send_timeout=1.0))
    # The daemon would make the topic again by itself.
    monkeypatch.setattr(topic_watch, "URGENT_CHECK_INTERVAL_SECONDS", 3_600.0)
    await workspace.create_topics(partitions=1)
    workspace.write_settings()
    cluster, topic = workspace.cluster, workspace.topic("event")
    dead_letter_topic = workspace.dead_letter_topic
    failures_of = f'hookstream_handover_failures_total{{topic="{dead_letter_topic}"}}'
    async with Receiver(otherwise=_answer) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config) as daemon:
            [first] = await cluster.produce(topic, [event("bad1")])
            await wait_until(workspace.caught_up, "the first dead letter")
            dead_letters = await workspace.dead_letters()
            assert [one.facts["hookstream-source"] for one in dead_letters] == [first.source]
            await cluster.delete([dead_letter_topic])

            [second, _] = await cluster.produce(topic, [event("bad2"), event("good1")])
            await wait_until(lambda: _unready(daemon), "the daemon to say that it is not ready")
            assert await daemon.sample(failures_of) >= 1
            await cluster.produce(topic, [event("good2")])
            failures = await daemon.sample(failures_of)

            async def more() -> bool:
                return await daemon.sample(failures_of) > failures

            await wait_until(more, "another failure")
            assert ids(receiver.requests) == {"bad1:a": 1, "bad2:a": 1, "good1:a": 1}
            committed = await cluster.committed(workspace.group)
            assert committed[topic, 0] == second.offset
            assert (await daemon.get("/healthz"))[0] == 200

            await cluster.create([dead_letter_topic], partitions=1)
            await wait_until(workspace.caught_up, "everything to be settled")
            await wait_until(daemon.ready, "the daemon to be ready again")
        assert ids(receiver.requests)["good2:a"] == 1
        sources = {one.facts["hookstream-source"] for one in await workspace.dead_letters()}
        assert second.source in sources


async def _unready(daemon: InProcess) -> bool:
    return not await daemon.ready()
