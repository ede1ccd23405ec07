"""The order of a stop: what is in flight ends, the rest is deferred, and all of it is committed."""

import asyncio
from collections.abc import Iterable
from typing import Final

from consumer.cancellation import end_tasks
from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.pipeline.event_handler import EventHandler
from consumer.stream.intake import Intake

log = get_logger(__name__)

_BEGIN_SHARE = 0.02
"""Share of the grace for waiting deliveries to begin; the next owner sends the others at once."""
_FINISH_SHARE = 0.6
"""Share of the grace for in-flight deliveries to finish."""
_DEFER_SHARE = 0.2
"""Share of the grace for deferring the rest; the remaining one is for commit and leaving."""
AGAIN_SECONDS: Final = 5.0
"""Time in which what goes on beside the deliveries closes its connections."""


async def drain(
    intake: Intake, handler: EventHandler, taking: asyncio.Task[None], grace: float, clock: Clock
) -> None:
    """Stop `taking`, which runs `intake`, let what does not begin soon overflow, let in-flight
    deliveries finish, defer the others, commit; the rest of `grace` seconds is for leaving the
    group.
    """
    log.info("stopping", unsettled=intake.unsettled, grace_seconds=grace)
    intake.stop_taking(clock.monotonic() + grace)
    await end_tasks([taking])  # its poll may wait for the broker; records already taken stay
    settled = intake.give_back.settled
    if not await settled(grace * _BEGIN_SHARE):
        handler.release(lambda _pending: True)
    if not await settled(grace * _FINISH_SHARE):
        handler.defer(lambda _pending: True)
        await settled(grace * _DEFER_SHARE)
    await intake.commit()
    unsettled = intake.unsettled
    (log.warning if unsettled else log.info)("stopped", left_to_the_next_run=unsettled)


async def end_helpers(helpers: Iterable[asyncio.Task[None]]) -> None:
    """End what goes on beside the deliveries."""
    await end_tasks(helpers, AGAIN_SECONDS)
