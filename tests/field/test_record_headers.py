"""What a record had when it came is there on all its ways: headers, key, value, time."""

import asyncio
from typing import Any

import pytest

from consumer.records.headers import original_headers
from consumer.records.record import Headers
from support.cluster import Placed
from support.command import run_command
from support.daemon import Daemon
from support.received import ids
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

HEADERS: Headers = [
    ("ce_type", b"a"),
    ("traceparent", b"00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"),
    ("ce_type", b"\xff\x00"),
    ("", b"no name"),
    ("no value", None),
    ("empty", b""),
    ("ad ş" * 100, b"long name"),
    ("hookstream-other", b"not ours"),
]
_YEAR_9999 = 253_402_300_799_999
"""Milliseconds."""
_LARGE = 8 * 1024 * 1024
TIMES = [-1, 0, _YEAR_9999]


async def _produce(
    workspace: Workspace,
    *values: bytes | None,
    key: bytes | None = None,
    headers: Headers = HEADERS,
    timestamp: int | None = None,
) -> list[Any]:
    """Write records as they are: in a batch, since aiokafka refuses some that Kafka takes."""
    topic = workspace.topic("event")
    async with workspace.cluster.producer(max_request_size=_LARGE) as producer:
        batch = producer.create_batch()
        for value in values:
            batch.append(key=key, value=value, timestamp=timestamp, headers=headers)
        return [await (await producer.send_batch(batch, topic, partition=0))]


async def _source_topic(workspace: Workspace, **configs: str) -> None:
    """One that takes any time, and keeps what is old already."""
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    any_time = {f"message.timestamp.{side}.max.ms": str(2**63 - 1) for side in ("before", "after")}
    configs = {"retention.ms": "-1", **any_time, **configs}
    await workspace.cluster.create([topic], partitions=1, configs=configs)


def _replay(workspace: Workspace) -> str:
    words = ("dead-letters", "replay", "--yes", "--config", str(workspace.config))
    return run_command(*words, folder=workspace.folder).stdout


async def test_headers_travel_to_the_dead_letter_and_back(workspace: Workspace) -> None:
    """All original headers of a delivery travel through both retry topics, the dead-letter topic
    and a replay, in their order, with duplicates, of any bytes and without values; those that
    hookstream adds are present once.
    """
    await _source_topic(workspace)
    workspace.write_settings(retry={"max_attempts": 3})
    async with Receiver(otherwise=lambda _head: response(503)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config):
            await _produce(workspace, event("e1"), key=b"\xff")
            await wait_until(workspace.dead_letters, "a dead letter")
            assert "1 sent" in await asyncio.to_thread(_replay, workspace)

            async def two() -> bool:
                return len(await workspace.dead_letters()) == 2

            await wait_until(two, "another dead letter")
    records = [
        r
        for retry_topic in workspace.retry_topics
        for r in await workspace.cluster.read(retry_topic)
    ]
    records += await workspace.dead_letters()
    assert len(records) == 7  # two retries, a dead letter, its replay, and the same again
    for record in records:
        assert (record.key, record.value) == (b"\xff", event("e1"))
        _check_headers(record, workspace)


def _check_headers(record: Placed, workspace: Workspace) -> None:
    assert list(original_headers(record.headers)) == HEADERS
    own = [name for name, _ in record.headers[: -len(HEADERS)]]
    assert len(own) == len(set(own))
    assert record.facts["hookstream-group"] == workspace.group


@pytest.mark.parametrize("key", [b"\x00\xff", b"", None])
async def test_what_is_no_event_travels_whole(workspace: Workspace, key: bytes | None) -> None:
    """Undecodable records, with no value too, keep value, key, headers and time in the dead letter;
    their replay to the source has key, value and headers.
    """
    values = [b"\xff", b"", None]
    await _source_topic(workspace)
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    async with Daemon(workspace.config) as daemon:
        for time in TIMES:
            await _produce(workspace, *values, key=key, timestamp=time)
        await wait_until(workspace.caught_up, "everything to be settled")
        dead_letters = sorted(await workspace.dead_letters(), key=_source_offset)
        assert "3 sent" in await asyncio.to_thread(_replay, workspace)  # those with a value
        await wait_until(workspace.caught_up, "the replays to be settled")
        assert daemon.complaints == []
    assert [dead_letter.value for dead_letter in dead_letters] == values * len(TIMES)
    times = [int(dead_letter.facts["hookstream-source-timestamp"]) for dead_letter in dead_letters]
    assert times == [time for time in TIMES for _ in values]
    for dead_letter in dead_letters:
        assert dead_letter.key == key
        _check_headers(dead_letter, workspace)
    replayed = (await workspace.cluster.read(workspace.topic("event")))[len(dead_letters) :]
    assert [(record.key, record.value) for record in replayed] == [(key, b"\xff")] * 3
    for record in replayed:
        assert list(original_headers(record.headers)) == HEADERS


