"""Dead letters: found, counted, and sent back."""

import heapq
from collections import Counter
from collections.abc import AsyncIterable, Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from typing import Any, Final

from consumer.clock import Clock, SystemClock
from consumer.errors import HookstreamError, InvalidValue
from consumer.journal.dead_letter_search import DeadLetterSearch
from consumer.journal.log_search import Horizon, SearchBounds, SearchEnd
from consumer.logs import get_logger
from consumer.reasons import Reason
from consumer.services.times import milliseconds, rfc3339
from consumer.settings import KafkaSettings, Settings
from consumer.stream.backward_merge import Item
from consumer.stream.dead_letters import DeadLetterReader, DeadLetterRecord, Selection
from consumer.stream.group_lock import GroupLock, LockedError
from consumer.stream.producer import KafkaProducer
from consumer.stream.replay import Plan, Replayer, begin_plan, make_plan
from consumer.stream.replay_route import Route
from consumer.stream.topics import existing_topics

log = get_logger(__name__)

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
        counts[_kind(dead_letter)] += 1
        entry = dead_letter.age_order, replace(dead_letter, value=None, headers=())
        if len(heap) < limit:
            heapq.heappush(heap, entry)
        else:
            heapq.heappushpop(heap, entry)
    return [dead_letter for _, dead_letter in sorted(heap, key=lambda entry: entry[0])], counts


def _kind(dead_letter: DeadLetterRecord) -> tuple[str, str]:
    """Its hook and reason."""
    metadata = dead_letter.metadata
    return (metadata.hook, metadata.reason) if metadata else ("", FOREIGN_LABEL)


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
class DeadLetterPage:
    """A part of the dead letters of a selection."""

    dead_letters: Sequence[DeadLetterRecord]
    """The newest first, without values and headers."""
    horizon: Horizon
    """What was searched, with the cursor of the next page."""
    others: Mapping[str, int]
    """Dead letters that were left out, by their group."""


async def read_page(
    settings: KafkaSettings,
    selection: Selection,
    clock: Clock,
    *,
    limit: int,
    cursor: str | None,
    seconds: float,
) -> DeadLetterPage:
    """The newest `limit` dead letters, or those behind a cursor, as far as a search of so many
    seconds comes.

    Raises:
        ConfigError: the cursor is of another search.
        HookstreamError: the broker does not answer, or refuses.
    """
    search = DeadLetterSearch(settings, selection, clock)
    found, horizon = list[DeadLetterRecord](), Horizon(SearchEnd.NO_LOG, None, 0, 0)
    steps = search.steps(limit=limit, cursor=cursor, bounds=SearchBounds(seconds=seconds))
    async with aclosing(steps):
        async for step in steps:
            if isinstance(step, Item):
                found.append(step.value)
            elif isinstance(step, Horizon):
                horizon = step
    return DeadLetterPage(found, horizon, search.others)


@dataclass(frozen=True, slots=True)
class Counted:
    """How many dead letters there are of a selection, and what a replay of them would send."""

    counts: Counter[tuple[str, ...]] = field(default_factory=Counter)
    """Of all, by hook and reason."""
    plan: Plan | None = None
    """None: there is no dead-letter topic."""


class ReplayRunningError(HookstreamError):
    """Another replay of this installation is under way."""


class ReplayedMeanwhileError(HookstreamError):
    """Another replay has sent some of what was planned."""


class Replay:
    """One replay of a selection, which is first planned and then executed.

    Every call raises `HookstreamError`.
    """

    def __init__(
        self,
        settings: Settings,
        selection: Selection,
        *,
        limit: int | None,
        again: bool,
        by: str | None = None,
    ) -> None:
        """With `limit` at most so many are sent, the oldest first; `again`: with those that were
        sent before; `by`: the user of the panel, for its log.
        """
        self._kafka = settings.kafka
        self._selection = selection
        self._limit = limit
        self._again = again
        self._by = by
        self._group = f"{settings.kafka.group_id}.replay.{selection.name}"
        self._lock_group = f"{settings.kafka.group_id}.replay.lock"
        self._route = Route(
            retry_topic=settings.kafka.own_topics.retry(settings.retry.delays[0]),
            sources={source.topic for source in settings.sources},
            group=settings.kafka.group_id,
        )

    async def count(self) -> Counted:
        """How many there are of the selection, and what a replay would send, in one pass."""
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            if not reader.exists:
                return Counted()
            plan = await begin_plan(reader, self._selection, limit=None, again=self._again)
            counts: Counter[tuple[str, ...]] = Counter()
            async with aclosing(reader.read(plan.starts, reader.ends)) as dead_letters:
                async for dead_letter in dead_letters:
                    if self._selection.matches(dead_letter):
                        counts[_kind(dead_letter)] += 1
                        if not plan.is_done(dead_letter):
                            plan.count(dead_letter, self._route)
            return Counted(counts, plan)

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

        Raises:
            ReplayRunningError: another replay is under way; nothing was sent.
            ReplayedMeanwhileError: one was since the plan was made; nothing was sent.
            HookstreamError: it broke off, and says how many were sent.
        """
        clock = SystemClock()
        try:
            async with GroupLock(self._kafka, self._lock_group, clock) as lock:
                return await self._send(plan, lock, stopped, advanced)
        except LockedError as error:
            raise ReplayRunningError(
                "another replay is under way, so nothing was sent: wait for its end, and look again"
            ) from error

    async def _send(
        self,
        plan: Plan,
        lock: GroupLock,
        stopped: Callable[[], bool],
        advanced: Callable[[int], object],
    ) -> int:
        producer = KafkaProducer(self._kafka, SystemClock())
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            if await reader.progress() != plan.seen:
                raise ReplayedMeanwhileError(
                    "another replay has sent some of these since they were counted, so nothing was "
                    "sent: look again"
                )
            replayer = Replayer(
                plan, self._route, reader, producer,
                while_held=lock.while_held, settings=self._kafka, clock=SystemClock(),
            )  # fmt: skip
            try:
                await replayer.run(stopped=stopped, advanced=advanced)
            except HookstreamError as error:
                raise _broken_off(str(error), replayer.sent, plan.total) from error
            finally:
                await producer.reset()
                if self._by is not None:
                    log.info(
                        "a replay has ended",
                        who=self._by,
                        filter=self._selection.name,
                        sent=replayer.sent,
                        planned=plan.total,
                    )
        return replayer.sent


def _broken_off(why: str, sent: int, total: int) -> HookstreamError:
    return HookstreamError(f"{why}; {sent:,} of {total:,} sent; the same command goes on")
