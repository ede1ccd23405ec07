"""Records that Kafka's brokers take and aiokafka does not read."""

import asyncio
from collections import Counter

from aiokafka.codec import zstd_encode

from consumer.stream.record_fields import header_name_bytes
from support.cluster import Placed
from support.command import Done, run_command
from support.daemon import Daemon
from support.dead_letters import metadata as make_metadata
from support.project import ROOT
from support.raw_batches import HEADER, make_batch, rename, seal, write_batch
from support.received import ids, parse
from support.receiver import Receiver, Reply, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

RAW = b"\xff\xfe"
"""As long as `hh`, whose place it takes."""
ZSTD = 4
"""A batch's codec, in its attributes."""
ODD = [("hh", b"1"), ("traceparent", b"00-1")]


async def test_a_header_name_that_is_not_utf_8_harms_no_record(workspace: Workspace) -> None:
    """A record whose header name is not UTF-8 is delivered like any other, as are the records
    before and behind it and in other partitions, also out of a retry topic, whose record keeps the
    name's bytes, and the process lives.
    """
    await workspace.create_topics(partitions=2)
    topic = workspace.topic("event")
    batch = make_batch(
        (b"k", event("before"), []), (b"k", event("odd"), ODD), (b"k", event("behind"), [])
    )
    await write_batch(workspace.cluster, topic, rename(batch, b"hh", RAW))
    other = make_batch((b"k", event("other"), []))
    await write_batch(workspace.cluster, topic, bytes(other), partition=1)
    seen = Counter[str]()

    def answer(head: bytes) -> Reply:
        delivery = parse(head).webhook_id
        seen[delivery] += 1
        return response(503 if seen[delivery] == 1 and delivery.startswith("odd") else 200)

    async with Receiver(otherwise=answer) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: _settled(workspace, daemon), "all to be settled")
            assert daemon.complaints == []
    assert seen == {"before:a": 1, "odd:a": 2, "behind:a": 1, "other:a": 1}
    [deferred] = await workspace.cluster.read(workspace.retry_topics[0])
    assert _bytes(deferred) == [(RAW, b"1"), (b"traceparent", b"00-1")]


async def test_a_record_without_structure_is_a_dead_letter_and_harms_no_other(
    workspace: Workspace,
) -> None:
    """A record without structure, of which a broker looks only at a part in a compressed batch, is
    a dead letter with its bytes, and the records before and behind it are delivered.
    """
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    batch = make_batch(
        (b"k", event("before"), []), (b"k", event("odd"), ODD[:1]), (b"k", event("hit"), [])
    )
    payload = bytes(batch[HEADER:]).replace(b"hh", b"h")  # so all behind it is a byte too early
    batch[HEADER:] = zstd_encode(payload)
    batch[22] |= ZSTD
    await write_batch(workspace.cluster, topic, seal(batch))
    await workspace.cluster.produce(topic, [event("behind")])
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await wait_until(lambda: _settled(workspace, daemon), "all to be settled")
            assert daemon.complaints == []
    assert ids(receiver.requests) == {"before:a": 1, "behind:a": 1}
    dead_letters = {
        dead_letter.facts["hookstream-source"]: dead_letter
        for dead_letter in await workspace.dead_letters()
    }
    assert dead_letters.keys() == {f"{topic}/0/1", f"{topic}/0/2"}
    for dead_letter in dead_letters.values():
        assert dead_letter.value is not None
        assert dead_letter.value in payload
        assert dead_letter.facts["hookstream-reason"] == "undecodable"
    odd, rest = dead_letters[f"{topic}/0/1"], dead_letters[f"{topic}/0/2"]
    assert "a malformed record" in odd.facts["hookstream-detail"]
    assert "the rest of a batch is malformed" in rest.facts["hookstream-detail"]
    assert event("odd") in (odd.value or b"")


def _bytes(record: Placed) -> list[tuple[bytes, bytes | None]]:
    """The headers that are not hookstream's."""
    pairs = [(header_name_bytes(name), value) for name, value in record.headers]
    return [(name, value) for name, value in pairs if not name.startswith(b"hookstream-")]


async def _settled(workspace: Workspace, daemon: Daemon) -> bool:
    assert daemon.returncode is None, daemon.lines[-3:]
    return await workspace.caught_up()


async def test_a_dead_letter_with_such_a_header_name_is_listed_and_replayed(
    workspace: Workspace,
) -> None:
    """Dead letters beside one whose header name is not UTF-8 are listed and replayed; it too, with
    the bytes of the name.
    """
    await workspace.create_topics(partitions=1)
    await workspace.create_own_topics()
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:1"))
    topic = workspace.topic("event")
    dead_letters = [
        (None, event(f"e{offset}"), [*make_metadata(offset, topic=topic).headers(), *more])
        for offset, more in enumerate([[], ODD, []])
    ]
    batch = rename(make_batch(*dead_letters), b"hh", RAW)
    await write_batch(workspace.cluster, workspace.dead_letter_topic, batch)
    listed = await asyncio.to_thread(_dead_letters, workspace, "list")
    assert listed.returncode == 0, listed.stderr
    for offset in range(3):
        assert f"{topic}/2/{offset}" in listed.stdout
    replayed = await asyncio.to_thread(_dead_letters, workspace, "replay", "--hook", "a", "--yes")
    assert replayed.returncode == 0, replayed.stderr
    assert replayed.stdout.splitlines()[-1] == "3 sent"
    sent = await workspace.cluster.read(workspace.retry_topics[0])
    assert sorted(map(_bytes, sent), key=len) == [[], [], [(RAW, b"1"), (b"traceparent", b"00-1")]]


def _dead_letters(workspace: Workspace, *words: str) -> Done:
    config = ("--config", str(workspace.config))
    return run_command("dead-letters", *words, *config, folder=ROOT)
