"""The membership of this process in its consumer group."""

import asyncio
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaError

from consumer.stream import membership as module
from consumer.stream.client import REBALANCE_TIMEOUT_SECONDS
from consumer.stream.membership import Membership
from support.fake_consumer import FakeConsumer
from support.fakes import FakeClock
from support.waiting import wait_until


class Group:
    """One member of it."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.consumer = FakeConsumer()
        self.membership = Membership(self.consumer, self.clock)
        self.membership.watch_heartbeats()

    async def beat(self) -> bool:
        """A heartbeat, by aiokafka."""
        return await self.consumer._coordinator._do_heartbeat()


@pytest.fixture
async def group() -> Group:
    """A member that has its share."""
    group = Group()
    group.membership.assigned()
    return group


async def test_a_member_with_its_share_lacks_nothing(group: Group) -> None:
    """A member with its share lacks nothing while the coordinator answers."""
    for _ in range(100):
        group.clock.advance(50.0)
        assert await group.beat()
        assert group.membership.seconds_without_share() == 0.0
        assert group.membership.why_not_ready() == ""


def test_a_process_that_has_not_joined_waits_from_its_start() -> None:
    """A process that has not joined yet waits for its share since its start."""
    group = Group()
    assert not group.membership.joined
    group.clock.advance(5.0)
    assert group.membership.seconds_without_share() == 5.0


async def test_a_rebalance_may_take_its_time(group: Group) -> None:
    """A rebalance counts from its first moment, and is a reason to be unready after the time that
    it may take.
    """
    group.membership.revoked()
    group.clock.advance(REBALANCE_TIMEOUT_SECONDS)
    group.membership.revoked()  # the same one, begun anew
    assert group.membership.seconds_without_share() == REBALANCE_TIMEOUT_SECONDS
    assert group.membership.why_not_ready() == ""
    group.clock.advance(1.0)
    assert group.membership.why_not_ready() == (
        "without a share of the partitions for 61 s: a member of the group does not rejoin"
    )
    group.membership.assigned()
    assert group.membership.seconds_without_share() == 0.0
    assert group.membership.joined


async def test_a_rebalance_without_a_coordinator_waits_for_that(group: Group) -> None:
    """A rebalance without a coordinator is reported as waiting for the coordinator, not for
    members.
    """
    group.membership.revoked()
    group.consumer._coordinator.coordinator_id = None
    group.clock.advance(90.0)
    assert group.membership.why_not_ready().endswith("the group's coordinator does not answer")


async def test_a_share_is_not_settled_while_the_coordinator_is_silent(group: Group) -> None:
    """A share is not certain while the coordinator is silent, since the group may have given it to
    others.
    """
    group.consumer._coordinator.beats = False
    group.clock.advance(60.0)
    assert not await group.beat()
    assert group.membership.seconds_without_share() == 0.0
    group.clock.advance(1.0)
    assert group.membership.seconds_without_share() == 61.0
    assert group.membership.why_not_ready().endswith("the group's coordinator does not answer")
    group.consumer._coordinator.beats = True
    assert await group.beat()
    assert group.membership.why_not_ready() == ""


async def test_a_heartbeat_confirms_from_the_time_that_it_was_sent(group: Group) -> None:
    """A heartbeat confirms the membership from the time at which it was sent."""
    group.clock.advance(5.0)
    sent, beat = group.clock.monotonic(), asyncio.create_task(group.beat())
    await asyncio.sleep(0)
    group.clock.advance(20.0)
    assert await beat
    assert group.membership.confirmed_at == sent
    group.consumer._coordinator.beats = False
    assert not await group.beat()
    assert group.membership.confirmed_at == sent


async def test_an_expelled_member_is_told_by_its_generation(group: Group) -> None:
    """An expelled member is recognised by its generation."""
    assert not group.membership.is_expelled
    group.consumer._coordinator.generation = -1
    assert group.membership.is_expelled


class Client:
    """Answers which members the group has."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    async def send(self, node: int, request: Any) -> Any:
        """See `AIOKafkaClient.send`."""
        assert (node, request._groups) == (0, ["group"])
        if self.error is not None:
            raise self.error
        members = [("id-2", "other", "/10.0.0.7", b"", b""), ("id-1", "hookstream", "/", b"", b"")]
        group = (0, "group", "PreparingRebalance", "consumer", "", members)
        return SimpleNamespace(groups=[group])


@pytest.mark.parametrize(
    ("error", "members"),
    [(None, ["hookstream /", "other /10.0.0.7"]), (KafkaError("away"), [])],
)
async def test_a_wait_that_takes_too_long_is_told_once_with_the_members(
    group: Group,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: Exception | None,
    members: list[str],
) -> None:
    """A wait that takes too long is logged once with the group's members."""
    monkeypatch.setattr(module, "_CHECK_INTERVAL_SECONDS", 0.001)
    group.consumer._client = Client(error)  # type: ignore[attr-defined]
    watching = asyncio.create_task(group.membership.watch())
    group.membership.revoked()
    group.clock.advance(61.0)
    await wait_until(lambda: told(caplog, "ERROR"), "the line")
    group.clock.advance(61.0)
    await asyncio.sleep(0.02)
    watching.cancel()
    [fields] = told(caplog, "ERROR")
    assert (fields["members"], fields["seconds"]) == (members, 61)


async def test_members_that_are_other_programs_are_named(
    group: Group, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """Members of the group that are other programs are logged once, until they change."""
    monkeypatch.setattr(module, "_CHECK_INTERVAL_SECONDS", 0.001)
    group.consumer._client = Client()  # type: ignore[attr-defined]
    watching = asyncio.create_task(group.membership.watch())
    await wait_until(lambda: told(caplog, "WARNING"), "the line")
    group.membership.assigned()
    await asyncio.sleep(0.02)
    watching.cancel()
    [fields] = told(caplog, "WARNING")
    assert fields["members"] == ["other /10.0.0.7"]


def told(caplog: pytest.LogCaptureFixture, level: str) -> list[dict[str, Any]]:
    """What the lines of a level say beside their event."""
    return [line.__dict__["fields"] for line in caplog.records if line.levelname == level]
