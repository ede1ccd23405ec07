"""Reads dead letters for the API and the pages, and counts them a few at a time."""

import asyncio
from typing import Final

from consumer.clock import Clock
from consumer.services.broker_watch import Require
from consumer.services.dead_letters import Counted, DeadLetterPage, Replay, read_page
from consumer.services.turns import Turns
from consumer.settings import Settings
from consumer.stream.dead_letters import Selection
from consumer.stream.replay import Plan

MAX_COUNTS: Final = 2
"""Counts and plans at a time: each reads the whole topic."""
WAIT_SECONDS: Final = 10.0
"""How long a plan waits for its turn. A count waits as long as it may take."""


class DeadLetterReads:
    """Reads dead letters; at most `MAX_COUNTS` counts and plans are made at a time."""

    def __init__(
        self,
        settings: Settings,
        require: Require,
        clock: Clock,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """`require`: see `BrokerWatch`; it is called before each read."""
        self._settings = settings
        self._require = require
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._turns = Turns(
            MAX_COUNTS,
            f"{MAX_COUNTS} counts of the dead letters are under way, which take long: "
            "try again in a while",
        )

    async def page(
        self, selection: Selection, *, limit: int, cursor: str | None, seconds: float
    ) -> DeadLetterPage:
        """See `read_page`."""
        await self._require()
        return await self._page(selection, limit, cursor, seconds)

    async def page_and_counts(
        self,
        selection: Selection,
        *,
        limit: int,
        seconds: float,
        count_seconds: float,
        again: bool = False,
    ) -> tuple[DeadLetterPage, Counted | None]:
        """The first page, and meanwhile the counts of all; None: they take longer than
        `count_seconds`, with the wait for others. If one fails, the other one ends with it.

        Raises:
            HookstreamError: the broker does not answer, or refuses.
        """
        await self._require()
        tasks = (
            asyncio.ensure_future(self._page(selection, limit, None, seconds)),
            asyncio.ensure_future(self._count_within(selection, count_seconds, again=again)),
        )
        try:
            return await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def plan(self, replay: Replay) -> Plan:
        """The plan of a replay.

        Raises:
            BusyError: other counts and plans took longer than `WAIT_SECONDS`.
            HookstreamError: the broker does not answer, or refuses.
        """
        await self._require()
        async with self._turns.take(self._wait_seconds):
            return await replay.plan()

    async def _page(
        self, selection: Selection, limit: int, cursor: str | None, seconds: float
    ) -> DeadLetterPage:
        return await read_page(
            self._settings.kafka, selection, self._clock,
            limit=limit, cursor=cursor, seconds=seconds,
        )  # fmt: skip

    async def _count_within(
        self, selection: Selection, seconds: float, *, again: bool
    ) -> Counted | None:
        replay = Replay(self._settings, selection, limit=None, again=again)
        try:
            async with asyncio.timeout(seconds), self._turns.take(None):
                return await replay.count()
        except TimeoutError:
            return None
