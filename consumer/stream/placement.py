"""Sets the position of each assigned partition, and detects recreated topics."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.records.overflow_tracker import OverflowTracker
from consumer.stream.assignment import Assignment
from consumer.stream.cluster_view import READ_UNCOMMITTED, View
from consumer.stream.commits import Commits
from consumer.stream.kafka_errors import REFUSALS, refusal
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.placement_report import Placed, Report
from consumer.stream.positions import (
    EARLIEST,
    LATEST,
    OLD_EVENT_SECONDS,
    UNKNOWN_OFFSET,
    Committed,
    Log,
    Position,
    TopicState,
    Why,
    begin_at,
    first_time,
    next_note,
)

log = get_logger(__name__)

_RETRY_INTERVAL_SECONDS = 1.0
"""Between two rounds while a partition waits for a position."""
_CHECK_INTERVAL_SECONDS = 2.0
"""Between two checks whether topics were recreated."""
_CONFIRM_SECONDS = 3.0
"""How long all answers must agree before a log is read from its start again: a partitioned or
lagging broker may report a former topic or end."""
_MISSING_GRACE_SECONDS = 3.0
"""A topic that is deleted and recreated is missing for less."""
_MISSING_REPORTED = float("inf")
"""In place of a time: the missing topic was reported."""


@dataclass(frozen=True, slots=True)
class _Question:
    """A waiting partition, and the data about it that does not need its leader."""

    tp: TopicPartition
    topic: TopicState
    position: Position | None
    commit: Committed | None
    siblings: Collection[Committed]
    first: int
    """The time to begin at without a position, in epoch milliseconds, or EARLIEST or LATEST."""


class Placement:
    """Queries the cluster and sets positions by the rules of `positions`.

    Each partition begins as soon as its leader has answered. A partition without a leader waits
    alone and is retried, so it does not delay the others.
    """

    def __init__(
        self,
        view: View,
        assignment: Assignment,
        commits: Commits,
        *,
        sources: Mapping[str, int],
        retry_topics: KnownRetryTopics,
        overflow: OverflowTopic,
        suspend: Callable[[TopicPartition], None],
        clock: Clock,
        metrics: StreamMetrics,
    ) -> None:
        """`sources`: topics, and the start of each without a commit (see `first_time`); retry
        topics begin at their first record. `suspend` lets a partition wait for a position.
        """
        self._sources = sources
        self._retry_topics = retry_topics
        self._overflow = overflow
        self._suspend = suspend
        self._view = view
        self._assignment = assignment
        self._commits = commits
        self._clock = clock
        self._metrics = metrics
        self._missing: dict[str, float] = {}
        """Missing sources: since when, in monotonic seconds, or `_MISSING_REPORTED`."""
        self._remade: dict[str, Position] = {}
        """Topics that were recreated while this process read them, with the former note."""
        self._doubted: dict[TopicPartition, tuple[Why, str, float]] = {}
        """Unconfirmed reasons to read a log from its start: reason, topic id, and since when."""
        self._check_now = asyncio.Event()
        self.checked = asyncio.Event()
        """Set after the first round."""
        metrics.declare_configured_topics(
            sources, [overflow.name, *(retry_topic.topic for retry_topic in retry_topics.named)]
        )

    def check_soon(self) -> None:
        """Check at once: a partition waits."""
        self._check_now.set()

    async def run(self) -> None:
        """Check until cancelled. Raises `HookstreamError` if this user has no permission."""
        while True:
            self._check_now.clear()
            await self.check()
            self.checked.set()
            pause = _RETRY_INTERVAL_SECONDS if self._assignment.waiting else _CHECK_INTERVAL_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._check_now.wait()
            except TimeoutError:
                continue

    async def check(self) -> None:
        """Run one round: detect changed topics, and begin waiting partitions as far as possible.

        Raises `HookstreamError` if this user has no permission.
        """
        try:
            seen = dict(self._assignment.ends)
            names = [*self._sources, *self._retry_topics.consumed, self._overflow.name]
            topics = await self._view.topics(names)
            if topics is not None:
                self._compare(topics, seen)
                await asyncio.gather(
                    self._place({name: state for name, state in topics.items() if state}),
                    self._ask_for_ends(),
                )
        except REFUSALS as error:
            if not self._retry_topics.leave_out(error):
                raise HookstreamError(refusal(error)) from error
        except KafkaError as error:
            log.warning("positions not queried, will be retried", error=repr(error))

    async def _ask_for_ends(self) -> None:
        """Ask how far the overflow topic is to be indexed before ordered deliveries are sent."""
        lines, topic = self._overflow.lines, self._overflow.name
        unsure = lines.unsure()
        if unsure:
            ends = await self._ask((TopicPartition(topic, number), LATEST) for number in unsure)
            for tp, end in ends.items():
                lines.set_end(tp.partition, end, unsure[tp.partition])

    def _compare(
        self, topics: Mapping[str, TopicState | None], seen: Mapping[TopicPartition, int]
    ) -> None:
        """Detect missing and recreated topics. `seen`: log ends from before the query for `topics`,
        so they belong to the same topics if these did not change.
        """
        for name in self._sources.keys() & topics.keys():
            self._note_missing(name, missing=topics[name] is None)
        assignment = self._assignment
        for tp, note in assignment.notes.items():
            state = topics.get(tp.topic)
            if state is None:
                continue
            if not note.is_of(state):
                self._remade[tp.topic] = Position(0, note)
                self._suspend(tp)
            elif tp in seen:
                assignment.sure_ends[tp] = seen[tp]
        for tp in assignment.waiting:
            state, before = topics.get(tp.topic), assignment.earlier_position(tp)
            if state and before and before.note and not before.note.is_of(state):
                self._remade[tp.topic] = Position(0, before.note)
        self._view.notice(topics)

    def _note_missing(self, topic: str, *, missing: bool) -> None:
        """Log a missing source once, after a grace period; `TopicWatch` recreates own topics."""
        if not missing:
            if self._missing.pop(topic, None) == _MISSING_REPORTED:
                self._metrics.topic_missing(topic, missing=False)
                log.info("a topic exists again", topic=topic)
            return
        now = self._clock.monotonic()
        if now - self._missing.setdefault(topic, now) >= _MISSING_GRACE_SECONDS:
            self._missing[topic] = _MISSING_REPORTED
            self._metrics.topic_missing(topic, missing=True)
            log.error(
                "a topic no longer exists",
                topic=topic,
                hint="create it again or remove it from the settings; the others are read on",
            )

    async def _place(self, topics: Mapping[str, TopicState]) -> None:
        """Begin waiting partitions of `topics`."""
        assignment = self._assignment
        generation = assignment.generation
        groups = self._view.by_leader(tp for tp in assignment.waiting if tp.topic in topics)
        waiting = [tp for tps in groups.values() for tp in tps]
        if not waiting:
            return
        names = {tp.topic for tp in waiting}
        siblings = [TopicPartition(t, p) for t in names for p in range(topics[t].partitions)]
        committed = await self._view.committed(siblings)
        if committed is None or generation != assignment.generation:
            return
        questions = {tp: self._question(tp, topics[tp.topic], committed) for tp in waiting}
        report = Report(self._sources, self._metrics)
        await asyncio.gather(
            *(
                self._begin([questions[tp] for tp in tps], generation, report)
                for tps in groups.values()
            )
        )
        report.log_topics()

    def _question(
        self, tp: TopicPartition, topic: TopicState, commits: Mapping[TopicPartition, Committed]
    ) -> _Question:
        commit = commits.get(tp)
        siblings = [at for other, at in commits.items() if other.topic == tp.topic and other != tp]
        remade = self._remade.get(tp.topic)
        position = self._assignment.position(tp)
        if position is None and commit is not None:
            position = Position(commit.offset, commit.note)
        if position is None and remade is not None and not siblings:
            position = remade
        start = EARLIEST if remade is not None else self._sources.get(tp.topic, EARLIEST)
        first = first_time(start, tp.partition, topic, siblings)
        return _Question(tp, topic, position, commit, siblings, first)

    async def _begin(
        self, questions: Collection[_Question], generation: int, report: Report
    ) -> None:
        """Begin those partitions of one leader for which it answers."""
        now = self._clock.now()
        starts, ends, firsts, olds = await asyncio.gather(
            self._ask((q.tp, EARLIEST) for q in questions),
            self._ask((q.tp, LATEST) for q in questions),
            self._ask((q.tp, q.first) for q in questions if q.first >= 0),
            self._ask((q.tp, int((now - OLD_EVENT_SECONDS) * 1000)) for q in questions),
        )
        assignment = self._assignment
        if generation != assignment.generation:
            return
        for q in questions:
            if q.tp not in assignment.waiting or q.tp not in starts or q.tp not in ends:
                continue
            span = Log(starts[q.tp], ends[q.tp])
            first = {EARLIEST: span.start, LATEST: span.end}.get(q.first, firsts.get(q.tp))
            if first is None:
                continue
            first = span.end if first == UNKNOWN_OFFSET else first
            beginning = begin_at(q.position, q.topic, span, first)
            if self._is_doubtful(q, beginning.why):
                continue
            if q.commit is not None and assignment.position(q.tp) is None:
                self._commits.found(q.tp, q.commit)
            note = next_note(q.position, q.topic, q.siblings, now)
            settled = q.commit.settled if q.commit is not None else ""
            tracker = assignment.begin(q.tp, beginning, note, settled)
            if isinstance(tracker, OverflowTracker):
                self._overflow.lose(tracker, tracker.committable, span.start)
            elif q.tp.topic in self._sources:
                self._overflow.lines.doubt_home(q.tp.partition)
            if self._overflow.lines.unsure():
                self.check_soon()
            old = olds.get(q.tp, UNKNOWN_OFFSET)
            old_end = span.end if old == UNKNOWN_OFFSET else old
            report.add(Placed(q.tp, q.position, span, beginning, old_end))

    def _is_doubtful(self, question: _Question, why: Why) -> bool:
        """Whether a reason to read a log from its start still needs confirmation."""
        known = self._doubted.pop(question.tp, None)
        if why not in (Why.REMADE, Why.LOG_ENDS_EARLIER):
            return False
        now = self._clock.monotonic()
        since = known[2] if known and known[:2] == (why, question.topic.topic_id) else now
        if now - since >= _CONFIRM_SECONDS:
            return False
        self._doubted[question.tp] = (why, question.topic.topic_id, since)
        return True

    async def _ask(
        self, times: Iterable[tuple[TopicPartition, int]]
    ) -> Mapping[TopicPartition, int]:
        return await self._view.offsets(dict(times), READ_UNCOMMITTED)
