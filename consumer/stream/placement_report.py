"""Says what became of positions: what is lost, what was made again, which old events are sent."""

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
    """A partition that was given a position, and why."""

    tp: TopicPartition
    position: Position | None
    log: Log
    beginning: Beginning
    old_end: int
    """The offset behind the last event that is older than an hour."""

    @property
    def events(self) -> int:
        """Records from the position to the end."""
        return max(0, self.log.end - self.beginning.offset)

    @property
    def old_events(self) -> int:
        """Those of them that are older than an hour."""
        return max(0, min(self.old_end, self.log.end) - self.beginning.offset)


class Report:
    """Of one round: a line for each partition that lost records, and for each topic one more if it
    is not simply read on.
    """

    def __init__(self, sources: Mapping[str, int], metrics: StreamMetrics) -> None:
        """`sources`: topics, and where each begins without a commit."""
        self._sources = sources
        self._metrics = metrics
        self._by_topic: defaultdict[str, list[Placed]] = defaultdict(list)

    def add(self, placed: Placed) -> None:
        """One partition was begun; a loss is told at once."""
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

    def tell(self) -> None:
        """Say what concerns whole topics."""
        for topic, partitions in self._by_topic.items():
            remade = [p for p in partitions if p.beginning.why is Why.REMADE]
            if remade:
                self._metrics.topic_remade(topic)
                log.warning(
                    "a topic was deleted and made again: it is read from its start",
                    topic=topic,
                    partitions=sorted(p.tp.partition for p in remade),
                    events=sum(p.events for p in remade),
                )
            self._tell_events(topic, partitions)

    def _tell_events(self, topic: str, partitions: list[Placed]) -> None:
        events = sum(p.events for p in partitions)
        old = sum(p.old_events for p in partitions)
        why = sorted({p.beginning.why.value for p in partitions})
        start = _in_words(self._sources.get(topic, EARLIEST))
        if old:
            log.warning(
                "old events will be sent",
                topic=topic,
                events=events,
                older_than_an_hour=old,
                why=why,
                start=start,
                hint="sources[].start says where a source without a committed offset begins: "
                "earliest, latest, or a time",
            )
        elif events or topic in self._sources:
            log.info("reading of a topic begins", topic=topic, events=events, why=why, start=start)


def _in_words(start: int) -> str:
    if start in (EARLIEST, LATEST):
        return "earliest" if start == EARLIEST else "latest"
    return datetime.fromtimestamp(start / 1000, UTC).isoformat()
