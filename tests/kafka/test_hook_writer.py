"""The writer of live definitions, on a real broker."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from consumer.clock import SystemClock
from consumer.control.changes import (
    ConflictError,
    NotWrittenError,
    UnknownOutcomeError,
    WantedChange,
)
from consumer.control.records import Action
from consumer.control.writer import HookWriter
from consumer.errors import ConfigError, HookstreamError
from consumer.settings import OwnTopics
from consumer.stream.transaction_errors import CommitUnknownError, TransactionError
from consumer.stream.transactions import Transactions
from support.cluster import Cluster
from support.definition_topics import (
    COMPACTED,
    audits,
    committed,
    create_live_topics,
    definition,
    in_force,
    kafka_settings,
    replay,
)

MANY = 10_000
"""Definitions in one write."""


@pytest.fixture
async def own(cluster: Cluster, topic_prefix: str) -> AsyncIterator[OwnTopics]:
    """The topics of live definitions, removed behind the test."""
    own = await create_live_topics(cluster, topic_prefix)
    yield own
    await cluster.delete([own.hooks, own.hooks_audit])


@pytest.fixture
async def writer(cluster: Cluster, topic_prefix: str) -> AsyncIterator[HookWriter]:
    """A writer, closed behind the test."""
    writer = HookWriter(kafka_settings(cluster.bootstrap, topic_prefix), SystemClock())
    yield writer
    await writer.close()


@pytest.fixture
async def other(cluster: Cluster, topic_prefix: str) -> AsyncIterator[HookWriter]:
    """A writer of the same installation, in another process say."""
    writer = HookWriter(kafka_settings(cluster.bootstrap, topic_prefix), SystemClock())
    yield writer
    await writer.close()


def _change(hook_id: str, seen: int | None, name: str = "") -> WantedChange:
    return WantedChange(hook_id, definition(hook_id, name=name), seen)


async def test_the_life_of_a_definition(
    cluster: Cluster, own: OwnTopics, writer: HookWriter
) -> None:
    """A definition is created, changed, deleted and restored, each time with the next revision and
    with an audit record that names who did what.
    """
    await writer.write([_change("a", 0)], by="ayse", comment="new")
    assert writer._table.revision("a") == 1  # without another reading
    await writer.write([_change("a", 1, "other")], by="bora")
    await writer.write([WantedChange("a", None, 2)], by="ayse")
    restored = WantedChange("a", definition("a", name=""), 0, restored=True)
    [record] = await writer.write([restored], by="can", comment="back")
    assert (record.revision, record.by, record.comment) == (4, "can", "back")
    assert in_force((await writer.read()).records) == {"a": (4, definition("a", name=""))}
    assert replay(await committed(cluster, own.hooks)) == {"a": (4, definition("a", name=""))}
    told = [
        (a.action, a.revision, a.by, a.comment)
        for a in audits(await committed(cluster, own.hooks_audit))
    ]
    assert told == [
        (Action.CREATED, 1, "ayse", "new"),
        (Action.CHANGED, 2, "bora", ""),
        (Action.DELETED, 3, "ayse", ""),
        (Action.RESTORED, 4, "can", "back"),
    ]


async def test_author_and_comment_are_short_lines(
    cluster: Cluster, own: OwnTopics, writer: HookWriter
) -> None:
    """A write whose author or comment is long, or has a line end, is refused as a whole, with each
    field that is wrong.
    """
    with pytest.raises(ConfigError) as caught:
        await writer.write([_change("a", 0)], by="a" * 201, comment="a\nb")
    assert [one.field for one in caught.value.diagnostics] == ["by", "comment"]
    assert await committed(cluster, own.hooks) == []


async def test_of_two_that_saw_the_same_one_wins(
    cluster: Cluster, own: OwnTopics, writer: HookWriter, other: HookWriter
) -> None:
    """Of two writers that change the same revision at once, one wins, and the other is told who
    wrote the newer one, and has written nothing.
    """
    await writer.write([_change("a", 0), _change("b", 0)], by="ayse")
    for number in range(5):
        seen = 1 + number
        outcomes = await asyncio.gather(
            writer.write([_change("a", seen, f"w{number}")], by="bora"),
            other.write(
                [_change("b", None, f"o{number}"), _change("a", seen, f"o{number}")], by="can"
            ),
            return_exceptions=True,
        )
        [refused] = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
        assert isinstance(refused, ConflictError)
        [conflict] = refused.conflicts
        assert (conflict.hook_id, conflict.seen, conflict.newest) == ("a", seen, seen + 1)
        assert conflict.by in {"bora", "can"}
        assert conflict.at
    revisions = [
        a.revision for a in audits(await committed(cluster, own.hooks_audit)) if a.hook == "a"
    ]
    assert revisions == [1, 2, 3, 4, 5, 6]


async def test_a_change_that_changes_nothing(
    cluster: Cluster, own: OwnTopics, writer: HookWriter
) -> None:
    """A write that changes nothing leaves both topics as they are."""
    await writer.write([_change("a", 0)], by="ayse")
    before = await cluster.ends([own.hooks, own.hooks_audit])
    [record] = await writer.write([_change("a", 1)], by="bora")
    assert (record.revision, record.by) == (1, "ayse")
    assert await cluster.ends([own.hooks, own.hooks_audit]) == before


async def test_a_poisoned_record_stops_no_writer(
    cluster: Cluster, own: OwnTopics, writer: HookWriter
) -> None:
    """Records that are no definitions stop no writer, and the next write of a poisoned hook makes
    it readable again.
    """
    await writer.write([_change("a", 0), _change("b", 0)], by="ayse")
    await cluster.produce(own.hooks, [b"not JSON", b'{"format": 9}', bytes(900_000)], key=b"a")
    await cluster.produce(own.hooks, [b"no hook"], key=b"")
    [record] = await writer.write([_change("b", 1, "new")], by="ayse")
    assert record.revision == 2
    table = await writer.read()
    assert set(table.unreadable) == {"a", ""}
    await writer.write([_change("a", 1)], by="ayse")
    assert set(table.unreadable) == {""}
    assert {name: revision for name, (revision, _) in in_force(table.records).items()} == {
        "a": 2,
        "b": 2,
    }


async def test_ten_thousand_definitions_are_one_write(
    cluster: Cluster, own: OwnTopics, writer: HookWriter, other: HookWriter
) -> None:
    """Ten thousand definitions are written in one transaction, and changed in another one."""
    started = time.monotonic()
    hooks = [f"h{number}" for number in range(MANY)]
    padding = "x" * 700
    await writer.write([_change(hook, 0, padding) for hook in hooks], by="ayse")
    await writer.write([_change(hook, 1, padding[1:]) for hook in hooks], by="ayse")
    print(f"two writes of {MANY} definitions took {time.monotonic() - started:.1f} s")  # noqa: T201
    table = await other.read()
    assert {record.revision for record in table.records.values()} == {2}
    assert len(table.records) == MANY
    assert len(await committed(cluster, own.hooks_audit)) == 2 * MANY


async def test_a_definition_that_is_too_large_writes_nothing(
    cluster: Cluster, own: OwnTopics, writer: HookWriter
) -> None:
    """If one definition of a write is too large, nothing is written, and the hook is named."""
    with pytest.raises(NotWrittenError, match="hook b: takes"):
        await writer.write([_change("a", 0), _change("b", 0, "x" * 1_000_000)], by="ayse")
    assert await committed(cluster, own.hooks) == []


async def test_a_topic_that_takes_only_small_records(
    cluster: Cluster, topic_prefix: str, writer: HookWriter
) -> None:
    """A topic that refuses a record's size is named with the setting to raise, nothing is written,
    and the next write works.
    """
    small = {"cleanup.policy": "compact", "max.message.bytes": "2000"}
    own = await create_live_topics(cluster, topic_prefix, small)
    with pytest.raises(NotWrittenError, match=r"raise max\.message\.bytes"):
        await writer.write([_change("a", 0, "x" * 5_000)], by="ayse")
    await writer.write([_change("a", 0)], by="ayse")
    assert set(replay(await committed(cluster, own.hooks))) == {"a"}
    assert len(audits(await committed(cluster, own.hooks_audit))) == 1


async def test_missing_topics_are_told(
    cluster: Cluster, topic_prefix: str, writer: HookWriter
) -> None:
    """Without its topics a writer says what makes them, and that nothing was written."""
    with pytest.raises(NotWrittenError, match=r"nothing was written: the topic .* does not exist"):
        await writer.write([_change("a", 0)], by="ayse")
    with pytest.raises(HookstreamError, match="does not exist"):
        await writer.read()
    await cluster.create([OwnTopics(topic_prefix).hooks], partitions=1, configs=COMPACTED)
    with pytest.raises(NotWrittenError, match=r"hooks-audit does not exist"):
        await writer.write([_change("a", 0)], by="ayse")


async def test_a_topic_that_is_not_compacted(
    cluster: Cluster, topic_prefix: str, writer: HookWriter
) -> None:
    """A topic that would delete old definitions is written and read by no command, which says what
    to run.
    """
    await create_live_topics(cluster, topic_prefix, {"cleanup.policy": "delete"})
    with pytest.raises(NotWrittenError, match=r"cleanup\.policy=delete .*kafka-configs\.sh"):
        await writer.write([_change("a", 0)], by="ayse")
    with pytest.raises(HookstreamError, match=r"cleanup\.policy=delete"):
        await writer.read()


async def test_a_hook_of_which_only_a_poisoned_record_is_left(
    cluster: Cluster, own: OwnTopics, writer: HookWriter, other: HookWriter
) -> None:
    """A hook whose good records were compacted away behind a poisoned one goes on with the next
    revision, which the audit topic knows.
    """
    await writer.write([_change("a", 0), _change("b", 0)], by="ayse")
    await writer.write([_change("a", 1, "new")], by="ayse")
    await cluster.delete([own.hooks])
    await cluster.create([own.hooks], partitions=1, configs=COMPACTED)
    await cluster.produce(own.hooks, [b"not JSON"], key=b"a")
    [record] = await other.write([_change("a", None)], by="ayse")
    assert record.revision == 3


async def test_the_topic_of_definitions_is_made_anew(
    cluster: Cluster, topic_prefix: str, own: OwnTopics, writer: HookWriter
) -> None:
    """A writer that stays notices that the topic was made anew, and begins with revision 1."""
    await writer.write([_change("a", 0), _change("b", 0)], by="ayse")
    await writer.write([_change("a", 1, "new")], by="ayse")
    await cluster.delete([own.hooks, own.hooks_audit])
    await create_live_topics(cluster, topic_prefix)
    [record] = await writer.write([_change("a", 0)], by="ayse")
    assert record.revision == 1
    assert set((await writer.read()).records) == {"a"}


async def test_a_transaction_of_another_program_that_stays_open(
    cluster: Cluster, own: OwnTopics, writer: HookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """While another program has a transaction open on the topic, nothing is written, since its
    outcome is not known.
    """
    monkeypatch.setattr("consumer.stream.table_reader.STALL_TIMEOUT_SECONDS", 0.5)
    async with cluster.producer(transactional_id=f"{own.prefix}-foreign") as producer:
        await producer.begin_transaction()
        await producer.send_and_wait(own.hooks, b"foreign", key=b"a")
        with pytest.raises(NotWrittenError, match="has had a transaction open"):
            await writer.write([_change("a", 0)], by="ayse")
        await producer.abort_transaction()
    await writer.write([_change("a", 0)], by="ayse")


async def test_an_unconfirmed_commit_that_was_made(
    cluster: Cluster,
    own: OwnTopics,
    writer: HookWriter,
    other: HookWriter,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A commit that was made and not confirmed is found in the audit topic, and is not made
    twice, although another writer has written since.
    """
    await other.write([_change("b", 0)], by="bora")
    commit = Transactions.commit

    async def unconfirmed(self: Transactions) -> None:
        await commit(self)
        monkeypatch.setattr(Transactions, "commit", commit)
        await other.write([_change("b", 1, "new")], by="bora")
        raise CommitUnknownError("the connection was lost")

    monkeypatch.setattr(Transactions, "commit", unconfirmed)
    [record] = await writer.write([_change("a", 0)], by="ayse")
    assert record.revision == 1
    told = [(a.hook, a.revision) for a in audits(await committed(cluster, own.hooks_audit))]
    assert told == [("b", 1), ("a", 1), ("b", 2)]


