"""Where each partition is read from, reported whenever it is not its committed offset."""

import signal
import time
from datetime import UTC, datetime
from http import HTTPStatus

import pytest

from support.daemon import Daemon
from support.ledger_harness import LedgerHarness
from support.offsets import commit, delete_records
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

LOST = "records were lost: the position is outside the log"
BEGINS = "reading of a topic begins"
SENDS_OLD = "old events will be sent"
DAY = 86_400.0


def _names(count: int, first: int = 0) -> list[str]:
    return [f"e{number}" for number in range(first, first + count)]


def _lost_series(topic: str, partition: int = 0) -> str:
    return f'hookstream_offsets_lost_total{{partition="{partition}",topic="{topic}"}}'


async def _write(workspace: Workspace, names: list[str], *, age: float = 0.0) -> None:
    """Write these events to partition 0 of the `event` topic, `age` seconds old."""
    when = int((time.time() - age) * 1000)
    async with workspace.cluster.producer() as producer:
        for name in names:
            await producer.send(
                workspace.topic("event"), event(name), partition=0, timestamp_ms=when
            )


async def _committed(workspace: Workspace) -> dict[int, int]:
    """The group's offsets in the `event` topic."""
    offsets = await workspace.cluster.committed(workspace.group)
    topic = workspace.topic("event")
    return {partition: offset for (name, partition), offset in offsets.items() if name == topic}


@pytest.fixture
async def topic(workspace: Workspace) -> str:
    """The only source, with one partition; its settings are written by each test."""
    name = workspace.topic("event")
    workspace.sources = {name: {"topic": name, "trigger": "event"}}
    await workspace.create_topics(partitions=1)
    return name


async def test_a_committed_offset_before_the_log_is_reported_and_the_rest_is_delivered(
    workspace: Workspace, topic: str
) -> None:
    """A committed offset of 100 in a log that begins at 600 is an error line and a counter with
    topic, partition and the 500 that are lost, and the rest of the log is delivered.
    """
    names = _names(650)
    await _write(workspace, names)
    await commit(workspace.cluster, workspace.group, {(topic, 0): 100})
    await delete_records(workspace.cluster, {(topic, 0): 600})
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "what is left to be delivered")
            [line] = await wait_until(lambda: daemon.said(LOST), "the loss to be told")
            assert (line["level"], line["topic"], line["partition"]) == ("error", topic, 0)
            assert (line["lost"], line["position"], line["log_start"]) == (500, 100, 600)
            assert await daemon.sample(_lost_series(topic)) == 500
        assert set(ids(receiver.requests)) == ids_of("a", names[600:])


async def test_a_committed_offset_behind_the_log_is_reported_and_the_rest_is_delivered(
    workspace: Workspace, topic: str
) -> None:
    """A committed offset of 1,000 in a log that ends at 50 is an error line and a counter with
    topic, partition and number, and the 50 records that are left are delivered.
    """
    names = _names(50)
    await _write(workspace, names)
    await commit(workspace.cluster, workspace.group, {(topic, 0): 1_000})
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "what is left to be delivered")
            [line] = await wait_until(lambda: daemon.said(LOST), "the loss to be told")
            assert (line["level"], line["topic"], line["partition"]) == ("error", topic, 0)
            assert (line["lost"], line["position"], line["log_end"]) == (950, 1_000, 50)
            assert await daemon.sample(_lost_series(topic)) == 950
        assert set(ids(receiver.requests)) == ids_of("a", names)


async def test_records_that_are_deleted_under_a_daemon_that_cannot_read_them_are_told(
    workspace: Workspace, topic: str
) -> None:
    """Records of a source that retention deletes while intake is full are an error line and a
    counter, the remaining ones are delivered, and other partitions are not affected.
    """
    names = _names(2_000)
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _write(workspace, names[:1])
            await receiver.until(requests=1)
            daemon.signal(signal.SIGSTOP)
            await _write(workspace, names[1:])
            await delete_records(workspace.cluster, {(topic, 0): 1_990})
            daemon.signal(signal.SIGCONT)
            await wait_until(lambda: _committed_at(workspace, len(names)), "the rest")
            assert sum(line["lost"] for line in daemon.said(LOST)) > 0
            lost = await daemon.sample(_lost_series(topic))
            assert lost == sum(line["lost"] for line in daemon.said(LOST))
            attempts = set(ids(receiver.requests))
            assert ids_of("a", names[1_990:]) <= attempts
            assert len(attempts) + lost == len(names)


async def _committed_at(workspace: Workspace, offset: int) -> bool:
    return (await _committed(workspace)).get(0) == offset


