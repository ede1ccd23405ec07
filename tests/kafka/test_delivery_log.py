"""The delivery log and the reports of a daemon in normal operation."""

from collections import Counter

from consumer.journal.records import Followed
from support.daemon import Daemon
from support.received import parse
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook
from support.written_log import read_log, read_reports, recounted, summed

EVERYTHING = {"failures": True, "successes": 1.0}


def _status(head: bytes) -> int:
    """The receiver fails for some events: by what their ids say."""
    if b"webhook-id: gone" in head:
        return 404
    return 503 if b"webhook-id: later" in head else 200


async def test_the_log_is_the_receivers_own_list(workspace: Workspace) -> None:
    """With everything logged, the delivery log has each request that the receiver got, with its
    answer and what followed; and the reports equal a recount of it.
    """
    await workspace.create_topics()
    answered: list[tuple[str, int]] = []

    def answer(head: bytes) -> Reply:
        status, name = _status(head), parse(head).webhook_id
        if (name, 503) in answered:
            status = 200
        answered.append((name, status))
        return response(status)

    async with Receiver(otherwise=answer) as receiver:
        workspace.write_settings(delivery_log=EVERYTHING)
        workspace.write_hooks(hook("a", receiver.origin), hook("b", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            names = [*(f"ok{n}" for n in range(50)), "gone1", "gone2", "later1", "later2"]
            await workspace.cluster.produce(workspace.topic("event"), map(event, names))
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.stop() == 0
            assert daemon.complaints == []
            assert not daemon.said("records of the delivery log were dropped")
    log = [record for _, record in await read_log(workspace)]
    assert Counter((r.delivery, r.status) for r in log) == Counter(answered)
    followed = {(r.delivery.partition(":")[0][:4], r.status, r.outcome) for r in log}
    assert {one for one in followed if one[0] in {"gone", "late"}} == {
        ("gone", 404, Followed.DEAD_LETTER),
        ("late", 503, Followed.RETRY),
        ("late", 200, Followed.DELIVERED),
    }
    assert summed(await read_reports(workspace)) == recounted(log)
