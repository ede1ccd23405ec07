"""The broker of a run, its topics and its consumer groups."""

import time
from collections import defaultdict
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from confluent_kafka import (
    OFFSET_BEGINNING,
    Consumer,
    ConsumerGroupState,
    KafkaException,
    Producer,
    TopicPartition,
)
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from benchmarks.errors import BenchmarkError
from benchmarks.process import Process
from support.broker import KafkaServer
from support.jars import kafka_jars

PARTITIONS = 4
_TIMEOUT_SECONDS = 30.0
_GROUP_TIMEOUT_SECONDS = 120.0
_POLL_SECONDS = 0.1
_OWN_TOPIC_PREFIX = "hookstream."


class Broker:
    """A broker of the benchmark, on which topics are deleted between runs."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._client: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(self._client)
        self._topics = 0

    def fill(self, records: Iterable[bytes]) -> str:
        """Create a topic with `records` spread over its partitions. Returns its name."""
        topic = self.make_topic()
        with self.producing(topic) as produce:
            for number, record in enumerate(records):
                produce(number, record)
        return topic

    def make_topic(self) -> str:
        """Create an empty topic. Returns its name."""
        self._topics += 1
        name = f"events-{self._topics}"
        for future in self._admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
            future.result(_TIMEOUT_SECONDS)
        return name

    @contextmanager
    def producing(self, topic: str) -> Iterator["Produce"]:
        """A producer to `topic`; the broker has every record at the end of the context."""
        producer = Producer({**self._client, "linger.ms": 1})
        yield Produce(producer, topic)
        producer.flush(_TIMEOUT_SECONDS)

    def wait_for_group(self, group: str, members: int, processes: Iterable[Process]) -> None:
        """Wait until the consumer group is stable with `members` members, run by `processes`."""
        deadline = time.monotonic() + _GROUP_TIMEOUT_SECONDS
        while not self._is_stable(group, members):
            for process in processes:
                process.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(
                    f"the group has not {members} members after {_GROUP_TIMEOUT_SECONDS:g} s"
                )
            time.sleep(_POLL_SECONDS)

    def forget_retry_topics(self) -> None:
        """Delete the daemon's own topics, so that the next run finds no deferred deliveries."""
        names = self._own_topics()
        if names:
            for future in self._admin.delete_topics(names).values():
                future.result(_TIMEOUT_SECONDS)

    def forget(self, topic: str) -> None:
        """Delete a topic to free its disk space."""
        self._admin.delete_topics([topic])[topic].result(_TIMEOUT_SECONDS)

    def deferred(self) -> dict[str, set[str]]:
        """By hook, the ids of its deliveries on retry topics and the dead-letter topic."""
        found = defaultdict(set)
        for record in self._read(self._own_topics()):
            headers = {name: value.decode() for name, value in record.headers() or ()}
            found[headers["hookstream-hook"]].add(headers["hookstream-delivery-id"])
        return found

    def written(self) -> int:
        """Records that were ever written to the daemon's own topics."""
        known = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        reader = Consumer({**self._client, "group.id": "benchmark"})
        try:
            return sum(
                reader.get_watermark_offsets(TopicPartition(name, number))[1]
                for name in self._own_topics()
                for number in known[name].partitions
            )
        finally:
            reader.close()

    def _is_stable(self, group: str, members: int) -> bool:
        try:
            found = self._admin.describe_consumer_groups([group])[group].result(_TIMEOUT_SECONDS)
        except (KafkaException, TimeoutError):
            return False  # the group has no member or no coordinator yet
        return found.state == ConsumerGroupState.STABLE and len(found.members) == members

    def _own_topics(self) -> list[str]:
        topics = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        return [name for name in topics if name.startswith(_OWN_TOPIC_PREFIX)]

    def _read(self, topics: list[str]) -> Iterator[Any]:
        """All records that are on `topics` now."""
        reader = Consumer(
            {**self._client, "group.id": "benchmark", "enable.partition.eof": True,
             "enable.auto.commit": False}
        )  # fmt: skip
        known = self._admin.list_topics(timeout=_TIMEOUT_SECONDS).topics
        partitions = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name in topics
            for number in known[name].partitions
        ]
        reader.assign(partitions)
        unfinished = len(partitions)
        while unfinished:
            record = reader.poll(_TIMEOUT_SECONDS)
            if record is None or record.error():
                unfinished -= 1  # the end of a partition
            else:
                yield record
        reader.close()


class Produce:
    """Sends records to one topic, without waiting for each."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def __call__(self, number: int, record: bytes) -> None:
        """Send `record` to the partition for `number`."""
        while True:
            try:
                self._producer.produce(self._topic, record, partition=number % PARTITIONS)
            except BufferError:
                self._producer.poll(0.1)
            else:
                self._producer.poll(0)
                return


@contextmanager
def running_broker(folder: Path) -> Iterator[Broker]:
    """A broker from Apache Kafka's own jars with its data in `folder`."""
    with KafkaServer(kafka_jars(), folder) as server:
        yield Broker(server.bootstrap)
