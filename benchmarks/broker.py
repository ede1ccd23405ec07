"""The broker of a run, and what is on it."""

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
_TIMEOUT = 30.0
_GLANCE = 0.1
_OURS = "hookstream."


class Broker:
    """Always one of our own: between runs topics are deleted, which nobody's cluster deserves."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self._client: dict[str, Any] = {"bootstrap.servers": bootstrap, "log_level": 0}
        self._admin = AdminClient(self._client)
        self._topics = 0

    def fill(self, records: Iterable[bytes]) -> str:
        """A new topic with `records` in turn over its partitions; its name."""
        topic = self.make_topic()
        with self.producing(topic) as produce:
            for number, record in enumerate(records):
                produce(number, record)
        return topic

    def make_topic(self) -> str:
        """A new, empty topic; its name."""
        self._topics += 1
        name = f"events-{self._topics}"
        for future in self._admin.create_topics([NewTopic(name, PARTITIONS, 1)]).values():
            future.result(_TIMEOUT)
        return name

    @contextmanager
    def producing(self, topic: str) -> Iterator["Produce"]:
        """A producer to `topic`; on leaving the broker has every record."""
        producer = Producer({**self._client, "linger.ms": 1})
        yield Produce(producer, topic)
        producer.flush(_TIMEOUT)

    def wait_for_group(self, group: str, members: int, processes: Iterable[Process]) -> None:
        """Wait until the consumer group is stable with so many members; they run in `processes`."""
        deadline = time.monotonic() + _TIMEOUT
        while not self._is_stable(group, members):
            for process in processes:
                process.check()
            if time.monotonic() > deadline:
                raise BenchmarkError(f"the group has not {members} members after {_TIMEOUT:g} s")
            time.sleep(_GLANCE)

    def forget_retry_topics(self) -> None:
        """Delete the daemon's own topics: the next run must not find what this one parked."""
        names = self._lanes()
        if names:
            for future in self._admin.delete_topics(names).values():
                future.result(_TIMEOUT)

    def forget(self, topic: str) -> None:
        """Delete a topic, for its room on the disk."""
        self._admin.delete_topics([topic])[topic].result(_TIMEOUT)

    def deferred(self) -> dict[str, set[str]]:
        """Hook to the ids of its deliveries that are on a retry lane or in the dead letters."""
        found = defaultdict(set)
        for record in self._read(self._lanes()):
            headers = {name: value.decode() for name, value in record.headers() or ()}
            found[headers["hookstream-hook"]].add(headers["hookstream-delivery-id"])
        return found

    def _is_stable(self, group: str, members: int) -> bool:
        try:
            found = self._admin.describe_consumer_groups([group])[group].result(_TIMEOUT)
        except KafkaException:
            return False  # nobody has joined yet, or its coordinator is just being made
        return found.state == ConsumerGroupState.STABLE and len(found.members) == members

    def _lanes(self) -> list[str]:
        topics = self._admin.list_topics(timeout=_TIMEOUT).topics
        return [name for name in topics if name.startswith(_OURS)]

    def _read(self, topics: list[str]) -> Iterator[Any]:
        """Every record that is there now."""
        reader = Consumer(
            {**self._client, "group.id": "benchmark", "enable.partition.eof": True,
             "enable.auto.commit": False}
        )  # fmt: skip
        known = self._admin.list_topics(timeout=_TIMEOUT).topics
        places = [
            TopicPartition(name, number, OFFSET_BEGINNING)
            for name in topics
            for number in known[name].partitions
        ]
        reader.assign(places)
        left = len(places)
        while left:
            record = reader.poll(_TIMEOUT)
            if record is None or record.error():
                left -= 1  # the end of a partition
            else:
                yield record
        reader.close()


class Produce:
    """Sends records to one topic, without waiting for each."""

    def __init__(self, producer: Producer, topic: str) -> None:
        self._producer = producer
        self._topic = topic

    def __call__(self, number: int, record: bytes) -> None:
        """Send `record`, the `number`th."""
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