async def test_an_unconfirmed_commit_that_was_not_made(
    cluster: Cluster, own: OwnTopics, writer: HookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A commit that was not made is found missing in the audit topic, and the write is tried
    again, so that the change stands there once.
    """
    commit = Transactions.commit

    async def lost(_: Transactions) -> None:
        monkeypatch.setattr(Transactions, "commit", commit)
        raise CommitUnknownError("the connection was lost")

    monkeypatch.setattr(Transactions, "commit", lost)
    [record] = await writer.write([_change("a", 0)], by="ayse")
    assert record.revision == 1
    assert [a.revision for a in audits(await committed(cluster, own.hooks_audit))] == [1]


@pytest.mark.usefixtures("own")
async def test_an_outcome_that_cannot_be_read(
    writer: HookWriter, monkeypatch: pytest.MonkeyPatch
) -> None:
    """If a commit is not confirmed and the broker stays away, the writer says that the outcome is
    unknown, and where to look.
    """
    await writer.write([_change("b", 0)], by="ayse")
    monkeypatch.setattr("consumer.control.writer.DECIDE_TIMEOUT_SECONDS", 0.3)

    async def lost(_: Transactions) -> None:
        async def away(_: Transactions) -> None:
            raise TransactionError("no broker answers")

        monkeypatch.setattr(Transactions, "begin", away)
        raise CommitUnknownError("the connection was lost")

    monkeypatch.setattr(Transactions, "commit", lost)
    with pytest.raises(UnknownOutcomeError, match="hookstream hooks history"):
        await writer.write([_change("a", 0)], by="ayse")
