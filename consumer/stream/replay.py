"""Replays selected dead letters in batches, so that an interrupted replay can be resumed."""

import asyncio
from collections import Counter
from collections.abc import (
    AsyncGenerator,
    Awaitable,
    Callable,
    Collection,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import aclosing
from dataclasses import dataclass, field
from itertools import chain, starmap

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.settings import KafkaSettings
from consumer.stream.client import kafka_timeout
from consumer.stream.dead_letters import (
    ANSWER_TIMEOUT_SECONDS,
    DeadLetterReader,
    DeadLetterRecord,
    Offsets,
    Selection,
)
from consumer.stream.outbox import Producer, by_topic
from consumer.stream.progress import Progress
from consumer.stream.publish_errors import BatchTooLargeError, TooLargeError
from consumer.stream.replay_route import ReplayRecord, Route

BATCH_RECORDS = 100
"""Dead letters between two commits: at most these are sent twice after a crash."""
WhileHeld = Callable[[Awaitable[None]], Awaitable[None]]
"""See `GroupLock.while_held`."""


@dataclass(slots=True)
class Plan:
    """The plan of a replay, from one scan of the topic."""

    selection: Selection
    limit: int | None
    starts: Offsets
    ends: Offsets
    progress: Mapping[int, Progress]
    """Progress of earlier replays under the same group, by partition."""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Dead letters to send, by hook, reason and target topic."""
    not_replayable: Counter[str] = field(default_factory=Counter)
    """Dead letters that cannot be replayed, by the reason."""
    seen: Mapping[int, Progress] = field(default_factory=dict)
    """Progress that was there when the plan was made, also if it is not gone on from."""

    @property
    def total(self) -> int:
        """Number of dead letters to send."""
        return self.counts.total()

    @property
    def sent_before(self) -> int:
        """Number of dead letters that earlier replays sent, and this one skips."""
        return sum(progress.sent for progress in self.progress.values())

    def is_done(self, dead_letter: DeadLetterRecord) -> bool:
        """Whether an earlier replay has processed a dead letter."""
        done = self.progress.get(dead_letter.partition)
        return done is not None and done.covers(dead_letter.offset)

    def count(self, dead_letter: DeadLetterRecord, route: Route) -> None:
        """Count a selected dead letter."""
        if why := route.why_not_replayable(dead_letter):
            self.not_replayable[why] += 1
        elif (metadata := dead_letter.metadata) is not None:
            self.counts[metadata.hook, metadata.reason, route.target(dead_letter)] += 1

    async def dead_letters(
        self, reader: DeadLetterReader
    ) -> AsyncGenerator[DeadLetterRecord, None]:
        """Yield all dead letters not yet processed, selected or not, the oldest first."""
        nothing = Progress()
        done = {number: self.progress.get(number, nothing) for number in self.ends}
        starts = {number: done[number].first_unsent(first) for number, first in self.starts.items()}
        async with aclosing(reader.read(starts, self.ends)) as dead_letters:
            async for dead_letter in dead_letters:
                if not done[dead_letter.partition].covers(dead_letter.offset):
                    yield dead_letter


async def begin_plan(
    reader: DeadLetterReader, selection: Selection, *, limit: int | None, again: bool
) -> Plan:
    """A plan without counts. With `again`, it includes what was sent before."""
    starts, seen = await reader.starts(selection.since), await reader.progress()
    progress = {} if again else seen
    return Plan(selection, limit, starts, reader.ends, progress, seen=seen)


async def make_plan(
    reader: DeadLetterReader,
    selection: Selection,
    route: Route,
    *,
    limit: int | None,
    again: bool,
) -> Plan:
    """Count what `Replayer` would send. With `again`, include what was sent before."""
    plan = await begin_plan(reader, selection, limit=limit, again=again)
    async with aclosing(plan.dead_letters(reader)) as dead_letters:
        async for dead_letter in dead_letters:
            if limit is not None and plan.total >= limit:
                break
            if not selection.matches(dead_letter):
                continue
            plan.count(dead_letter, route)
    return plan


class Replayer:
    """Executes a plan. Progress is committed only after acknowledged records (at-least-once)."""

    def __init__(
        self,
        plan: Plan,
        route: Route,
        reader: DeadLetterReader,
        producer: Producer,
        *,
        while_held: WhileHeld,
        settings: KafkaSettings,
        clock: Clock,
    ) -> None:
        """Sends and commits `while_held`: what is under way when the lock ends is cancelled."""
        self.sent = 0
        """Number of records acknowledged in this run."""
        self._plan = plan
        self._route = route
        self._reader = reader
        self._producer = producer
        self._while_held = while_held
        self._settings = settings
        self._clock = clock
        self._saved: dict[int, Progress] = dict(plan.progress)

    async def run(self, *, stopped: Callable[[], bool], advanced: Callable[[int], object]) -> None:
        """Send until `stopped`, which is checked before each record; `advanced` gets batch sizes.

        Raises `HookstreamError` if the broker does not accept a record, or the lock has ended.
        Progress then excludes the whole batch, of which some records may have been accepted.
        """
        plan, passed, batch = self._plan, dict(self._plan.starts), list[DeadLetterRecord]()
        async with aclosing(plan.dead_letters(self._reader)) as dead_letters:
            async for dead_letter in dead_letters:
                if stopped():
                    return
                if self.sent + len(batch) == plan.limit:
                    break
                if plan.selection.matches(dead_letter) and not self._route.why_not_replayable(
                    dead_letter
                ):
                    batch.append(dead_letter)
                passed[dead_letter.partition] = dead_letter.offset + 1
                if len(batch) == BATCH_RECORDS:
                    await self._flush(batch, passed)
                    advanced(len(batch))
                    batch.clear()
            else:
                passed = {**plan.ends, **self._reader.unreadable}
            await self._flush(batch, passed)
            advanced(len(batch))

    async def _flush(self, batch: Collection[DeadLetterRecord], passed: Offsets) -> None:
        if not self.sent and batch:
            # Fail before anything is sent if this user may not commit.
            await self._commit({n: self._saved.get(n, Progress()) for n in self._plan.ends})
        await self._while_held(self._send(batch))
        self.sent += len(batch)
        sent = Counter(dead_letter.partition for dead_letter in batch)
        moved = {
            number: self._saved.get(number, Progress()).extended(
                self._plan.starts[number], next_offset, sent[number]
            )
            for number, next_offset in passed.items()
            if next_offset > self._plan.starts[number]
        }
        if moved:
            await self._commit(moved)
            self._saved.update(moved)

    async def _commit(self, progress: Mapping[int, Progress]) -> None:
        await self._while_held(self._reader.commit(progress))

    async def _send(self, batch: Iterable[DeadLetterRecord]) -> None:
        now = self._clock.now()
        messages = [self._route.message(dead_letter, now) for dead_letter in batch]
        while messages:
            async with kafka_timeout(self._settings, ANSWER_TIMEOUT_SECONDS):
                rest = await asyncio.gather(*starmap(self._send_to_one, by_topic(messages).items()))
                messages = list(chain.from_iterable(rest))
                if messages:
                    await self._producer.reset()

    async def _send_to_one(
        self, topic: str, messages: Sequence[ReplayRecord]
    ) -> list[ReplayRecord]:
        """Write to one topic; return the records to send again, in smaller batches."""
        batches = await self._producer.send(topic, messages)
        answers = await asyncio.gather(*(answer for _, answer in batches), return_exceptions=True)
        failed = [
            (its, error)
            for (its, _), error in zip(batches, answers, strict=True)
            if error is not None
        ]
        smaller = any(isinstance(error, BatchTooLargeError) for _, error in failed)
        for its, error in failed:
            if isinstance(error, TooLargeError):
                raise _too_large(its[0])
            if not smaller:
                raise error
        return list(chain.from_iterable(its for its, _ in failed))


def _too_large(message: ReplayRecord) -> HookstreamError:
    return HookstreamError(
        f"{message.record_ref} is too large for {message.topic}: raise max.message.bytes there, "
        "and run the same command again"
    )
