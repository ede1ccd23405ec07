"""At how many replicas a change is in force."""

from collections.abc import Sequence
from dataclasses import replace

from consumer.control.status import HookProblem
from consumer.panel.pages.hook_actions import InForce, in_force, wait_in_force
from consumer.services.replicas import Replica
from support.fakes import FakeClock
from support.page_data import full

CURRENT, BEHIND = full(FakeClock()).running


def test_a_replica_that_refuses_a_hook_does_not_have_it_in_force() -> None:
    """A replica counts if it has applied the newest record and does not refuse that hook; what it
    says of others does not matter.
    """
    problem = HookProblem("h", "is refused", 1)
    refusing = replace(CURRENT, status=replace(CURRENT.status, problems=[problem]))
    assert in_force([CURRENT, BEHIND, refusing], "h") == InForce(1, 3)
    assert in_force([CURRENT, BEHIND, refusing], "other") == InForce(2, 3)


async def test_the_wait_ends_with_the_last_replica() -> None:
    """The wait goes on until the last replica has the newest definitions."""
    told = [[CURRENT, BEHIND], [CURRENT, CURRENT]]

    async def replicas() -> Sequence[Replica]:
        return told.pop(0)

    assert await wait_in_force(replicas, "h", 60.0) == InForce(2, 2)
    assert told == []


async def test_the_wait_for_a_replica_that_stays_behind_is_bounded() -> None:
    """A replica that does not follow ends the wait with what is known."""

    async def replicas() -> Sequence[Replica]:
        return [CURRENT, BEHIND]

    assert await wait_in_force(replicas, "h", 0.0) == InForce(1, 2)
