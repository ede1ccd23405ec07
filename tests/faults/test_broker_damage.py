"""The broker is there, but not all of it works: topics that take nothing, a damaged log."""

import asyncio
import struct
from collections.abc import Iterable
from concurrent.futures import Future
from http import HTTPStatus
from pathlib import Path
from typing import Any

import pytest
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it lists no exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from consumer.stream import poller
from consumer.stream.outbox import Outbox
from support.broker import KafkaServer
from support.commits_harness import CommitsHarness
from support.daemon import InProcess
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

SOME = 40


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Publishing is given up after two seconds, not twenty, and a partition that cannot be read
    is tried again after three, not thirty.
    """
    defaults = Outbox.__init__.__kwdefaults__
    assert defaults is not None
    monkeypatch.setitem(defaults, "send_timeout", 2.0)
    monkeypatch.setattr(poller, "_SINGLE_POLL_SECONDS", 3.0)
    monkeypatch.setattr(poller, "_UNREADABLE_RETRY_SECONDS", 3.0)


async def _refuses(daemon: InProcess, topic: str) -> float:
    """How often publishing to `topic` failed."""
    return await daemon.sample(f'hookstream_handover_failures_total{{topic="{topic}"}}')


async def _check_pause(daemon: InProcess, ledger: LedgerHarness, topic: str) -> None:
    """While `topic` takes nothing: the metric rises, `/readyz` says why, intake pauses."""
    await wait_until(lambda: _refuses(daemon, topic), "the metric to rise")
    status, why = await daemon.get("/readyz")
    assert status == HTTPStatus.SERVICE_UNAVAILABLE
    assert "accepts no retries and dead letters" in why
    attempts, failures = len(ledger.attempts), await _refuses(daemon, topic)
    await ledger.write(SOME)

    async def once_more() -> bool:
        return await _refuses(daemon, topic) > failures

    await wait_until(once_more, "another try")
    assert len(ledger.attempts) == attempts, "intake goes on"


async def test_a_retry_topic_that_takes_nothing_for_a_while(mortal: Workspace) -> None:
    """While a retry topic takes no records intake pauses, and it goes on by itself without a loss.

    1. The right to write to the retry topics is taken away. 2. A delivery fails: intake pauses, the
    metric rises, `/readyz` says why. 3. The right is given back: it goes on by itself, and nothing
    is lost or committed past.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _some_fail_at_first) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin))
        async with InProcess(mortal.config) as daemon, CommitsHarness(ledger):
            await asyncio.to_thread(_permit, mortal, writing=False)
            await ledger.write(SOME)
            await _check_pause(daemon, ledger, mortal.retry_topics[0])
            await asyncio.to_thread(_permit, mortal, writing=True)
            await wait_until(daemon.ready, "the daemon to be ready again")
            await wait_until(mortal.caught_up, "all to be settled")
        await ledger.check()
    assert ledger.answered.keys() == ledger.expected


def _some_fail_at_first(delivery: str, attempt: int) -> int:
    """Too few to open the circuit."""
    number = int(delivery[1:].partition(":")[0])
    return HTTPStatus.SERVICE_UNAVAILABLE if number % 4 == 0 and attempt == 1 else HTTPStatus.OK


def _permit(workspace: Workspace, *, writing: bool) -> None:
    """Let every user write to the retry topics, or none; all else stays allowed."""
    admin = AdminClient({"bootstrap.servers": workspace.cluster.bootstrap})
    for retry_topic in workspace.retry_topics:
        place = (ResourceType.TOPIC, retry_topic, ResourcePatternType.LITERAL, "User:*", "*")
        everything = AclBinding(*place, AclOperation.ALL, AclPermissionType.ALLOW)
        writes = AclBinding(*place, AclOperation.WRITE, AclPermissionType.DENY)
        denials = AclBindingFilter(*place, AclOperation.WRITE, AclPermissionType.DENY)
        answers: Iterable[Future[Any]] = (
            admin.delete_acls([denials]).values()
            if writing
            else admin.create_acls([everything, writes]).values()
        )
        for answer in answers:
            answer.result(10)


