"""Retry topics that the settings no longer name: what waits there is sent."""

from support.daemon import Daemon
from support.received import ids
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

LEFT_BEHIND = (
    "deliveries of this group wait below another topic prefix, and are not sent: run it "
    "once with that kafka.topic_prefix, unless another installation does"
)
DRAINED = "retry topics that the settings do not name are drained as well"


async def test_deliveries_of_a_delay_that_is_gone_are_sent_when_due(workspace: Workspace) -> None:
    """Deliveries in a retry topic that the settings no longer name are sent when due, and the log
    names the topic.
    """
    await workspace.create_topics()
    workspace.delays = ("4s",)
    [old] = workspace.retry_topics
    workspace.write_settings()
    names = [f"e{number}" for number in range(3)]
    async with Receiver(*[response(503)] * 3) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await receiver.until(requests=3)
            assert await daemon.stop() == 0
        workspace.delays = ("1s",)
        workspace.write_settings()
        waiting = await workspace.cluster.read(old)
        assert len(waiting) == 3
        async with Daemon(workspace.config) as daemon:
            [line] = daemon.said(DRAINED)
            assert line["topics"] == [old]
            await wait_until(lambda: len(receiver.requests) == 6, "all to be sent again")
            await wait_until(workspace.caught_up, "all to be settled")
            samples = await daemon.samples()
            assert sum(n for s, n in samples.items() if f'topic="{old}"' in s) == 0  # lag
            assert await daemon.stop() == 0
            assert daemon.complaints == []
    assert ids(receiver.requests) == {f"{name}:a": 2 for name in names}
    last = max(float(record.facts["hookstream-not-before"]) for record in waiting)
    times = [int(_timestamp(head)) for head in receiver.requests[3:]]
    assert max(times) >= int(last)


async def test_deliveries_below_a_former_prefix_are_named(workspace: Workspace) -> None:
    """Deliveries that wait below the `kafka.topic_prefix` of earlier settings are named in a
    warning at the start, with the prefix and their number.
    """
    await workspace.create_topics()
    workspace.delays = ("30s",)
    workspace.write_settings()
    former = workspace.topic_prefix
    [retry_topic] = workspace.retry_topics

    async def reads_own_topics() -> bool:
        return any(
            tp[0] == retry_topic for tp in await workspace.cluster.committed(workspace.group)
        )

    async with Receiver(*[response(503)] * 3) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(reads_own_topics, "a position in each own topic")
            await workspace.cluster.produce(workspace.topic("event"), map(event, "abc"))
            await receiver.until(requests=3)
            assert await daemon.stop() == 0
        workspace.topic_prefix = f"{former}-2"
        workspace.write_settings()
        try:
            async with Daemon(workspace.config) as daemon:
                lines = await wait_until(lambda: daemon.said(LEFT_BEHIND), "the warning")
                assert [(line["topic_prefix"], line["records"]) for line in lines] == [(former, 3)]
        finally:
            await workspace.remove_topics()
            workspace.topic_prefix = former


def _timestamp(head: bytes) -> bytes:
    return head.partition(b"webhook-timestamp: ")[2].partition(b"\r\n")[0]


async def test_a_retry_topic_of_newer_settings_is_drained_by_older_ones(
    workspace: Workspace,
) -> None:
    """A replica that runs while another one of the group, with other delays, makes a retry topic
    and goes away again sends what waits there, without a restart.
    """
    await workspace.create_topics()
    newer = workspace.folder / "newer.yaml"
    workspace.delays = ("3s",)
    [made] = workspace.retry_topics
    workspace.write_settings()
    workspace.config.rename(newer)
    workspace.delays = ("1s",)
    workspace.write_settings()
    names = [f"e{number}" for number in range(20)]
    async with Receiver(*[response(503)] * 20) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as older:
            async with Daemon(newer) as replica:
                await workspace.cluster.produce(workspace.topic("event"), map(event, names))
                await receiver.until(requests=20)

                async def deferred() -> bool:
                    return bool(await workspace.cluster.read(made))

                await wait_until(deferred, "a delivery in the new topic")
                assert await replica.stop() == 0
            workspace.delays = ("1s", "3s")
            await wait_until(workspace.caught_up, "all to be settled")
            assert [line["topics"] for line in older.said(DRAINED)] == [[made]]
            assert await older.stop() == 0
            assert older.complaints == []
    assert {f"{name}:a" for name in names} <= ids(receiver.requests).keys()
    assert await workspace.dead_letters() == []
