"""A day of traffic in simulated time, with the journal's own writer, on a real broker."""

import asyncio
import random
import time
from collections import Counter
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

import pytest

from consumer.clock import SystemClock
from consumer.delivery.http.transport import AttemptResult, in_microseconds
from consumer.journal.report_reader import read_reports
from consumer.journal.report_sums import ReportFilter, Step
from consumer.reasons import ErrorKind, Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.settings import KafkaSettings
from consumer.stream.log_producer import LogProducer
from consumer.stream.transaction_errors import CommitUnknownError
from support.broker import KafkaServer
from support.cluster import Cluster
from support.definition_topics import QUICKLY_COMPACTED, committed, kafka_settings
from support.delivery_log import KEPT_FOR_EVER
from support.fakes import FakeClock, make_hook, make_source_record
from support.journal_harness import JournalHarness
from support.workspace import Workspace
from support.written_log import HookHours, Sums, read_log, recounted, summed
from support.written_log import read_reports as last_reports

DAY_SECONDS, STEP_SECONDS = 86_400, 900
REPLICAS = 3
HOOKS = [make_hook(name) for name in ("h1", "h2", "h3", "h4")]
STATUSES = [200, 200, 200, 204, 302, 404, 429, 503]
MOMENTS = ("before", "begun", "committing", "committed")
"""Of a kill: before a write, between a transaction's begin and its commit, while the commit is
under way, and between a commit and its confirmation."""


class KilledError(BaseException):
    """Ends a write as a kill does: nothing of the writer's own handling of errors follows."""


class Life:
    """A replica from its start to its end: its key in the reports is its own."""

    def __init__(self, settings: KafkaSettings, number: int, now: float) -> None:
        name = f"r{number}"
        self.producer = LogProducer(settings, f"{settings.topic_prefix}.journal.{name}")
        self.journal = JournalHarness(
            producer=self.producer,
            own=settings.own_topics,
            replica=name,
            group=settings.group_id,
            clock=FakeClock(now),
        )

    @property
    def waiting(self) -> int:
        """Rows that no write has taken so far."""
        return self.journal.observer.waiting

    async def kill(self, moment: str) -> tuple[int, int]:
        """End it as a kill does. Returns how many rows of its last write are in the log, at least
        and at most.
        """
        requests, rows = self.producer._requests, self.waiting
        commit = requests.commit

        async def die(seconds: float = 5.0) -> None:
            if moment == "committing":
                asking = asyncio.ensure_future(commit(seconds))
                await asyncio.sleep(0)  # the request may be on its way, or not
                asking.cancel()
                await asyncio.wait({asking})
            elif moment == "committed":
                await commit(seconds)
            raise KilledError

        requests.commit = die  # type: ignore[method-assign]
        if moment != "before":
            with suppress(KilledError):
                await self.journal.write()
        await self.producer.close()
        return (rows if moment == "committed" else 0), (rows if moment[:3] == "com" else 0)

    async def lose_confirmation(self) -> None:
        """Let the answer to the next commit get lost."""
        requests = self.producer._requests
        commit = requests.commit

        async def lose(seconds: float = 5.0) -> None:
            requests.commit = commit  # type: ignore[method-assign]
            await commit(seconds)
            raise CommitUnknownError("the answer was lost")

        requests.commit = lose  # type: ignore[method-assign]