@pytest.mark.usefixtures("topic")
async def test_a_retry_topic_that_loses_its_records_while_it_waits_is_told(
    workspace: Workspace,
) -> None:
    """Deferred deliveries that are deleted before they are due are an error line and a counter of
    the retry topic; one that was read before is sent, and so are later ones.
    """
    workspace.delays = ("3001ms",)
    async with (
        LedgerHarness(workspace, ["a"], _fails_once) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        workspace.write_settings(retry={"delays": ["3001ms"]})
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            retry = (workspace.retry_topics[0], 0)

            async def deferred(count: int) -> bool:
                return (await workspace.cluster.ends([retry[0]]))[retry] == count

            await _write(workspace, ["e0"])
            await wait_until(lambda: deferred(1), "the first one to be deferred")
            await _write(workspace, ["e1"])
            await wait_until(lambda: deferred(2), "the second one to be deferred")
            await delete_records(workspace.cluster, {retry: 2})
            await _write(workspace, ["e2"])
            await wait_until(lambda: daemon.said(LOST), "the loss to be told")
            [line] = daemon.said(LOST)
            lost = await daemon.sample(_lost_series(*retry))
            assert (line["level"], line["topic"], line["lost"]) == ("error", retry[0], lost)
            await wait_until(workspace.caught_up, "all to be committed")
            assert "e2:a" in ledger.answered
            assert len(ledger.answered) + lost == 3


def _fails_once(_delivery: str, attempt: int) -> int:
    return HTTPStatus.SERVICE_UNAVAILABLE if attempt == 1 else HTTPStatus.OK


async def test_every_assigned_partition_has_a_committed_offset_within_seconds(
    workspace: Workspace,
) -> None:
    """Every assigned partition has a committed offset within seconds, even if nothing was received
    from it, so that other tools see no lag.
    """
    await workspace.create_topics(partitions=3)
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _write(workspace, ["e0"])

            async def all_committed() -> bool:
                committed = await workspace.cluster.committed(workspace.group)
                return committed == await workspace.cluster.ends(
                    [*workspace.sources, *workspace.own_topics[:-1]]
                )

            await wait_until(all_committed, "every partition's end to be committed", patience=10)
            assert daemon.complaints == []


async def test_a_committed_offset_below_the_logs_start_moves_up(
    workspace: Workspace, topic: str
) -> None:
    """A commit of 500 in a log that was deleted up to 1,000 moves up to 1,000 within seconds,
    though nothing is left to be received.
    """
    await _write(workspace, _names(1_000))
    await commit(workspace.cluster, workspace.group, {(topic, 0): 500})
    await delete_records(workspace.cluster, {(topic, 0): 1_000})
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(
                lambda: _committed_at(workspace, 1_000), "the commit to move", patience=10
            )
            assert await daemon.sample(_lost_series(topic)) == 500
        assert receiver.requests == []


async def test_a_group_without_an_offset_says_how_many_old_events_it_will_send(
    workspace: Workspace, topic: str
) -> None:
    """A group that begins without an offset says in one warning how many events of which topic it
    will send that are older than an hour, and how the beginning can be set; a second start says
    nothing.
    """
    old, new = _names(30), _names(20, 30)
    await _write(workspace, old, age=3 * DAY)
    await _write(workspace, new)
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "all to be delivered")
            [line] = await wait_until(lambda: daemon.said(SENDS_OLD), "the old events to be told")
            assert (line["level"], line["topic"]) == ("warning", topic)
            assert (line["events"], line["older_than_an_hour"]) == (50, 30)
            assert "sources[].start" in line["hint"]
            assert daemon.said(BEGINS) == []
        assert set(ids(receiver.requests)) == ids_of("a", old + new)
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: daemon.said("partitions assigned"), "the assignment")
            await _write(workspace, ["last"])
            await wait_until(workspace.caught_up, "the last one to be delivered")
            assert [*daemon.said(SENDS_OLD), *daemon.said(BEGINS)] == []


async def test_a_source_may_begin_at_its_end(workspace: Workspace, topic: str) -> None:
    """With `start: latest` a new group sends nothing of what was there, says so, and loses nothing
    that comes afterwards, also while it restarts.
    """
    await _write(workspace, _names(30), age=3 * DAY)
    workspace.sources[topic]["start"] = "latest"
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: _committed_at(workspace, 30), "the end to be committed")
            [line] = await wait_until(lambda: daemon.said(BEGINS), "the beginning to be told")
            assert (line["topic"], line["events"], line["start"]) == (topic, 0, "latest")
        await _write(workspace, ["between"])
        async with Daemon(workspace.config):
            await wait_until(workspace.caught_up, "the event between two runs")
        assert set(ids(receiver.requests)) == ids_of("a", ["between"])


async def test_a_source_may_begin_at_a_time(workspace: Workspace, topic: str) -> None:
    """With `start` an RFC 3339 time a new group begins at the first event of that time."""
    older, newer = _names(30), _names(20, 30)
    await _write(workspace, older, age=3 * DAY)
    await _write(workspace, newer, age=1 * DAY)
    start = datetime.fromtimestamp(time.time() - 2 * DAY, UTC).isoformat()
    workspace.sources[topic]["start"] = start
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "all to be delivered")
            [line] = await wait_until(lambda: daemon.said(SENDS_OLD), "the old events to be told")
            assert (line["events"], line["older_than_an_hour"]) == (20, 20)
        assert set(ids(receiver.requests)) == ids_of("a", newer)


async def test_partitions_that_are_added_are_read_from_their_start(
    workspace: Workspace, topic: str
) -> None:
    """A partition that is added while the daemon runs is read from its first record, even with
    `start: latest`.
    """
    workspace.sources[topic]["start"] = "latest"
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config):
            await wait_until(lambda: _committed_at(workspace, 0), "the beginning")
            await workspace.cluster.add_partitions(topic, 2)
            async with workspace.cluster.producer() as producer:
                await producer.send_and_wait(topic, event("added"), partition=1)
            await receiver.until(requests=1)
        assert set(ids(receiver.requests)) == ids_of("a", ["added"])
