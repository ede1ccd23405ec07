"""The same scenario on the model and on a real broker."""

from contextlib import AsyncExitStack

import pytest

from simulation.scenario import ModelStage, RealStage, play
from simulation.virtual_time import run_virtually
from support.workspace import Workspace


def test_the_scenario_on_the_model() -> None:
    """On the model a dead endpoint's deliveries wait in own topics through a rebalance of two
    members, the source is committed to its end, and after the recovery each arrives once.
    """

    async def main() -> None:
        await play(ModelStage())

    run_virtually(main())


@pytest.mark.timeout(300)  # a circuit's probes are far apart
async def test_the_scenario_on_the_real_broker(workspace: Workspace) -> None:
    """On a real broker a dead endpoint's deliveries wait in own topics through a rebalance of two
    members, the source is committed to its end, and after the recovery each arrives once.
    """
    async with AsyncExitStack() as stack:
        stage = RealStage(workspace, stack)
        await stage.open()
        await play(stage)