class Day:
    """Lives that come and go over a day, and what they did."""

    def __init__(self, settings: KafkaSettings, chance: random.Random, start: float) -> None:
        self.now = start
        self.at_least = self.at_most = 0
        """Rows that must be in the log, and rows that may be there."""
        self.reports = 0
        """Values of reports that were written."""
        self.kills = Counter[str]()
        self._settings = settings
        self._chance = chance
        self._lives: list[Life] = []
        self._born = 0

    async def run(self) -> None:
        """Let the day pass."""
        for _ in range(DAY_SECONDS // STEP_SECONDS):
            while len(self._lives) < REPLICAS:
                self._born += 1
                self._lives.append(Life(self._settings, self._born, self.now))
            for life in list(self._lives):
                self._traffic(life.journal)
                await self._write_or_end(life, self._chance.choice(MOMENTS))
            self.now += STEP_SECONDS
            for life in self._lives:
                life.journal.clock.advance(STEP_SECONDS)
        for life in self._lives:
            await self._stop(life)

    async def _write_or_end(self, life: Life, moment: str) -> None:
        match self._chance.random():
            case below if below < 0.06:
                self._lives.remove(life)
                self.kills[moment] += 1
                least, most = await life.kill(moment)
                self.at_least += least
                self.at_most += most
            case below if below < 0.09:
                self._lives.remove(life)
                await self._stop(life)
            case below:
                if below < 0.14:
                    await life.lose_confirmation()
                await self._write(life)

    async def _stop(self, life: Life) -> None:
        life.journal.scheduler.scheduler.defer_all(lambda _: True)
        await self._write(life)
        await life.producer.close()

    async def _write(self, life: Life) -> None:
        rows, seen = life.waiting, life.journal.writer
        while life.journal.observer.has_news or seen._pending:
            await life.journal.write()
            self.reports += not seen._pending and len(seen._reported)
        assert not seen.dropped
        self.at_least += rows
        self.at_most += rows

    def _traffic(self, journal: JournalHarness) -> None:
        """Some deliveries, and a rebalance now and then that takes what is under way."""
        chance, bench = self._chance, journal.scheduler
        for _ in range(chance.randrange(40)):
            bench.submit(chance.choice(HOOKS), source_record=make_source_record())
            if bench.transport.open and chance.random() < 0.9:
                index = chance.randrange(len(bench.transport.open))
                bench.transport.answer(self._result(), index)
            journal.clock.advance(chance.random() * 4)
        if chance.random() < 0.05:
            for delivery in bench.scheduler._unfinished.deliveries:
                delivery.source_record.tracker.revoked = chance.random() < 0.5
            bench.scheduler.defer_all(lambda record: not record.revoked)
        if chance.random() < 0.1:
            hook, reason = chance.choice(HOOKS).id, chance.choice(list(Reason))
            metadata = DeliveryMetadata(reason, "t", 0, 1, 0, "event", f"e:{hook}", hook)
            journal.observer.gave_up(metadata)

    def _result(self) -> AttemptResult:
        duration = in_microseconds(self._chance.expovariate(3.0))
        if self._chance.random() < 0.15:
            return AttemptResult(error=self._chance.choice(list(ErrorKind)), duration=duration)
        return AttemptResult(status=self._chance.choice(STATUSES), duration=duration)


async def _shown(settings: KafkaSettings) -> HookHours:
    """What people are shown, but the times of attempts, of which they see percentiles."""
    found = await read_reports(settings, ReportFilter(), Step.HOUR, SystemClock())
    sums: HookHours = {}
    for report in found.reports:
        hour = datetime.fromtimestamp(report.start, UTC).strftime("%Y-%m-%dT%H")
        sums[report.hook, hour] = Sums(
            report.delivered,
            report.retried,
            report.overflowed,
            Counter(report.dead_lettered),
            Counter(report.attempts),
        )
    return sums


@pytest.mark.timeout(180)
async def test_reports_of_a_day_with_kills_equal_a_recount_of_the_log(
    server: KafkaServer, topic_prefix: str, tmp_path: Path
) -> None:
    """Over a day with replicas that come, go and are killed at every moment of a write, the reports
    equal a recount of the log by hook, hour, outcome, status and time, while their topic is
    compacted; and the log has each row once that was written, and none of a write that was not.
    """
    seed = random.randrange(2**32)  # noqa: S311  # no secret
    print(f"seed {seed}")  # noqa: T201  # pytest shows it when the test fails
    settings = kafka_settings(server.bootstrap, topic_prefix)
    workspace = Workspace(tmp_path, Cluster(server.bootstrap), topic_prefix)
    own = settings.own_topics
    await workspace.cluster.create([own.deliveries], configs=KEPT_FOR_EVER)
    compacted = QUICKLY_COMPACTED | {"segment.ms": "500"}
    await workspace.cluster.create([own.reports], partitions=2, configs=compacted)
    for topic in (own.deliveries, own.reports):  # every partition has a leader
        assert await committed(workspace.cluster, topic) == []
    start = time.time() // 3_600 * 3_600 - DAY_SECONDS
    day = Day(settings, random.Random(seed), start)  # noqa: S311  # no secret
    await day.run()
    log = [record for _, record in await read_log(workspace)]
    assert day.at_least <= len(log) <= day.at_most
    assert len(set(map(repr, log))) == len(log), "a row is there twice"
    assert min(day.kills[moment] for moment in MOMENTS) > 0, day.kills
    assert len({record.at[:13] for record in log}) > 23
    expected = recounted(log)
    assert summed(await last_reports(workspace)) == expected
    shown = await _shown(settings)
    for sums in expected.values():
        sums.latency = Sums().latency
    assert shown == expected
    kept = len(await committed(workspace.cluster, own.reports))
    assert kept < day.reports, "the topic of the reports was not compacted"
    await workspace.remove_topics()
