"""Logs the results of placement: lost records, recreated topics, and old events to be sent."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from aiokafka import TopicPartition

from consumer.logs import get_logger
from consumer.metrics.stream import StreamMetrics
from consumer.stream.positions import EARLIEST, LATEST, Beginning, Log, Position, Why

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Placed:
    """A partition's new position, with the reason."""

    tp: TopicPartition
    position: Position | None
    log: Log
    beginning: Beginning
    old_end: int
    """The offset after the last event that is older than an hour."""

    @property
    def events(self) -> int:
        """Number of records from the position to the end."""
        return max(0, self.log.end - self.beginning.offset)

    @property
    def old_events(self) -> int:
        """Number of records from the position on that are older than an hour."""
        return max(0, min(self.old_end, self.log.end) - self.beginning.offset)


class Report:
    """The report of one round: log lines for lost records, and for topics with a new beginning."""

    def __init__(self, sources: Mapping[str, int], metrics: StreamMetrics) -> None:
        """`sources`: topics, and the start of each without a commit."""
        self._sources = sources
        self._metrics = metrics
        self._by_topic: defaultdict[str, list[Placed]] = defaultdict(list)

    def add(self, placed: Placed) -> None:
        """Add a partition; log a loss at once."""
        beginning = placed.beginning
        self._metrics.offsets_lost(placed.tp.topic, placed.tp.partition, beginning.lost)
        if beginning.lost and placed.position is not None:
            log.error(
                "records were lost: the position is outside the log",
                topic=placed.tp.topic,
                partition=placed.tp.partition,
                lost=beginning.lost,
                position=placed.position.offset,
                log_start=placed.log.start,
                log_end=placed.log.end,
                why=beginning.why.value,
            )
        if beginning.why not in (Why.GOES_ON, Why.LOG_BEGINS_LATER):
            self._by_topic[placed.tp.topic].append(placed)

    def log_topics(self) -> None:
        """Log what concerns whole topics."""
        for topic, partitions in self._by_topic.items():
            remade = [p for p in partitions if p.beginning.why is Why.REMADE]
            if remade:
                self._metrics.topic_remade(topic)
                log.warning(
                    "a topic was deleted and recreated: it is read from its start",
                    topic=topic,
                    partitions=sorted(p.tp.partition for p in remade),
                    events=sum(p.events for p in remade),
                )
            self._log_events(topic, partitions)

    def _log_events(self, topic: str, partitions: list[Placed]) -> None:
        events = sum(p.events for p in partitions)
        old = sum(p.old_events for p in partitions)
        why = sorted({p.beginning.why.value for p in partitions})
        start = _start_text(self._sources.get(topic, EARLIEST))
        if old:
            log.warning(
                "old events will be sent",
                topic=topic,
                events=events,
                older_than_an_hour=old,
                why=why,
                start=start,
                hint="sources[].start sets the start of a source without a committed offset: "
                "earliest, latest, or a time",
            )
        elif events or topic in self._sources:
            log.info("reading of a topic begins", topic=topic, events=events, why=why, start=start)


def _start_text(start: int) -> str:
    if start in (EARLIEST, LATEST):
        return "earliest" if start == EARLIEST else "latest"
    return datetime.fromtimestamp(start / 1000, UTC).isoformat()
