"""A connection that broke is a Kafka error on uvloop too, and no end of aiokafka's tasks."""

import asyncio

import pytest
import uvloop
from aiokafka.errors import KafkaConnectionError
from aiokafka.protocol.metadata import MetadataRequest

from consumer.stream.connections import connect


async def _write_to_a_closed_one(bootstrap: str) -> None:
    host, port = bootstrap.split(":")
    connection = await connect(host, int(port))
    connection._writer.transport.abort()
    await asyncio.sleep(0)  # closed now, and its reader does not know yet
    with pytest.raises(KafkaConnectionError, match="handler is closed"):
        connection.send(MetadataRequest([]))
    assert not connection.connected()
    with pytest.raises(KafkaConnectionError, match="No connection"):
        connection.send(MetadataRequest([]))


def test_a_write_to_a_closed_connection_is_a_kafka_error(bootstrap_servers: str) -> None:
    """A write to a closed connection raises a Kafka error on uvloop as on asyncio's own loop, and
    the connection is not used again.
    """
    uvloop.run(_write_to_a_closed_one(bootstrap_servers))
