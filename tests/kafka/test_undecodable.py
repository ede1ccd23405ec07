"""A record that is no event goes to the dead-letter topic unchanged and holds nothing up."""

from support.cluster import Placed
from support.daemon import InProcess
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

RUBBISH: tuple[bytes | None, ...] = (
    b"",
    b"   ",
    None,
    b"nope",
    b"{",
    b'{"id": "e1"',
    b'{"id": "e1"} and more',
    b"[]",
    b'[{"id": "e1"}]',
    b'"text"',
    b"null",
    b"true",
    b"17",
    b'{"id": NaN}',
    b'{"id": "\\ud800"}',
    b'{"id": "\xff\xfe"}',
    b'\xef\xbb\xbf{"id": "bom"}',
    '{"id": "ş"}'.encode("utf-16"),
    '{"id": "ş"}'.encode("iso8859-9"),
    b"\x00" * 40,
    bytes(range(256)),
    b"[" * 50_000,
    b'{"a":' * 5_000 + b"1" + b"}" * 5_000,
    b'{"id": {"no": "scalar"}}',
    b'{"id": ["x"]}',
    b'{"id": true}',
    b"{'id': 'single'}",
    b"\x1f\x8b\x08\x00gzip?",
)


async def test_rubbish_is_kept_byte_for_byte(workspace: Workspace) -> None:
    """Undecodable records are dead letters with their bytes, key, reason and source, and hold back
    no event.

    1. Undecodable records of every kind, with a key and headers' facts, stand between two good
    events. 2. Both are delivered. 3. Each undecodable record is a dead letter with its bytes, its
    key, the reason and its source, and with no header that it cannot have. 4. The metrics count
    them.
    """
    topic, key = workspace.topic("event"), b"key \xff"
    await workspace.create_topics(partitions=1)
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        values = [event("first"), *RUBBISH, event("last")]
        _, *records, _ = await workspace.cluster.produce(topic, values, key=key)
        async with InProcess(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "everything to be settled")
            counted = await daemon.samples()
    assert ids(receiver.requests) == {"first:a": 1, "last:a": 1}
    dead_letters = {
        dead_letter.facts["hookstream-source"]: dead_letter
        for dead_letter in await workspace.dead_letters()
    }
    assert dead_letters.keys() == {record.source for record in records}
    for record in records:
        _check(record, dead_letters[record.source])
    number = len(RUBBISH)
    events = 'hookstream_events_total{result="undecodable",trigger="event"}'
    assert counted[events] == number
    assert counted['hookstream_dead_letters_total{hook="",reason="undecodable"}'] == number


def _check(record: Placed, dead_letter: Placed) -> None:
    assert (dead_letter.key, dead_letter.value) == (record.key, record.value)
    facts = dead_letter.facts
    assert facts["hookstream-reason"] == "undecodable"
    assert facts["hookstream-trigger"] == "event"
    assert not facts.keys() & {
        "hookstream-delivery-id",
        "hookstream-hook",
        "hookstream-last-status",
        "hookstream-first-failed-at",
        "hookstream-not-before",
    }
