"""Every compression codec of Kafka, by every common client, reaches the receiver."""

from confluent_kafka import Producer

from support.daemon import InProcess
from support.received import ids
from support.receiver import Receiver
from support.waiting import wait_until
from support.workspace import Workspace, event, hook, ids_of

CODECS = ("gzip", "snappy", "lz4", "zstd")
EACH = 50


def _librdkafka(bootstrap: str, topic: str, codec: str, values: list[bytes]) -> None:
    producer = Producer({"bootstrap.servers": bootstrap, "compression.type": codec})
    for value in values:
        producer.produce(topic, value)
    assert producer.flush(30) == 0


def _events(writer: str) -> list[bytes]:
    return [event(f"{writer}-{n}", text="the same again " * 20) for n in range(EACH)]


async def test_every_codec_of_every_writer_arrives(workspace: Workspace) -> None:
    """Batches of every codec arrive, compressed by aiokafka, by librdkafka or by the broker itself
    (Java, which frames snappy and lz4 in its own way), or not compressed.
    """
    cluster, names = workspace.cluster, []
    workspace.sources = {
        topic: {"topic": topic, "trigger": "event"}
        for topic in (
            workspace.topic(f"{writer}-{codec}")
            for writer in ("plain", "aiokafka", "librdkafka", "broker")
            for codec in (CODECS if writer != "plain" else ("none",))
        )
    }
    for topic in workspace.sources:
        writer, codec = topic.rpartition(".")[2].split("-")
        name = f"{writer}-{codec}"
        broker = {"compression.type": codec} if writer == "broker" else None
        await cluster.create([topic], partitions=1, configs=broker)
        if writer == "librdkafka":
            _librdkafka(cluster.bootstrap, topic, codec, _events(name))
        else:
            kind = codec if writer == "aiokafka" else None
            await cluster.produce(topic, _events(name), compression_type=kind)
        names += [f"{name}-{n}" for n in range(EACH)]
    async with Receiver() as receiver:
        workspace.write_settings()
        workspace.write_hooks(hook("a", receiver.origin))
        async with InProcess(workspace.config):
            await wait_until(workspace.caught_up, "every batch to be read")
        assert ids(receiver.requests) == dict.fromkeys(ids_of("a", names), 1)
