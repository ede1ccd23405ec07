"""The delivery log and the reports of one process: observer, writer and settings."""

import asyncio
from collections.abc import Callable

from consumer.clock import Clock
from consumer.journal.observer import JournalObserver
from consumer.journal.records import user_key_of
from consumer.journal.rows import RowEncoder
from consumer.journal.writer import JournalWriter
from consumer.metrics import Metrics
from consumer.settings import Settings
from consumer.stream.log_producer import LogProducer

LAST_WRITE_SHARE = 0.05
"""Share of the grace of a stop for the last write."""


class Journal:
    """Given to the scheduler as `observer`, and to the transport as `observer.wanted`."""

    def __init__(
        self,
        settings: Settings,
        replica: str,
        producer: LogProducer,
        *,
        metrics: Metrics,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        """`replica`: another id after each start; `random`: uniform in [0, 1)."""
        kafka, log = settings.kafka, settings.delivery_log
        self.observer = JournalObserver(
            clock=clock, random=random, failures=log.failures, successes=log.successes
        )
        self._encoder = RowEncoder(replica, kafka.group_id, user_key_of(settings))
        self._producer = producer
        self._writer = JournalWriter(
            self.observer,
            self._producer,
            self._encoder,
            own=kafka.own_topics,
            replica=replica,
            group=kafka.group_id,
            sleep=lambda seconds: asyncio.ensure_future(asyncio.sleep(seconds)),
        )
        metrics.set_delivery_log_dropped_source(lambda: self._writer.dropped)

    def use(self, settings: Settings) -> None:
        """Use the settings of a reload."""
        log = settings.delivery_log
        self.observer.failures, self.observer.successes = log.failures, log.successes
        self._encoder.use_key(user_key_of(settings))

    async def run(self) -> None:
        """Write once a second, until `close`."""
        await self._writer.run()

    async def close(self, grace: float) -> None:
        """Write the rest; `grace`: seconds for the whole stop of the process."""
        await self._writer.close(grace * LAST_WRITE_SHARE)

    async def disconnect(self) -> None:
        """Close the connections to Kafka."""
        await self._producer.close()