async def test_a_dead_letter_topic_that_is_missing_for_a_while(mortal: Workspace) -> None:
    """A dead-letter topic that is deleted under the daemon is made again, and no dead letter is
    lost.

    1. The dead-letter topic is deleted while the daemon runs. 2. A delivery is refused for good,
    and its record is not taken. 3. The daemon makes the topic again, with its settings: it goes on
    by itself, and every refused delivery is there.
    """
    await mortal.create_topics()
    async with (
        LedgerHarness(mortal, ["a"], _refused) as ledger,
        Receiver(otherwise=ledger) as receiver,
    ):
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin))
        async with InProcess(mortal.config) as daemon:
            await mortal.cluster.delete([mortal.dead_letter_topic])
            await ledger.write(SOME)
            failures = f'hookstream_handover_failures_total{{topic="{mortal.dead_letter_topic}"}}'
            await wait_until(lambda: daemon.sample(failures), "a record that is not taken")
            await wait_until(mortal.caught_up, "all to be settled")
            await wait_until(daemon.ready, "the daemon to be ready again")
        await ledger.check()
    assert {
        dead_letter.facts["hookstream-reason"] for dead_letter in await mortal.dead_letters()
    } == {"permanent"}


def _refused(_delivery: str, _attempt: int) -> int:
    return HTTPStatus.BAD_REQUEST


async def test_a_corrupt_batch_holds_back_its_own_partition_only(
    server: KafkaServer, mortal: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """A corrupt batch holds back its own partition only, and nothing of it is skipped.

    1. In one partition of three, the second batch is damaged on the broker's disk. 2. The others go
    on, with later records too; the damaged one is in the log, and nothing of it is skipped: what
    came before it is delivered, and committed no further. 3. The disk is repaired: the rest of the
    partition arrives, without a restart.
    """
    await mortal.create_topics()
    topic = mortal.topic("event")
    async with LedgerHarness(mortal, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        mortal.write_settings()
        mortal.write_hooks(hook("a", receiver.origin))
        for _ in range(3):  # three batches in each partition
            await ledger.write(90)
        log = server.folder / "data" / f"{topic}-1" / f"{0:020}.log"
        first, last_byte = _second_batch(log)
        await asyncio.to_thread(_flip, server, log, last_byte)
        unreadable = f'hookstream_partitions_unreadable{{partition="1",topic="{topic}"}}'
        async with InProcess(mortal.config) as daemon, CommitsHarness(ledger) as watch:
            await ledger.write(90)
            readable = {
                delivery
                for owed in ledger.owed
                if owed.record_ref != (topic, 1) or owed.offset < first
                for delivery in owed.deliveries
            }
            await wait_until(lambda: ledger.answered.keys() >= readable, "the other records")
            await wait_until(lambda: "a partition cannot be read" in caplog.text, "the error")
            await wait_until(lambda: watch.committed.get((topic, 1)) == first, "the commit")
            assert ledger.answered.keys() == readable
            assert await daemon.sample(unreadable) == 1
            await asyncio.to_thread(_flip, server, log, last_byte)
            await wait_until(mortal.caught_up, "the rest to be settled", patience=90)
            assert unreadable not in await daemon.samples()
        await ledger.check()
    assert ledger.answered.keys() == ledger.expected


def _second_batch(log: Path) -> tuple[int, int]:
    """Its first offset, and the place of its last byte in the segment file.

    A batch begins with its first offset (8 bytes) and the length of what follows (4 bytes); its
    checksum covers the end (Kafka protocol guide, "Record Batch").
    """
    data = log.read_bytes()
    head = struct.Struct(">qi")
    _, length = head.unpack_from(data)
    first, second_length = head.unpack_from(data, head.size + length)
    return first, 2 * head.size + length + second_length - 1


def _flip(server: KafkaServer, log: Path, place: int) -> None:
    """Turn over one byte on the disk of the broker, which is stopped in order meanwhile."""
    server.stop()
    data = bytearray(log.read_bytes())
    data[place] ^= 0xFF
    log.write_bytes(data)
    server.start()