def _source_offset(dead_letter: Placed) -> int:
    return int(dead_letter.facts["hookstream-source"].rpartition("/")[2])


@pytest.mark.parametrize("time", TIMES)
async def test_an_event_of_any_time_is_retried(workspace: Workspace, time: int) -> None:
    """A record without a time, or with one of the year 9999, is deferred and delivered like any
    other.
    """
    await _source_topic(workspace)
    workspace.write_settings()
    async with Receiver(response(503)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config):
            await _produce(workspace, event("e1"), timestamp=time)
            await wait_until(lambda: len(receiver.requests) == 2, "the second attempt")
            await wait_until(workspace.caught_up, "everything to be settled")
    assert await workspace.dead_letters() == []


async def test_headers_of_another_hookstream_are_only_headers(workspace: Workspace) -> None:
    """A source may be another installation's retry topic: its records are events like all others,
    and what their hookstream headers say of hook, group, attempts or time is not believed.
    """
    told = {
        "hookstream-group": b"another",
        "hookstream-hook": b"other",
        "hookstream-delivery-id": b"x:other",
        "hookstream-attempts": b"11",
        "hookstream-not-before": b"99999999999",
        "hookstream-source": b"other/0/0",
        "hookstream-source-timestamp": b"0",
        "hookstream-reason": b"503",
        "hookstream-unknown-since": b"0",
        "hookstream-replayed-from": b"other.dead-letter/0/0",
        "hookstream-replayed-at": b"1",
    }
    await _source_topic(workspace)
    workspace.write_settings()
    async with Receiver(response(503), response(404)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin), hook("other", receiver.origin, app="x"))
        async with Daemon(workspace.config):
            await _produce(workspace, event("e1"), headers=[*told.items(), *HEADERS])
            [dead_letter] = await wait_until(workspace.dead_letters, "a dead letter")
    assert ids(receiver.requests) == {"e1:a": 2}
    _check_headers(dead_letter, workspace)
    facts = dead_letter.facts
    assert facts["hookstream-attempts"] == "2"
    assert facts["hookstream-source"] == f"{workspace.topic('event')}/0/0"
    assert not facts.keys() & {"hookstream-replayed-from", "hookstream-unknown-since"}


@pytest.mark.parametrize("status", [503, 404], ids=["retry topic", "dead-letter topic"])
async def test_what_is_too_large_is_dead_lettered_without_its_value(
    workspace: Workspace, status: int
) -> None:
    """A record that is too large for its retry or dead-letter topic, with its headers, is a dead
    letter `too_large` without value, which names its source; and if its headers alone are too
    large, without these. Nothing else is held up.
    """
    await _source_topic(workspace, **{"max.message.bytes": str(_LARGE)})
    workspace.write_settings()
    huge = [("h", b"x" * 3_000_000)]
    async with Receiver(response(status), response(status)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _produce(workspace, event("e1", text="x" * 1_048_400))
            await _produce(workspace, event("e2"), headers=huge)
            await _produce(workspace, event("e3"))
            await wait_until(workspace.caught_up, "everything to be settled")
            first, second = sorted(await workspace.dead_letters(), key=_source_offset)
            samples = await daemon.samples()
            assert samples['hookstream_dead_letters_total{hook="a",reason="too_large"}'] == 2
    for dead_letter in (first, second):
        assert dead_letter.facts["hookstream-reason"] == "too_large"
        assert dead_letter.facts["hookstream-last-status"] == str(status)
        assert (dead_letter.key, dead_letter.value) == (None, b"")
    _check_headers(first, workspace)
    assert original_headers(second.headers) == []
    assert ids(receiver.requests)["e3:a"] == 1
