"""Writers of live definitions that race, die, and lose their broker."""

import asyncio
import os
import random
import signal
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from itertools import pairwise

import pytest

from consumer.clock import SystemClock
from consumer.control.changes import ConflictError, NotWrittenError, WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.records import AuditRecord, HookRecord
from consumer.control.writer import HookWriter
from consumer.settings import OwnTopics
from consumer.stream.table_reader import TableReader
from consumer.stream.transactions import OutgoingTableRecord, Transactions
from support.broker import KafkaServer
from support.cluster import Cluster
from support.definition_topics import (
    QUICKLY_COMPACTED,
    audits,
    committed,
    create_live_topics,
    definition,
    in_force,
    kafka_settings,
    replay,
)
from support.killed_writer import STEPS, killed_writer
from support.waiting import wait_until
from support.workspace import Workspace

RACE_SECONDS = float(os.environ.get("HOOKSTREAM_TEST_RACE_SECONDS", "10"))
HOOKS = [f"hook-{number}" for number in range(20)]
WRITERS = ("ayse", "bora", "can")
PROMPT = 10.0
"""Seconds in which a dead writer's successor has written, on a busy machine."""


@dataclass
class Tally:
    """What the writers were told."""

    written: dict[str, list[HookRecord]] = field(default_factory=dict)
    """By the comment of the write, which is its own: the new revisions."""
    conflicts: int = 0
    gave_up: int = 0
    seconds: list[float] = field(default_factory=list)
    """How long each write took that was made."""


@asynccontextmanager
async def _writer(cluster: Cluster, prefix: str) -> AsyncIterator[HookWriter]:
    writer = HookWriter(kafka_settings(cluster.bootstrap, prefix), SystemClock())
    try:
        yield writer
    finally:
        await writer.close()


@asynccontextmanager
async def _replica(cluster: Cluster, own: OwnTopics) -> AsyncIterator[LiveTable]:
    """A table that follows the topic."""
    table = LiveTable()
    settings = kafka_settings(cluster.bootstrap, own.prefix)
    reader = TableReader(settings, own.hooks, table.take, table.clear, SystemClock())
    await reader.open()
    await reader.read_to_end()
    following = asyncio.ensure_future(reader.follow())
    try:
        yield table
    finally:
        following.cancel()
        await asyncio.gather(following, return_exceptions=True)
        await reader.close()


def _changes(table: LiveTable, chance: random.Random, name: str) -> list[WantedChange]:
    """A few changes, by somebody who has seen the table."""
    hooks = chance.sample(HOOKS, chance.randint(1, 4))
    wanted = [None if chance.random() < 0.2 else definition(hook, name=name) for hook in hooks]
    return [
        WantedChange(hook, one, table.revision(hook))
        for hook, one in zip(hooks, wanted, strict=True)
    ]


async def _race(writer: HookWriter, by: str, tally: Tally, end: float) -> None:
    chance, number = random.Random(by), 0  # noqa: S311  # repeatable
    while time.monotonic() < end:
        number += 1
        comment = f"{by} {number}"
        changes = _changes(await writer.read(), chance, comment)
        started = time.monotonic()
        try:
            records = await writer.write(changes, by=by, comment=comment)
        except ConflictError:
            tally.conflicts += 1
            continue
        except NotWrittenError:
            tally.gave_up += 1
            continue
        tally.seconds.append(time.monotonic() - started)
        if new := [record for record in records if record.comment == comment]:
            tally.written[comment] = new


def _check_history(told: Sequence[AuditRecord]) -> None:
    """Each hook's revisions come once each, in order, and each begins where the last one ended."""
    by_hook: defaultdict[str, list[AuditRecord]] = defaultdict(list)
    for audit in told:
        by_hook[audit.hook].append(audit)
    for history in by_hook.values():
        assert [audit.revision for audit in history] == list(range(1, len(history) + 1))
        for earlier, later in pairwise(history):
            assert later.before == earlier.after


def _last(told: Sequence[AuditRecord]) -> dict[str, object]:
    """The table by the audit alone."""
    last = {audit.hook: (audit.revision, audit.after) for audit in told}
    return {hook: one for hook, one in last.items() if one[1] is not None}


