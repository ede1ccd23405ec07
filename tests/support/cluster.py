"""A Kafka cluster as tests use it: topics, records in, records out, offsets."""

import asyncio
import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewPartitions, NewTopic
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from aiokafka.errors import for_code

from support.waiting import wait_until

Offsets = dict[tuple[str, int], int]


@dataclass(frozen=True, slots=True)
class Placed:
    """A record where the broker put it."""

    topic: str
    partition: int
    offset: int
    timestamp: int
    """Milliseconds since the epoch."""
    value: bytes | None
    key: bytes | None = None
    headers: tuple[tuple[str, bytes | None], ...] = ()

    @property
    def source(self) -> str:
        """`topic/partition/offset`."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    @property
    def facts(self) -> dict[str, str]:
        """The headers that have a value, as text."""
        return {
            name: value.decode(errors="replace")
            for name, value in self.headers
            if value is not None
        }


class Cluster:
    """One cluster, by `host:port`. Every call has clients of its own and closes them."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap

    @asynccontextmanager
    async def admin(self) -> Any:
        """A connected admin client."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.bootstrap)
        await admin.start()
        try:
            yield admin
        finally:
            await admin.close()

    @asynccontextmanager
    async def producer(self, **options: Any) -> Any:
        """A connected producer; by default acknowledged by all, as fast as it goes."""
        producer = AIOKafkaProducer(bootstrap_servers=self.bootstrap, **{"acks": "all", **options})
        await producer.start()
        try:
            yield producer
        finally:
            await producer.stop()

    async def create(
        self,
        topics: Collection[str],
        *,
        partitions: int = 3,
        configs: Mapping[str, str] | None = None,
    ) -> None:
        """Make topics with one copy; returns when the cluster knows them."""
        wanted = [
            NewTopic(topic, partitions, 1, topic_configs=dict(configs or {})) for topic in topics
        ]
        async with self.admin() as admin:
            response = await admin.create_topics(wanted)
            errors = [for_code(code) for _, code, *_ in response.topic_errors if code]
            assert not errors, errors
        await wait_until(lambda: self._all_there(topics, there=True), f"{topics} to appear")

    async def add_partitions(self, topic: str, total: int) -> None:
        """Let `topic` have `total` partitions; returns when the cluster knows them."""
        async with self.admin() as admin:
            await admin.create_partitions({topic: NewPartitions(total)})

        async def there() -> bool:
            return len(await self.ends([topic])) == total

        await wait_until(there, f"{topic} to have {total} partitions")

    async def configure(self, topic: str, configs: Mapping[str, str]) -> None:
        """Give a topic these settings, and the defaults for all others."""
        async with self.admin() as admin:
            resource = ConfigResource(ConfigResourceType.TOPIC, topic, dict(configs))
            await admin.alter_configs([resource])

    async def delete(self, topics: Collection[str]) -> None:
        """Remove topics, those that exist; returns when the cluster forgot them."""
        async with self.admin() as admin:
            there = set(topics) & set(await admin.list_topics())
            if there:
                await admin.delete_topics(list(there))
        await wait_until(lambda: self._all_there(there, there=False), f"{there} to go")

    async def _all_there(self, topics: Collection[str], *, there: bool) -> bool:
        async with self.admin() as admin:
            known = set(await admin.list_topics())
        return set(topics) <= known if there else known.isdisjoint(topics)

    async def produce(
        self,
        topic: str,
        values: Iterable[bytes | None],
        *,
        key: bytes | None = None,
        headers: Sequence[tuple[str, bytes | None]] = (),
        partition: int | None = None,
        **options: Any,
    ) -> list[Placed]:
        """Write records in order and wait for all acknowledgements."""
        values, now = list(values), int(time.time() * 1000)
        async with self.producer(**options) as producer:
            sent = [
                await producer.send(
                    topic,
                    value,
                    key=key,
                    headers=headers,
                    partition=partition,
                    timestamp_ms=now + number,
                )
                for number, value in enumerate(values)
            ]
            places = await asyncio.gather(*sent)
        return [
            Placed(topic, place.partition, place.offset, now + number, value, key)
            for number, (place, value) in enumerate(zip(places, values, strict=True))
        ]

    async def read(self, topic: str) -> list[Placed]:
        """Every record that is in `topic` now; none if there is no such topic."""
        ends = await self.ends([topic])
        return await self._read(ends) if ends else []

    async def _read(self, ends: Offsets) -> list[Placed]:
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap, auto_offset_reset="earliest")
        await consumer.start()
        places = {TopicPartition(*place): end for place, end in ends.items()}
        found: list[Placed] = []
        try:
            consumer.assign(list(places))
            await consumer.seek_to_beginning()
            while any([await consumer.position(place) < end for place, end in places.items()]):
                for records in (await consumer.getmany(timeout_ms=100)).values():
                    found += map(placed, records)
        finally:
            await consumer.stop()
        return found

    async def ends(self, topics: Sequence[str]) -> Offsets:
        """The offset behind the last record of each partition."""
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            async with self.admin() as admin:
                described = await admin.describe_topics(list(topics))
            places = [
                TopicPartition(topic["topic"], part["partition"])
                for topic in described
                for part in topic["partitions"]
            ]
            ends = await consumer.end_offsets(places)
        finally:
            await consumer.stop()
        return {(place.topic, place.partition): end for place, end in ends.items()}

    async def starts(self, topic: str) -> Offsets:
        """The offset of the first record of each partition."""
        places = [TopicPartition(*place) for place in await self.ends([topic])]
        consumer = AIOKafkaConsumer(bootstrap_servers=self.bootstrap)
        await consumer.start()
        try:
            starts = await consumer.beginning_offsets(places)
        finally:
            await consumer.stop()
        return {(place.topic, place.partition): start for place, start in starts.items()}

    async def committed(self, group: str) -> Offsets:
        """The group's committed offsets."""
        async with self.admin() as admin:
            offsets = await admin.list_consumer_group_offsets(group)
        return {(place.topic, place.partition): found.offset for place, found in offsets.items()}


def placed(record: Any) -> Placed:
    """A record as aiokafka returned it."""
    return Placed(
        record.topic,
        record.partition,
        record.offset,
        record.timestamp,
        record.value,
        record.key,
        tuple(record.headers),
    )
