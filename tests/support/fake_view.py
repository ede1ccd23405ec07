"""A cluster's answers about the logs of a `FakeConsumer`."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping

from aiokafka import TopicPartition

from consumer.stream.positions import (
    EARLIEST,
    LATEST,
    UNKNOWN_OFFSET,
    Committed,
    TopicState,
)
from support.fake_consumer import FakeConsumer


class FakeView:
    """A `View` in memory; a topic exists if it has a log or was assigned."""

    def __init__(self, consumer: FakeConsumer) -> None:
        self.consumer = consumer
        self.ids: defaultdict[str, int] = defaultdict(int)
        """How often each topic was made again."""
        self.away: set[TopicPartition] = set()
        """Partitions without a leader."""
        self.mute = False
        """Whether no node answers."""
        self.refusal: Exception | None = None
        """The exception that every query raises."""
        self.cluster = "cluster"
        self.noticed: list[Mapping[str, TopicState | None]] = []

    async def topics(self, names: Collection[str]) -> Mapping[str, TopicState | None] | None:
        """See `View`."""
        self._refuse()
        if self.mute:
            return None
        return {name: self.state(name) for name in names}

    def state(self, name: str) -> TopicState | None:
        """The present state of one topic."""
        if name in self.consumer.deleted:
            return None
        partitions = len(self.consumer.partitions_for_topic(name))
        if partitions == 0:
            return None
        return TopicState(self.cluster, f"{name}-{self.ids[name]}", partitions)

    async def offsets(
        self, times: Mapping[TopicPartition, int], isolation: int
    ) -> Mapping[TopicPartition, int]:
        """See `View`."""
        del isolation
        self._refuse()
        there = {tp: time for tp, time in times.items() if tp not in self.away and not self.mute}
        return {tp: self._offset(tp, time) for tp, time in there.items()}

    def _offset(self, tp: TopicPartition, time: int) -> int:
        consumer = self.consumer
        if time == EARLIEST:
            return consumer.start_of(tp)
        if time == LATEST:
            return consumer.end_of(tp)
        records = [r for r in consumer.logs.get(tp, []) if r.offset >= consumer.start_of(tp)]
        return next((r.offset for r in records if r.timestamp >= time), UNKNOWN_OFFSET)

    async def committed(
        self, tps: Collection[TopicPartition]
    ) -> Mapping[TopicPartition, Committed] | None:
        """See `View`."""
        self._refuse()
        offsets, metadata = self.consumer.offsets, self.consumer.metadata
        return {tp: Committed.read(offsets[tp], metadata.get(tp)) for tp in tps if tp in offsets}

    def by_leader(self, tps: Iterable[TopicPartition]) -> Mapping[int, list[TopicPartition]]:
        """See `View`: each partition number has a node of its own."""
        leaders: defaultdict[int, list[TopicPartition]] = defaultdict(list)
        for tp in tps:
            if tp not in self.away:
                leaders[tp.partition].append(tp)
        return leaders

    def notice(self, topics: Mapping[str, TopicState | None]) -> None:
        """See `View`."""
        self.noticed.append(topics)

    def _refuse(self) -> None:
        if self.refusal is not None:
            raise self.refusal
