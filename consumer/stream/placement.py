"""Gives each assigned partition its position, and watches that its topic stays the same one."""

import asyncio
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from aiokafka import TopicPartition
from aiokafka.errors import KafkaError

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.stream.assignment import Assignment
from consumer.stream.cluster_view import READ_UNCOMMITTED, View
from consumer.stream.commits import Commits
from consumer.stream.kafka_errors import REFUSALS, refusal
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.placement_report import Placed, Report
from consumer.stream.positions import (
    EARLIEST,
    LATEST,
    OLD_SECONDS,
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

_RETRY_SECONDS = 1.0
"""Between two rounds while a partition waits."""
_LOOK_SECONDS = 2.0
"""Between two looks whether each topic is the same one."""
_CONFIRM_SECONDS = 3.0
"""For which every answer must be the same before a log is read from its start again. A broker that
is cut off from the others, or behind them, may tell of a topic or an end of before."""
_MISSING_SECONDS = 3.0
"""A topic that is deleted and made again is away for less."""
_TOLD = float("inf")


@dataclass(frozen=True, slots=True)
class _Question:
    """A partition that waits, and what is known of it without its leader."""

    tp: TopicPartition
    topic: TopicState
    position: Position | None
    commit: Committed | None
    siblings: Collection[Committed]
    first: int
    """The time to begin at if nothing was reached."""


class Placement:
    """Decides by `positions`, and asks the cluster for what that needs.

    Each partition is begun as soon as its own leader has answered; one whose leader is away waits
    alone, and is asked for again.
    """

    def __init__(
        self,
        view: View,
        assignment: Assignment,
        commits: Commits,
        *,
        sources: Mapping[str, int],
        retry_topics: KnownRetryTopics,
        suspend: Callable[[TopicPartition], None],
        clock: Clock,
        metrics: StreamMetrics,
    ) -> None:
        """`sources`: topics, and where each begins without a commit (see `first_time`); the retry
        topics begin at their first record. `suspend` lets a partition wait for a position.
        """
        self._sources = sources
        self._retry_topics = retry_topics
        self._suspend = suspend
        self._view = view
        self._assignment = assignment
        self._commits = commits
        self._clock = clock
        self._metrics = metrics
        self._missing: dict[str, float] = {}
        """Sources: since when, in monotonic seconds, or `_TOLD`."""
        self._remade: dict[str, Position] = {}
        """Topics that were made again while this process read them, with a note of before."""
        self._doubted: dict[TopicPartition, tuple[Why, str, float]] = {}
        """Reasons to read a log from its start again: why, in which topic, since when."""
        self._wanted = asyncio.Event()
        metrics.needs(sources, [retry_topic.topic for retry_topic in retry_topics.named])

    def hurry(self) -> None:
        """A partition waits: look at once."""
        self._wanted.set()

    async def run(self) -> None:
        """Look until cancelled. Raises `HookstreamError` if this user may not ask."""
        while True:
            self._wanted.clear()
            await self.look()
            pause = _RETRY_SECONDS if self._assignment.waiting else _LOOK_SECONDS
            try:
                async with asyncio.timeout(pause):
                    await self._wanted.wait()
            except TimeoutError:
                continue

    async def look(self) -> None:
        """One round: notice what became of the topics, and begin what waits as far as possible.

        Raises `HookstreamError` if this user may not ask.
        """
        try:
            seen = dict(self._assignment.ends)
            topics = await self._view.topics([*self._sources, *self._retry_topics.consumed])
            if topics is not None:
                self._compare(topics, seen)
                await self._place({name: state for name, state in topics.items() if state})
        except REFUSALS as error:
            if not self._retry_topics.leave_out(error):
                raise HookstreamError(refusal(error)) from error
        except KafkaError as error:
            log.warning("positions could not be asked for; tried again", error=repr(error))

    def _compare(
        self, topics: Mapping[str, TopicState | None], seen: Mapping[TopicPartition, int]
    ) -> None:
        """Notice topics that are gone, are there again, or were made again. `seen`: the ends of
        logs before `topics` was asked for, which are of the same topics if these did not change.
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
        """Tell once that a source is gone, but not while it may just be made again. Topics of ours
        are made again by `TopicWatch`, which tells of it.
        """
        if not missing:
            if self._missing.pop(topic, None) == _TOLD:
                self._metrics.topic_missing(topic, missing=False)
                log.info("a topic exists again", topic=topic)
            return
        now = self._clock.monotonic()
        if now - self._missing.setdefault(topic, now) >= _MISSING_SECONDS:
            self._missing[topic] = _TOLD
            self._metrics.topic_missing(topic, missing=True)
            log.error(
                "a topic does not exist any more",
                topic=topic,
                hint="create it again, or take it out of the settings; all others go on",
            )

    async def _place(self, topics: Mapping[str, TopicState]) -> None:
        """Begin what waits in `topics`."""
        assignment = self._assignment
        generation = assignment.generation
        groups = self._view.by_leader(tp for tp in assignment.waiting if tp.topic in topics)
        waiting = [tp for tps in groups.values() for tp in tps]
        if not waiting:
            return
        names = {tp.topic for tp in waiting}
        every = [TopicPartition(t, p) for t in names for p in range(topics[t].partitions)]
        committed = await self._view.committed(every)
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
        report.tell()

    def _question(
        self, tp: TopicPartition, topic: TopicState, commits: Mapping[TopicPartition, Committed]
    ) -> _Question:
        commit = commits.get(tp)
        siblings = [at for other, at in commits.items() if other.topic == tp.topic and other != tp]
        remade = self._remade.get(tp.topic)
        reached = self._assignment.position(tp)
        if reached is None and commit is not None:
            reached = Position(commit.offset, commit.note)
        if reached is None and remade is not None and not siblings:
            reached = remade
        start = EARLIEST if remade is not None else self._sources.get(tp.topic, EARLIEST)
        first = first_time(start, tp.partition, topic, siblings)
        return _Question(tp, topic, reached, commit, siblings, first)

    async def _begin(
        self, questions: Collection[_Question], generation: int, report: Report
    ) -> None:
        """Begin partitions of one leader, those that it answers for."""
        now = self._clock.now()
        starts, ends, firsts, olds = await asyncio.gather(
            self._ask((q.tp, EARLIEST) for q in questions),
            self._ask((q.tp, LATEST) for q in questions),
            self._ask((q.tp, q.first) for q in questions if q.first >= 0),
            self._ask((q.tp, int((now - OLD_SECONDS) * 1000)) for q in questions),
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
            assignment.begin(q.tp, beginning, note)
            old = olds.get(q.tp, UNKNOWN_OFFSET)
            report.add(
                Placed(
                    q.tp, q.position, span, beginning, span.end if old == UNKNOWN_OFFSET else old
                )
            )

    def _is_doubtful(self, question: _Question, why: Why) -> bool:
        """Whether a reason to read everything again must be heard once more."""
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