@pytest.mark.timeout(RACE_SECONDS + 120)
async def test_three_writers_race(server: KafkaServer, topic_prefix: str) -> None:
    """Three writers that race over twenty hooks lose no change and make none in half, and all
    replicas hold the table of a naive replay, while the topic is compacted.

    1. Three writers change, create and delete, each by what it has seen. 2. The audit has each
    revision once, and exactly the changes that writers were told of. 3. Two replicas that were
    there, and one that starts late, hold the table that a plain consumer finds.
    """
    cluster = Cluster(server.bootstrap)
    own = await create_live_topics(cluster, topic_prefix, QUICKLY_COMPACTED)
    tally = Tally()
    async with (
        _replica(cluster, own) as one,
        _replica(cluster, own) as two,
        _writer(cluster, topic_prefix) as a,
        _writer(cluster, topic_prefix) as b,
        _writer(cluster, topic_prefix) as c,
    ):
        end = time.monotonic() + RACE_SECONDS
        await asyncio.gather(
            *(_race(w, by, tally, end) for w, by in zip((a, b, c), WRITERS, strict=True))
        )
        told = audits(await committed(cluster, own.hooks_audit))
        expected = _last(told)
        await wait_until(lambda: in_force(one.records) == expected, "the first replica")
        await wait_until(lambda: in_force(two.records) == expected, "the second replica")
        async with _replica(cluster, own) as late:
            assert in_force(late.records) == expected
    records = await committed(cluster, own.hooks)
    assert replay(records) == expected
    assert len(records) < len(told), "the topic was not compacted"
    _check_history(told)
    made: defaultdict[str, set[tuple[str, int]]] = defaultdict(set)
    for audit in told:
        made[audit.comment].add((audit.hook, audit.revision))
    assert made == {
        comment: {(record.hook_id, record.revision) for record in new}
        for comment, new in tally.written.items()
    }
    assert tally.gave_up == 0
    assert all(any(comment.startswith(by) for comment in made) for by in WRITERS)
    print(f"{_summary(tally)}: {len(told)} revisions in {RACE_SECONDS:.0f} s")  # noqa: T201
    await cluster.delete([own.hooks, own.hooks_audit])


async def test_a_writer_is_killed_at_each_step(bootstrap_servers: str, topic_prefix: str) -> None:
    """A writer that is killed at any step of its transaction leaves its whole change or nothing,
    holds up no reader, and the next writer writes at once.
    """
    cluster = Cluster(bootstrap_servers)
    own = await create_live_topics(cluster, topic_prefix)
    made, slowest = set(), 0.0
    async with _writer(cluster, topic_prefix) as survivor:
        await survivor.write([_named("a"), _named("b"), _named("c")], by="ayse")
        for step in STEPS:
            assert await killed_writer(cluster.bootstrap, topic_prefix, step, "a", "b") == (
                -signal.SIGKILL
            )
            started = time.monotonic()
            async with _replica(cluster, own):
                pass
            await survivor.write([_named("c", f"after: {step}")], by="ayse")
            slowest = max(slowest, time.monotonic() - started)
            table = await survivor.read()
            done = [table.records[hook].comment == step for hook in ("a", "b")]
            assert all(done) or not any(done)
            if all(done):
                made.add(step)
    told = audits(await committed(cluster, own.hooks_audit))
    _check_history(told)
    assert {audit.comment for audit in told if audit.by == "killed"} == made
    assert replay(await committed(cluster, own.hooks)) == _last(told)
    assert slowest < PROMPT
    assert "committed" in made
    assert made <= {"the commit asked for", "committing", "committed"}
    print(f"made: {sorted(made)}; slowest next write {slowest:.2f} s")  # noqa: T201
    await cluster.delete([own.hooks, own.hooks_audit])


