"""Sends dead letters back: what a person chose, batch by batch, so that it can be gone on with."""

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Callable, Collection, Iterable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from itertools import chain, starmap

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.records.delivery_metadata import Replay
from consumer.records.record import Headers
from consumer.settings import KafkaSettings
from consumer.stream.client import kafka_timeout
from consumer.stream.dead_letters import (
    ANSWER_TIMEOUT,
    DeadLetterReader,
    DeadLetterRecord,
    Offsets,
    Selection,
)
from consumer.stream.outbox import BatchTooLargeError, Producer, TooLargeError, by_topic
from consumer.stream.progress import Progress

BATCH = 100
"""Letters between two commits: a crash sends no more than these a second time."""
REPLAYED = "replay"
"""What `hookstream-reason` says on the retry topic."""


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """A dead letter on its way back: a `handover.Message`."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    record_ref: str
    """Of the dead letter."""
    spread: bool = False


@dataclass(frozen=True, slots=True)
class Route:
    """Where a dead letter goes: deliveries to `lane`, undecodable records to their source."""

    retry_topic: str
    """The retry topic with the shortest delay."""
    sources: Collection[str]
    """Topics that the daemon consumes."""
    group: str
    """`kafka.group_id`, which is to read it."""

    def why_not_replayable(self, dead_letter: DeadLetterRecord) -> str:
        """Why it cannot be sent back; empty where it can."""
        metadata = dead_letter.metadata
        if metadata is None:
            return "not written by hookstream"
        if not dead_letter.value:
            return "kept without its value, which was empty or too large"
        if not metadata.hook and metadata.topic not in self.sources:
            return f"undecodable, and {metadata.topic} is no source any more"
        return ""

    def target(self, dead_letter: DeadLetterRecord) -> str:
        """The topic for one without obstacle."""
        metadata = dead_letter.metadata
        return self.retry_topic if metadata is None or metadata.hook else metadata.topic

    def message(self, dead_letter: DeadLetterRecord, now: float) -> ReplayRecord:
        """The record to write for one without obstacle, due at once; `now`: epoch seconds.

        The delivery keeps its id and its event, and begins its attempts anew.
        """
        metadata, told = dead_letter.metadata, Replay(dead_letter.record_ref, now)
        if metadata is None or not metadata.hook:
            own = told.source_headers(self.group)
        else:
            own = replace(
                metadata,
                reason=REPLAYED,
                attempts=0,
                last_status="",
                first_failed_at=None,
                not_before=now,
                unknown_since=None,
                detail="",
                replay=told,
            ).headers(self.group)
        headers = [*own, *dead_letter.headers]
        return ReplayRecord(
            self.target(dead_letter),
            dead_letter.key,
            dead_letter.value,
            headers,
            dead_letter.record_ref,
        )


@dataclass(slots=True)
class Plan:
    """What a replay is going to do, from one look at the topic."""

    selection: Selection
    limit: int | None
    starts: Offsets
    ends: Offsets
    progress: Mapping[int, Progress]
    """Of earlier replays under the same group."""
    counts: Counter[tuple[str, str, str]] = field(default_factory=Counter)
    """Letters to send, by hook, reason and target topic."""
    not_replayable: Counter[str] = field(default_factory=Counter)
    """Letters that cannot be sent, by the reason why not."""

    @property
    def total(self) -> int:
        """Letters to send."""
        return self.counts.total()

    @property
    def sent_before(self) -> int:
        """Letters that earlier replays sent, and this one passes over."""
        return sum(progress.sent for progress in self.progress.values())

    async def dead_letters(
        self, reader: DeadLetterReader
    ) -> AsyncGenerator[DeadLetterRecord, None]:
        """What was not gone through yet, the oldest first, whether chosen or not."""
        nothing = Progress()
        done = {number: self.progress.get(number, nothing) for number in self.ends}
        starts = {number: done[number].first_unsent(first) for number, first in self.starts.items()}
        async with aclosing(reader.read(starts, self.ends)) as dead_letters:
            async for dead_letter in dead_letters:
                if not done[dead_letter.partition].covers(dead_letter.offset):
                    yield dead_letter


async def make_plan(
    reader: DeadLetterReader,
    selection: Selection,
    route: Route,
    *,
    limit: int | None,
    again: bool,
) -> Plan:
    """Count what `Replayer` would send; `again` passes over nothing that was sent before."""
    starts = await reader.starts(selection.since)
    progress = {} if again else await reader.progress()
    plan = Plan(selection, limit, starts, reader.ends, progress)
    async with aclosing(plan.dead_letters(reader)) as dead_letters:
        async for dead_letter in dead_letters:
            if limit is not None and plan.total >= limit:
                break
            if not selection.takes(dead_letter):
                continue
            if why := route.why_not_replayable(dead_letter):
                plan.not_replayable[why] += 1
            elif dead_letter.metadata is not None:
                kind = (
                    dead_letter.metadata.hook,
                    dead_letter.metadata.reason,
                    route.target(dead_letter),
                )
                plan.counts[kind] += 1
    return plan


class Replayer:
    """Carries out a plan. Progress is committed behind acknowledged letters only."""

    def __init__(
        self,
        plan: Plan,
        route: Route,
        reader: DeadLetterReader,
        producer: Producer,
        *,
        settings: KafkaSettings,
        clock: Clock,
    ) -> None:
        self.sent = 0
        """Letters acknowledged in this run."""
        self._plan = plan
        self._route = route
        self._reader = reader
        self._producer = producer
        self._settings = settings
        self._clock = clock
        self._kept: dict[int, Progress] = dict(plan.progress)

    async def run(self, *, stopped: Callable[[], bool], advanced: Callable[[int], object]) -> None:
        """Send; `advanced` is told of each batch, and `stopped` asked between any two letters.

        Raises `HookstreamError` where the broker does not take a letter: progress stays before
        the batch it is in, of which some may have been taken.
        """
        plan, passed, batch = self._plan, dict(self._plan.starts), list[DeadLetterRecord]()
        async with aclosing(plan.dead_letters(self._reader)) as dead_letters:
            async for dead_letter in dead_letters:
                if stopped():
                    return
                if self.sent + len(batch) == plan.limit:
                    break
                if plan.selection.takes(dead_letter) and not self._route.why_not_replayable(
                    dead_letter
                ):
                    batch.append(dead_letter)
                passed[dead_letter.partition] = dead_letter.offset + 1
                if len(batch) == BATCH:
                    await self._flush(batch, passed)
                    advanced(len(batch))
                    batch.clear()
            else:
                passed = {**plan.ends, **self._reader.unreadable}
            await self._flush(batch, passed)
            advanced(len(batch))

    async def _flush(self, batch: Collection[DeadLetterRecord], passed: Offsets) -> None:
        if not self.sent and batch:
            # Who may not keep progress learns it before anything is sent.
            await self._reader.keep({n: self._kept.get(n, Progress()) for n in self._plan.ends})
        await self._send(batch)
        self.sent += len(batch)
        sent = Counter(dead_letter.partition for dead_letter in batch)
        moved = {
            number: self._kept.get(number, Progress()).extended(
                self._plan.starts[number], next_offset, sent[number]
            )
            for number, next_offset in passed.items()
            if next_offset > self._plan.starts[number]
        }
        if moved:
            await self._reader.keep(moved)
            self._kept.update(moved)

    async def _send(self, batch: Iterable[DeadLetterRecord]) -> None:
        now = self._clock.now()
        messages = [self._route.message(dead_letter, now) for dead_letter in batch]
        while messages:
            async with kafka_timeout(self._settings, ANSWER_TIMEOUT):
                left = await asyncio.gather(*starmap(self._send_to_one, by_topic(messages).items()))
                messages = list(chain.from_iterable(left))
                if messages:
                    await self._producer.reset()

    async def _send_to_one(
        self, topic: str, messages: Sequence[ReplayRecord]
    ) -> list[ReplayRecord]:
        """Write to one topic; gives back what is to be sent again, in smaller batches."""
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
        "and give the same command again"
    )
