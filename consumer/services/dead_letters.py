"""Dead letters: found, counted, and sent back."""

import heapq
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final

from consumer.clock import Clock, SystemClock
from consumer.errors import HookstreamError, InvalidValue
from consumer.reasons import Reason
from consumer.services.times import milliseconds, rfc3339
from consumer.settings import Settings
from consumer.stream.client import KafkaProducer
from consumer.stream.dead_letters import DeadLetterReader, DeadLetterRecord, Selection
from consumer.stream.replay import Plan, Replayer, Route, make_plan
from consumer.stream.topics import existing_topics

FOREIGN_LABEL: Final = "not written by hookstream"


def choose(hook: str | None, reason: str | None, since: str | None, clock: Clock) -> Selection:
    """The selection of dead letters that a person names; `since`: see `times.moment`.

    Raises:
        InvalidValue: with the part's name as its path.
    """
    if reason is not None and reason not in set(Reason):
        close = get_close_matches(reason, Reason, n=1)
        hint = f"did you mean {close[0]}? " if close else ""
        raise InvalidValue(
            f"{reason!r} is no reason; {hint}there are: {', '.join(Reason)}",
            "write one of them",
            path=("reason",),
        )
    try:
        start = milliseconds(since, clock) if since is not None else None
    except InvalidValue as invalid:
        raise InvalidValue(invalid.message, invalid.hint, path=("since",)) from None
    return Selection(hook, reason, start)


async def newest(
    dead_letters: AsyncIterable[DeadLetterRecord], limit: int
) -> tuple[list[DeadLetterRecord], Counter[tuple[str, ...]]]:
    """The newest `limit` dead letters, the newest last, and a count of all by hook and reason.

    Values and headers are dropped, so that memory is bounded.
    """
    heap: list[tuple[tuple[int, int, int], DeadLetterRecord]] = []
    counts: Counter[tuple[str, ...]] = Counter()
    async for dead_letter in dead_letters:
        metadata = dead_letter.metadata
        counts[(metadata.hook, metadata.reason) if metadata else ("", FOREIGN_LABEL)] += 1
        entry = dead_letter.age_order, replace(dead_letter, value=None, headers=())
        if len(heap) < limit:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return [dead_letter for _, dead_letter in sorted(heap, key=lambda entry: entry[0])], counts


def facts(dead_letter: DeadLetterRecord) -> Mapping[str, Any]:
    """The facts of a dead letter as JSON, without the event. Times are RFC 3339."""
    known: dict[str, Any] = {
        "time": rfc3339(dead_letter.timestamp / 1000),
        "partition": dead_letter.partition,
        "offset": dead_letter.offset,
        "key": dead_letter.key.decode(errors="backslashreplace")
        if dead_letter.key is not None
        else None,
        "value_bytes": dead_letter.value_bytes,
        "foreign": dead_letter.metadata is None,
    }
    metadata = dead_letter.metadata
    if metadata is not None:
        known |= {
            "hook": metadata.hook or None,
            "reason": metadata.reason,
            "delivery_id": metadata.delivery_id or None,
            "attempts": metadata.attempts,
            "last_status": metadata.last_status or None,
            "first_failed_at": rfc3339(metadata.first_failed_at),
            "source": metadata.source,
            "source_time": rfc3339(metadata.timestamp / 1000),
            "trigger": metadata.trigger or None,
            "detail": metadata.detail or None,
            "replayed_from": metadata.replay.replayed_from if metadata.replay else None,
            "replayed_at": rfc3339(metadata.replay.at if metadata.replay else None),
        }
    return known


@dataclass(frozen=True, slots=True)
class Found:
    """The dead letters of a selection, and what a replay of them would send."""

    newest: list[DeadLetterRecord] = field(default_factory=list)
    """The newest last."""
    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Of all, by hook and reason."""
    plan: Plan | None = None
    """None: there is no dead-letter topic."""
    others: Mapping[str, int] = field(default_factory=dict)
    """Dead letters that were left out, by their group."""
    unreadable: Mapping[int, int] = field(default_factory=dict)
    """By partition, the offset from which it cannot be read."""


class Replay:
    """One replay of a selection, which is first planned and then executed.

    Every call raises `HookstreamError`.
    """

    def __init__(
        self, settings: Settings, selection: Selection, *, limit: int | None, again: bool
    ) -> None:
        """With `limit` at most so many are sent, the oldest first; `again`: with those that were
        sent before.
        """
        self._kafka = settings.kafka
        self._selection = selection
        self._limit = limit
        self._again = again
        self._group = f"{settings.kafka.group_id}.replay.{selection.name}"
        self._route = Route(
            retry_topic=settings.kafka.own_topics.retry(settings.retry.delays[0]),
            sources={source.topic for source in settings.sources},
            group=settings.kafka.group_id,
        )

    async def find(self, limit: int) -> Found:
        """The newest `limit` of the selection, and what a replay would send, in one pass."""
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            if not reader.exists:
                return Found()
            starts = await reader.starts(self._selection.since)
            progress = {} if self._again else await reader.progress()
            plan = Plan(self._selection, None, starts, reader.ends, progress)

            async def chosen() -> AsyncIterable[DeadLetterRecord]:
                async with aclosing(reader.read(starts, reader.ends)) as dead_letters:
                    async for dead_letter in dead_letters:
                        if self._selection.matches(dead_letter):
                            if not plan.is_done(dead_letter):
                                plan.count(dead_letter, self._route)
                            yield dead_letter

            kept, counts = await newest(chosen(), limit)
            return Found(kept, counts, plan, reader.skipped_foreign, reader.unreadable)

    async def plan(self, note_others: Callable[[DeadLetterReader], None] | None = None) -> Plan:
        """What would be sent. `note_others` is told what the reader left out."""
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            plan = await make_plan(
                reader, self._selection, self._route, limit=self._limit, again=self._again
            )
            if note_others is not None:
                note_others(reader)
        targets = {target for _, _, target in plan.counts}
        missing = targets.difference(await existing_topics(self._kafka, targets) if targets else ())
        if missing:
            raise HookstreamError(
                f"no such topic: {', '.join(sorted(missing))}: start the daemon once to create its "
                "own topics, and create your source topics"
            )
        return plan

    async def send(
        self, plan: Plan, *, stopped: Callable[[], bool], advanced: Callable[[int], object]
    ) -> int:
        """Send what was planned until `stopped`; `advanced` gets the sizes of batches. Returns how
        many were sent.
        """
        producer = KafkaProducer(self._kafka, SystemClock())
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            replayer = Replayer(
                plan, self._route, reader, producer, settings=self._kafka, clock=SystemClock()
            )
            try:
                await replayer.run(stopped=stopped, advanced=advanced)
            except HookstreamError as error:
                raise HookstreamError(
                    f"{error}; {replayer.sent:,} of {plan.total:,} sent; the same command goes on"
                ) from error
            finally:
                await producer.reset()
        return replayer.sent
