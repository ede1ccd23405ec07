"""Programs other than hookstream that are members of its consumer group."""

import asyncio

import pytest
from aiokafka import AIOKafkaConsumer
from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it lists no exports
    AclBinding,
    AclBindingFilter,
    AclOperation,
    AclPermissionType,
    AdminClient,
    ResourcePatternType,
    ResourceType,
)

from support.daemon import Daemon, InProcess
from support.group import ForeignMembers
from support.ledger_harness import LedgerHarness
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, hook

FOREIGN = "other programs are members of the group"
REBALANCING = "hookstream_rebalancing_seconds"


async def test_a_member_that_waits_for_its_share_is_not_ready_and_names_the_others(
    workspace: Workspace, caplog: pytest.LogCaptureFixture
) -> None:
    """A member that has been without its share for longer than a rebalance may take is not ready
    and says what it waits for, a metric counts the seconds, a line names the group's members, and
    it goes on when it has its share.
    """
    await workspace.create_topics()
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with (
            InProcess(workspace.config) as daemon,
            ForeignMembers(workspace.cluster, workspace.group, workspace.topic("event")) as others,
        ):
            daemon.app._intake.membership.stall_timeout = 4.0  # as if a rebalance took no longer
            assert await daemon.sample(REBALANCING) == 0.0
            await others.join()
            await others.joined()
            await others.join()  # for this one the first would have to join again
            await wait_until(lambda: _waits(daemon), "the share to be missed")
            assert (await daemon.get("/healthz"))[0] == 200
            assert await daemon.sample(REBALANCING) > 1.0
            await wait_until(lambda: _members(caplog), "the line")
            assert len(_members(caplog)) == 3
            await ledger.write(10)
            await others.leave()
            await wait_until(daemon.ready, "it to be ready")
            await wait_until(workspace.caught_up, "all to be settled")
            assert await daemon.sample(REBALANCING) == 0.0
        await ledger.check()


async def _waits(daemon: InProcess) -> bool:
    status, why = await daemon.get("/readyz")
    return status == 503 and "without a share" in why and "does not rejoin" in why


def _members(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The members that the line names; none before there is one."""
    for record in caplog.records:
        if record.getMessage() == "without a share of the partitions":
            return list(record.__dict__["fields"]["members"])
    return []


async def test_a_group_of_another_kind_is_named_at_the_start(workspace: Workspace) -> None:
    """A group id that another kind of program uses ends the start with one sentence."""
    await workspace.create_topics()
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:1"))
    async with ForeignMembers(workspace.cluster, workspace.group, "x") as others:
        await others.join("connect")
        sentence = await Daemon(workspace.config).refuses()
    assert "kafka.group_id" in sentence
    assert "another program" in sentence


async def test_a_member_with_other_topics_takes_none_of_ours(workspace: Workspace) -> None:
    """A foreign member of the group that wants other topics holds back no event."""
    await workspace.create_topics()
    other = workspace.topic("other")
    await workspace.cluster.create([other])
    async with LedgerHarness(workspace, ["a"]) as ledger, Receiver(otherwise=ledger) as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        foreign = AIOKafkaConsumer(
            other, bootstrap_servers=workspace.cluster.bootstrap, group_id=workspace.group
        )
        await foreign.start()
        try:
            async with Daemon(workspace.config) as daemon:
                await ledger.write(30)
                await wait_until(workspace.caught_up, "all to be settled")
                assert daemon.complaints == []
                await wait_until(lambda: daemon.said(FOREIGN), "the line that names it")
        finally:
            await foreign.stop()
        await ledger.check()
    await workspace.cluster.delete([other])


async def test_a_right_that_is_taken_away_ends_the_daemon_with_a_sentence(
    mortal: Workspace,
) -> None:
    """A daemon whose right to its consumer group is taken away while it runs ends and says so."""
    await mortal.create_topics()
    mortal.write_settings()
    mortal.write_hooks(hook("a", "http://127.0.0.1:1"))
    async with Daemon(mortal.config) as daemon:
        await asyncio.to_thread(_deny, mortal, denied=True)
        try:
            assert await daemon.wait() == 1
        finally:
            await asyncio.to_thread(_deny, mortal, denied=False)
    [sentence] = [line for line in daemon.lines if not line.startswith("{")]
    assert f"Kafka refuses the group {mortal.group}" in sentence


def _deny(workspace: Workspace, *, denied: bool) -> None:
    """Take the right to the group from every user, or give it back; all else stays allowed."""
    admin = AdminClient({"bootstrap.servers": workspace.cluster.bootstrap})
    group = (ResourceType.GROUP, workspace.group, ResourcePatternType.LITERAL, "User:*", "*")
    rule = (AclOperation.READ, AclPermissionType.DENY)
    answers = (
        admin.create_acls([AclBinding(*group, *rule)])
        if denied
        else admin.delete_acls([AclBindingFilter(*group, *rule)])
    )
    for answer in answers.values():
        answer.result(10)
