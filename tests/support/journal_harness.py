"""The delivery log's observer and writer with a fake cluster, clock and chance."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from consumer.errors import HookstreamError
from consumer.journal.observer import MAX_ROWS, JournalObserver
from consumer.journal.records import (
    DeliveryRecord,
    ReportRecord,
    read_delivery,
    read_report,
    user_key,
)
from consumer.journal.rows import RowEncoder
from consumer.journal.writer import JournalWriter, Producer
from consumer.settings import OwnTopics
from consumer.stream.batch_builder import LogRecord
from support.fakes import FakeClock
from support.scheduler_harness import SchedulerHarness
from support.waiting import wait_until

OWN = OwnTopics("hs")
REPLICA = "r1"
GROUP = "group"
USER_KEY = user_key("s3cret", GROUP, "hs")


class FakeLogCluster:
    """Keeps what is written. While `error` is set each write fails with it, after writing if
    `is_silent`.
    """

    def __init__(self) -> None:
        self.records: list[LogRecord] = []
        self.error: HookstreamError | None = None
        self.is_silent = False
        self.tries = 0
        self._unconfirmed: Sequence[LogRecord] = ()

    async def write(self, records: Sequence[LogRecord]) -> None:
        """See `writer.Producer`: records that are written once more were not confirmed before."""
        self.tries += 1
        if self.error is None:
            if records is not self._unconfirmed:
                self.records += records
            self._unconfirmed = ()
            return
        if self.is_silent and records is not self._unconfirmed:
            self.records += records
            self._unconfirmed = records
        raise self.error

    @property
    def log(self) -> list[DeliveryRecord]:
        """The log."""
        found = [read_delivery(r.value) for r in self.records if r.topic == OWN.deliveries]
        assert all(isinstance(record, DeliveryRecord) for record in found), found
        return [record for record in found if isinstance(record, DeliveryRecord)]

    @property
    def reports(self) -> list[ReportRecord]:
        """The last report of each key."""
        last = {r.key: read_report(r.value) for r in self.records if r.topic == OWN.reports}
        assert all(isinstance(record, ReportRecord) for record in last.values()), last
        return [record for record in last.values() if isinstance(record, ReportRecord)]


class JournalHarness:
    """A scheduler whose attempts are observed, and the writer behind it."""

    def __init__(
        self,
        *,
        failures: bool = True,
        successes: float = 1.0,
        random: Callable[[], float] = lambda: 0.5,
        max_rows: int = MAX_ROWS,
        producer: Producer | None = None,
        own: OwnTopics = OWN,
        replica: str = REPLICA,
        group: str = GROUP,
        clock: FakeClock | None = None,
        **options: Any,
    ) -> None:
        """`producer`: to a real cluster, in place of the fake one; `options`: the scheduler's."""
        self.cluster = FakeLogCluster()
        clock = clock or FakeClock()
        self.observer = JournalObserver(
            clock=clock, random=random, failures=failures, successes=successes, max_rows=max_rows
        )
        self.scheduler = SchedulerHarness(clock=clock, observers=(self.observer,), **options)
        self.scheduler.transport.measure(self.observer.wanted)
        self.clock = clock
        self.sleeps: list[float] = []
        self.awake = asyncio.Event()
        """While it is set, the writer does not sleep."""
        self.writer = JournalWriter(
            self.observer,
            producer or self.cluster,
            RowEncoder(replica, group, USER_KEY),
            own=own,
            replica=replica,
            group=group,
            sleep=self._sleep,
        )

    def _sleep(self, seconds: float) -> "asyncio.Future[None]":
        self.sleeps.append(seconds)

        async def wait() -> None:
            await self.awake.wait()
            await asyncio.sleep(0)

        return asyncio.ensure_future(wait())

    async def write(self) -> None:
        """Let the writer write once."""
        await self.writer._flush()

    async def run_until(self, condition: Callable[[], bool], what: str) -> None:
        """Run the writer without pauses until `condition` holds."""
        self.awake.set()
        running = asyncio.create_task(self.writer.run())
        try:
            await wait_until(condition, what)
        finally:
            running.cancel()
            await asyncio.wait({running})
