"""Topics that are deleted, and made again, under a running daemon."""

import asyncio
import signal
from collections.abc import AsyncIterator
from http import HTTPStatus

import pytest

from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.offsets import remake
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

REMADE = "a topic was deleted and recreated: it is read from its start"
MISSING = "a topic no longer exists"
BACK = "a topic exists again"


def _names(prefix: str, count: int) -> list[str]:
    return [f"{prefix}{number}" for number in range(count)]


@pytest.fixture
async def topic(workspace: Workspace) -> str:
    """The only source, with one partition."""
    name = workspace.topic("event")
    workspace.sources = {name: {"topic": name, "trigger": "event"}}
    await workspace.create_topics(partitions=1)
    return name


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """One that takes everything."""
    async with Receiver() as receiver:
        yield receiver


async def _all_committed(workspace: Workspace, topic: str, end: int) -> bool:
    return (await workspace.cluster.committed(workspace.group)).get((topic, 0)) == end


async def test_a_topic_made_again_under_the_daemon_loses_none_of_its_records(
    workspace: Workspace, topic: str, receiver: Receiver
) -> None:
    """A source topic that is deleted and made again while the daemon runs is read from its first
    record, a line says so, and its offsets are committed anew.
    """
    workspace.write_settings()
    workspace.write_hooks(hook("a", receiver.origin))
    async with Daemon(workspace.config) as daemon:
        await workspace.cluster.produce(topic, map(event, _names("old", 10)))
        await receiver.until(requests=10)
        await remake(workspace.cluster, topic)
        new = _names("new", 20)
        await workspace.cluster.produce(topic, map(event, new))
        await wait_until(lambda: ids_of("a", new) <= ids(receiver.requests).keys(), "all new ones")
        await wait_until(lambda: _all_committed(workspace, topic, 20), "the new commit")
        assert [line["topic"] for line in daemon.said(REMADE)] == [topic]
        assert daemon.complaints == []
        assert await daemon.stop() == 0


async def test_a_topic_made_again_while_the_daemon_is_held_loses_none_of_its_records(
    workspace: Workspace, topic: str
) -> None:
    """A source topic that is made again while the daemon is held for two seconds, with an old
    record under way, loses none of its new records, though they are more than the old ones; the
    old delivery ends later, changes no offset of the new topic and raises nothing.
    """
    async with (
        LedgerHarness(workspace, ["a"]) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            ledger.held = released = asyncio.Event()
            await workspace.cluster.produce(topic, map(event, _names("old", 10)))
            await receiver.until(requests=10)
            daemon.signal(signal.SIGSTOP)
            await remake(workspace.cluster, topic)
            ledger.held = None
            new = _names("new", 20)
            await workspace.cluster.produce(topic, map(event, new))
            await asyncio.sleep(2.0)  # the case: so long it is held
            daemon.signal(signal.SIGCONT)
            await wait_until(
                lambda: ids_of("a", new) <= ledger.answered.keys(), "all new ones to be delivered"
            )
            await wait_until(lambda: _all_committed(workspace, topic, 20), "the new commit")
            released.set()
            await wait_until(
                lambda: ids_of("a", _names("old", 10)) <= ledger.answered.keys(), "the old ones"
            )
            await wait_until(lambda: _all_committed(workspace, topic, 20), "the same commit")
            assert daemon.complaints == []
            assert await daemon.stop() == 0


async def test_an_old_delivery_of_a_topic_made_again_is_deferred_when_it_fails(
    workspace: Workspace, topic: str
) -> None:
    """An old delivery that fails after its topic was made again takes a retry topic, since no
    other member can read its record again, and is delivered.
    """

    def decide(delivery: str, attempt: int) -> int:
        fails = delivery.startswith("old") and attempt == 1
        return HTTPStatus.SERVICE_UNAVAILABLE if fails else HTTPStatus.OK

    async with (
        LedgerHarness(workspace, ["a"], decide) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            ledger.held = released = asyncio.Event()
            await workspace.cluster.produce(topic, map(event, ["old"]))
            await receiver.until(requests=1)
            await remake(workspace.cluster, topic)
            await workspace.cluster.produce(topic, map(event, _names("new", 3)))
            await wait_until(lambda: daemon.said(REMADE), "the daemon to notice")
            ledger.held = None
            released.set()
            await wait_until(
                lambda: ids_of("a", ["old", *_names("new", 3)]) <= ledger.answered.keys(),
                "all of them to be delivered",
            )
            await wait_until(workspace.caught_up, "all to be settled")
            assert daemon.complaints == []


async def test_a_retry_topic_made_again_loses_none_of_its_new_records(
    workspace: Workspace, topic: str
) -> None:
    """A retry topic that is deleted and made again is read from its first record, so that every
    delivery that is deferred to it afterwards is sent again.
    """
    failing = True

    def decide(_delivery: str, attempt: int) -> int:
        fails = failing and attempt == 1
        return HTTPStatus.SERVICE_UNAVAILABLE if fails else HTTPStatus.OK

    workspace.delays = workspace.delays[:1]
    async with (
        LedgerHarness(workspace, ["a"], decide) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(topic, map(event, _names("old", 10)))
            await wait_until(
                lambda: ids_of("a", _names("old", 10)) <= ledger.answered.keys(), "the old ones"
            )
            await wait_until(workspace.caught_up, "them to be settled")
            [retry] = workspace.retry_topics
            partitions = len(await workspace.cluster.ends([retry]))
            await remake(workspace.cluster, retry, partitions=partitions)
            await workspace.cluster.produce(topic, map(event, _names("new", 30)))
            await wait_until(
                lambda: ids_of("a", _names("new", 30)) <= ledger.answered.keys(), "the new ones"
            )
            await wait_until(workspace.caught_up, "them to be settled")
            assert [line["topic"] for line in daemon.said(REMADE)] == [retry]


async def test_a_topic_that_is_gone_for_good_is_told_and_others_go_on(
    workspace: Workspace, topic: str, receiver: Receiver
) -> None:
    """A source topic that is deleted and stays away is reported by a line and a metric, while the
    other sources go on.
    """
    other = workspace.topic("push-click")
    workspace.sources[other] = {"topic": other, "trigger": "push_click"}
    await workspace.cluster.create([other], partitions=1)
    workspace.write_settings()
    workspace.write_hooks(hook("a", receiver.origin, trigger="push_click"))
    async with Daemon(workspace.config) as daemon:
        await workspace.cluster.delete([topic])
        await wait_until(lambda: daemon.said(MISSING), "the loss to be told")
        [line] = daemon.said(MISSING)
        assert (line["level"], line["topic"]) == ("error", topic)
        assert await daemon.sample(f'hookstream_topic_missing{{topic="{topic}"}}') == 1
        assert await daemon.sample(f'hookstream_topic_missing{{topic="{other}"}}') == 0
        await workspace.cluster.produce(other, map(event, _names("e", 10)))
        await receiver.until(requests=10)
        await workspace.cluster.create([topic], partitions=1)
        await wait_until(lambda: daemon.said(BACK), "its return to be told")
        assert await daemon.sample(f'hookstream_topic_missing{{topic="{topic}"}}') == 0
        assert await daemon.ready()
