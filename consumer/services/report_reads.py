"""Reads reports for the API and the pages, a few at a time."""

from typing import Final

from consumer.clock import Clock
from consumer.journal.report_reader import Reports, read_reports
from consumer.journal.report_sums import ReportFilter, Step
from consumer.services.broker_watch import Require
from consumer.services.topic_view import in_time
from consumer.services.turns import Turns
from consumer.settings import KafkaSettings

MAX_READS: Final = 2
"""Reads at a time: each may keep one record for each hook, hour and replica."""
WAIT_SECONDS: Final = 10.0
"""How long another read waits for its turn."""
READ_SECONDS: Final = 50.0
"""Of one read."""


class ReportReads:
    """Reads reports, at most `MAX_READS` at a time; others wait for their turn."""

    def __init__(
        self,
        settings: KafkaSettings,
        require: Require,
        clock: Clock,
        wait_seconds: float = WAIT_SECONDS,
    ) -> None:
        """`require`: see `BrokerWatch`."""
        self._settings = settings
        self._require = require
        self._clock = clock
        self._wait_seconds = wait_seconds
        self._turns = Turns(
            MAX_READS,
            f"{MAX_READS} reads of the reports are under way, which take long: "
            "try again in a while, or name a hook or a shorter time",
        )

    async def read(self, wanted: ReportFilter, step: Step) -> Reports:
        """The reports of a filter.

        Raises:
            BusyError: other reads took longer than `wait_seconds`.
            UnavailableError: Kafka does not answer, or this one took longer than `READ_SECONDS`.
            HookstreamError: the broker refuses, or a record cannot be read.
        """
        await self._require()
        async with self._turns.take(self._wait_seconds):
            reading = read_reports(self._settings, wanted, step, self._clock)
            return await in_time(reading, self._settings.own_topics.reports, READ_SECONDS)
