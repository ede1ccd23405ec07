"""Asks whether a cluster answers."""

from consumer.settings import KafkaSettings
from consumer.stream.client import connection_options
from consumer.stream.cluster_client import ClusterClient


async def ask_brokers(settings: KafkaSettings) -> None:
    """Return when one of the bootstrap servers has answered. Raises `KafkaError`; it may take as
    long as a connection may.
    """
    client = ClusterClient(**connection_options(settings))
    try:
        await client.bootstrap()
    finally:
        await client.close()
