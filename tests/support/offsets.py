"""A group's offsets and a topic's log as tests change them from outside."""

from collections.abc import Mapping

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.admin import NewTopic, RecordsToDelete
from aiokafka.errors import for_code

from support.cluster import Cluster, Offsets
from support.waiting import wait_until


async def commit(cluster: Cluster, group: str, offsets: Offsets) -> None:
    """Commit for a group without members, as `kafka-consumer-groups --reset-offsets` does."""
    consumer = AIOKafkaConsumer(
        bootstrap_servers=cluster.bootstrap, group_id=group, enable_auto_commit=False
    )
    await consumer.start()
    try:
        places = {TopicPartition(*place): offset for place, offset in offsets.items()}
        consumer.assign(list(places))
        await consumer.commit(places)
    finally:
        await consumer.stop()


async def delete_records(cluster: Cluster, before: Mapping[tuple[str, int], int]) -> None:
    """Let each partition's log begin at the given offset, as retention does."""
    async with cluster.admin() as admin:
        await admin.delete_records(
            {TopicPartition(*place): RecordsToDelete(offset) for place, offset in before.items()}
        )


async def remake(cluster: Cluster, topic: str, *, partitions: int = 1) -> None:
    """Delete a topic and make it again as fast as the broker does."""
    async with cluster.admin() as admin:
        await admin.delete_topics([topic])

        async def made() -> bool:
            response = await admin.create_topics([NewTopic(topic, partitions, 1)])
            return not any(for_code(code).errno for _, code, *_ in response.topic_errors)

        await wait_until(made, f"{topic} to be made again")
