"""Events whose times cannot be true: of 1970, of the year 9999, in seconds, or none."""

import json

from support.daemon import Daemon
from support.raw_batches import Written, make_batch, write_batch
from support.received import parse
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

TIMES: dict[str, object] = {
    "none": None,
    "seconds": 1_732_442_400,
    "zero": 0,
    "year-1": "0001-01-01T00:00:00Z",
    "year-1970": "1970-01-01T00:00:01Z",
    "year-9999": "9999-12-31T23:59:59Z",
    "negative": -1,
    "far-milliseconds": 253_402_300_799_000,
    "no-time": "soon",
}
LATENCY = 'hookstream_delivery_latency_seconds_{}{{hook="a"}}'


async def test_a_time_that_cannot_be_true_counts_as_the_moment_of_receipt(
    workspace: Workspace,
) -> None:
    """An event whose time, or its record's, is before 2001 or far ahead counts in the latency as if
    it had occurred when it was received, and its receiver gets the time that the event has.
    """
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    # Else the broker would delete records of 1970 at once.
    await workspace.cluster.create([topic], partitions=1, configs={"retention.ms": "-1"})
    async with Receiver() as receiver:
        workspace.write_settings()
        said = {"key": "at", "source": "event", "value": "occurred_at"}
        workspace.write_hooks(hook("a", receiver.origin, parameters=[said]))
        for timestamp in (-1, 0):
            records = [_record(name, time) for name, time in TIMES.items()]
            batch = make_batch(*records, timestamps=[timestamp] * len(records))
            await write_batch(workspace.cluster, topic, bytes(batch))
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "all to be delivered")
            number = 2 * len(TIMES)
            assert len(receiver.requests) == number
            assert await daemon.sample(LATENCY.format("count")) == number
            assert await daemon.sample(LATENCY.format("sum")) < number * 30
            assert daemon.complaints == []
    targets = {parse(head).target for head in receiver.requests}
    assert "/h/a?at=1732442400" in targets
    assert "/h/a?at=0001-01-01T00%3A00%3A00Z" in targets


def _record(name: str, time: object) -> Written:
    document = {"id": name, "occurred_at": time, "data": {"event_key": "k"}}
    return None, json.dumps(document).encode(), []
