"""Records that were written to do harm cost only themselves."""

from support.cluster import Placed
from support.daemon import InProcess
from support.hostile import FIT, UNDECODABLE, UNFIT
from support.received import parse
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

_LARGE = 32 * 1024 * 1024
_ROOM = 1_000_000
"""Bytes: a little less than a dead-letter topic takes by default, headers included."""


async def test_hostile_records_harm_no_other_record(workspace: Workspace) -> None:
    """Hostile records become dead letters or well-formed requests, and hold back no other record.

    1. A topic that takes 32 MB a record holds every hostile one, between two good events. 2. Each
    that is no event is a dead letter: its bytes, or a reference to its source if they are too many
    for the dead-letter topic. 3. Those that no request can carry are rejected. 4. The others and
    the good events are delivered, each as one request. 5. The offsets advance.
    """
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.cluster.create(
        [topic], partitions=1, configs={"max.message.bytes": str(_LARGE)}
    )
    values = [event("first", x="1"), *UNDECODABLE.values(), *UNFIT.values(), *FIT.values()]
    async with Receiver() as receiver:
        workspace.write_settings()
        value = {"source": "event", "value": "data.x"}
        workspace.write_hooks(hook("a", receiver.origin, headers=[{"key": "X-A", **value}]))
        records = await workspace.cluster.produce(
            topic, [*values, event("last", x="1")], max_request_size=_LARGE
        )
        async with InProcess(workspace.config):
            await wait_until(workspace.caught_up, "everything to be settled")
    delivered = [parse(head) for head in receiver.requests]
    assert len(delivered) == len(FIT) + 2
    assert all(request.target == "/h/a" for request in delivered)
    dead_letters = {
        dead_letter.facts["hookstream-source"]: dead_letter
        for dead_letter in await workspace.dead_letters()
    }
    _, *records, _ = records
    refused, unfit = records[: len(UNDECODABLE)], records[len(UNDECODABLE) : -len(FIT)]
    assert dead_letters.keys() == {record.source for record in [*refused, *unfit]}
    for record in refused:
        _check(record, dead_letters[record.source], "undecodable")
    for record in unfit:
        _check(record, dead_letters[record.source], "rejected")


def _check(record: Placed, dead_letter: Placed, reason: str) -> None:
    assert record.value is not None
    if len(record.value) < _ROOM:
        assert dead_letter.facts["hookstream-reason"] == reason
        assert dead_letter.value == record.value
    else:
        assert dead_letter.facts["hookstream-reason"] == "too_large"
        assert dead_letter.value == b""
        size = f"too large to publish: {len(record.value)} bytes"
        assert dead_letter.facts["hookstream-detail"].startswith(size)
    assert sum(len(name) + len(value or b"") for name, value in dead_letter.headers) < 1_000