@pytest.mark.parametrize("moment", ["before", "with", "after"])
@pytest.mark.timeout(180)
async def test_the_broker_restarts_during_a_commit(
    moment: str, server: KafkaServer, mortal: Workspace, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A broker that is killed and restarted before, with or after a commit leaves the change made
    once, and the writer knows it.
    """
    own = await create_live_topics(mortal.cluster, mortal.prefix)
    commit = Transactions.commit
    restarts: list[asyncio.Future[None]] = []

    async def kill() -> None:
        monkeypatch.setattr(Transactions, "commit", commit)
        await asyncio.to_thread(server.kill)
        restarts.append(asyncio.ensure_future(asyncio.to_thread(server.start)))

    async def disturbed(self: Transactions) -> None:
        if moment == "before":
            await kill()
            await commit(self)
        elif moment == "with":
            committing = asyncio.ensure_future(commit(self))
            await asyncio.sleep(0)  # the request is on its way
            await kill()
            await committing
        else:
            await commit(self)
            await kill()

    async with _writer(mortal.cluster, mortal.prefix) as writer:
        await writer.write([_named("a"), _named("b")], by="ayse")
        monkeypatch.setattr(Transactions, "commit", disturbed)
        records = await writer.write([_named("a", "2"), _named("b", "2")], by="ayse")
        assert [record.revision for record in records] == [2, 2]
        await asyncio.gather(*restarts)
        await writer.write([_named("a", "3")], by="ayse")
        assert {hook: r.revision for hook, r in (await writer.read()).records.items()} == {
            "a": 3,
            "b": 2,
        }
    told = audits(await committed(mortal.cluster, own.hooks_audit))
    _check_history(told)
    assert replay(await committed(mortal.cluster, own.hooks)) == _last(told)
    await mortal.cluster.delete([own.hooks, own.hooks_audit])


async def test_a_hanging_transaction(server: KafkaServer, mortal: Workspace) -> None:
    """A transaction that the broker's coordinator has forgotten, and that would stay open for ever,
    is aborted by the next writer, and its records are never seen.
    """
    own = await create_live_topics(mortal.cluster, mortal.prefix)
    settings = kafka_settings(server.bootstrap, mortal.prefix)
    topics = [own.hooks, own.hooks_audit]
    dead = Transactions(settings, f"{mortal.prefix}.hooks-writer", topics, SystemClock())
    async with _writer(mortal.cluster, mortal.prefix) as writer:
        await writer.write([_named("a")], by="ayse")
        await dead.begin()
        for topic in topics:  # the coordinator is not told of them
            [batch] = dead._batches([OutgoingTableRecord(b"a", b"hanging", [])])
            await dead._produce(dead._logs[topic], batch)
        assert await dead.undecided() == set(topics)
        await dead.begin()
        assert await dead.undecided() == set(topics)
        await dead.close()
        [record] = await writer.write([_named("a", "2")], by="ayse")
        assert record.revision == 2
        table = await writer.read()
        assert table.revision("a") == 2
        assert table.unreadable == {}
    told = audits(await committed(mortal.cluster, own.hooks_audit))
    assert [audit.revision for audit in told] == [1, 2]
    await mortal.cluster.delete(topics)


async def test_readers_follow_over_a_restart_of_the_broker(
    server: KafkaServer, mortal: Workspace
) -> None:
    """A replica that follows the topic keeps its table while the broker is away, and has the next
    change after it is back.
    """
    own = await create_live_topics(mortal.cluster, mortal.prefix)
    async with (
        _writer(mortal.cluster, mortal.prefix) as writer,
        _replica(mortal.cluster, own) as table,
    ):
        await writer.write([_named("a")], by="ayse")
        await wait_until(lambda: table.revision("a") == 1, "the first revision")
        await asyncio.to_thread(server.kill)
        assert table.revision("a") == 1
        await asyncio.to_thread(server.start)
        await writer.write([_named("a", "2")], by="ayse")
        await wait_until(lambda: table.revision("a") == 2, "the second revision")
    await mortal.cluster.delete([own.hooks, own.hooks_audit])


def _summary(tally: Tally) -> str:
    """Counts and times, for whoever measures."""
    seconds = sorted(tally.seconds)
    shares = {by: sum(comment.startswith(by) for comment in tally.written) for by in WRITERS}
    return (
        f"{len(tally.written)} writes {shares}, {tally.conflicts} conflicts, "
        f"{seconds[len(seconds) // 2]:.3f} s a write (p99 {seconds[len(seconds) * 99 // 100]:.3f})"
    )


def _named(hook: str, name: str = "1") -> WantedChange:
    return WantedChange(hook, definition(hook, name=name), None)
