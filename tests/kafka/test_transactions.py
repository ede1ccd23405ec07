"""Topics written by transactions: what was aborted never happened, and its gaps hold nothing up."""

from collections.abc import Sequence

from support.daemon import InProcess
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of


async def _transact(workspace: Workspace, names: Sequence[str], *, commit: bool) -> None:
    """Write one transaction of events, and a marker behind it."""
    topic = workspace.topic("event")
    async with workspace.cluster.producer(
        transactional_id=f"{workspace.prefix}-writer"
    ) as producer:
        await producer.begin_transaction()
        for name in names:
            await producer.send_and_wait(topic, event(name))
        await (producer.commit_transaction() if commit else producer.abort_transaction())


async def test_aborted_events_are_not_sent_and_commits_reach_the_end(workspace: Workspace) -> None:
    """Events of aborted transactions are not sent, and commits reach the end of the log behind
    their markers.

    1. Committed and aborted transactions stand in one partition; the last record of the log is the
    marker of an aborted one. 2. Only committed events are sent, each once. 3. The committed offset
    reaches the end, behind the last marker. 4. A restart sends nothing again.
    """
    await workspace.create_topics(partitions=1)
    await _transact(workspace, ["a1", "a2"], commit=True)
    await _transact(workspace, ["b1", "b2"], commit=False)
    await _transact(workspace, ["c1"], commit=True)
    await _transact(workspace, ["d1", "d2"], commit=False)
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "the offset to reach the end")

            async def no_lag() -> bool:
                numbers = await daemon.samples()
                lags = [lag for series, lag in numbers.items() if "consumer_lag" in series]
                return bool(lags) and not any(lags)

            await wait_until(no_lag, "no lag to be shown")
        async with InProcess(workspace.config):
            await _transact(workspace, ["e1"], commit=True)
            await wait_until(workspace.caught_up, "the offset to reach the end again")
        assert ids(receiver.requests) == dict.fromkeys(ids_of("a", ["a1", "a2", "c1", "e1"]), 1)


async def test_an_open_transaction_is_not_read(workspace: Workspace) -> None:
    """Records of a transaction that is not decided are not sent before it is."""
    await workspace.create_topics(partitions=1)
    workspace.write_settings()
    topic, cluster = workspace.topic("event"), workspace.cluster
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config):
            [before] = await cluster.produce(topic, [event("before")])
            async with cluster.producer(transactional_id=f"{workspace.prefix}-open") as producer:
                await producer.begin_transaction()
                await producer.send_and_wait(topic, event("open"))
                await receiver.until(requests=1)

                async def first_settled() -> bool:
                    committed = await cluster.committed(workspace.group)
                    return committed.get((topic, 0)) == before.offset + 1

                await wait_until(first_settled, "the first to be settled")
                assert ids(receiver.requests) == {"before:a": 1}
                await producer.commit_transaction()
            await wait_until(workspace.caught_up, "the transaction to be settled")
        assert ids(receiver.requests) == {"before:a": 1, "open:a": 1}
