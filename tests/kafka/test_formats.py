"""Sources in other formats than JSON, on a real broker and beside a registry that goes away."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import aclosing
from http import HTTPStatus
from typing import Any

import pytest

from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.services.events import RecentEvents, event_at
from consumer.settings import load_settings
from support.daemon import InProcess
from support.proto_messages import FIRST_TYPE
from support.received import ids
from support.receiver import Receiver, response
from support.registered import Confluent
from support.schema_registry import SchemaRegistryDouble, schema_registry
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

AVRO = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"}]}
LATER = {"name": "x", "type": ["null", "int"], "default": None}
NEWER = {"type": "record", "name": "E", "fields": [{"name": "id", "type": "string"}, LATER]}
WAITING = "hookstream_partitions_awaiting_schema"


class Formats:
    """A workspace with a source in JSON and one in another format, and a registry."""

    def __init__(self, workspace: Workspace, registry: SchemaRegistryDouble) -> None:
        self.workspace, self.registry = workspace, registry
        self.topic, self.json = workspace.topic("event"), workspace.topic("push_click")
        self.confluent = Confluent(registry.url, self.topic)

    async def begin(self, format: str, origin: str) -> None:
        """Make the topics, of two partitions, and write settings and hooks."""
        await self.workspace.create_topics(partitions=2)
        self.workspace.sources[self.topic]["format"] = format
        self.workspace.write_settings(schema_registry={"url": self.registry.url})
        self.workspace.write_hooks(hook("a", origin), hook("j", origin, trigger="push_click"))

    async def write(self, record: Any, partition: int = 0) -> Any:
        """Write a record to the source in the other format."""
        return await self.workspace.cluster.produce(
            self.topic, [record.value], headers=record.headers, partition=partition
        )

    async def avro(self, event_id: str, schema: Any = AVRO, place: str = "prefix") -> Any:
        """A record in Avro."""
        return await asyncio.to_thread(self.confluent.avro, schema, {"id": event_id}, place)

    async def write_json(self, event_id: str) -> None:
        """Write an event to the source in JSON."""
        await self.workspace.cluster.produce(self.json, [event(event_id)])


@pytest.fixture
async def formats(workspace: Workspace) -> AsyncIterator[Formats]:
    """The sources and the registry."""
    with schema_registry() as registry:
        formats = Formats(workspace, registry)
        yield formats
        formats.confluent.close()


async def _waits(daemon: InProcess, series: str) -> None:
    async def waiting() -> bool:
        if daemon.admin_port is None:
            return False
        status, why = await daemon.get("/readyz")
        unready = status == HTTPStatus.SERVICE_UNAVAILABLE and "records wait for a schema" in why
        return unready and await daemon.sample(series) == 1

    await wait_until(waiting, "the partition to wait")


async def test_a_registry_that_is_away_at_the_start_and_later(formats: Formats) -> None:
    """While the registry is away, only partitions wait whose next record needs a schema that is not
    here yet; readiness and a metric say so, and afterwards nothing is lost.

    1. The registry is away at the start. An Avro record waits, JSON goes on. 2. It is back, and the
    record is delivered. 3. It answers 503. A record of a new schema waits with those behind it,
    one of the known schema in another partition and JSON go on. 4. It is back: all are delivered,
    once each, and an id that it does not know is a dead letter with its bytes.
    """
    workspace = formats.workspace
    avro = formats.avro
    first, second = await avro("e1"), await avro("e2")
    new, behind = await avro("e3", NEWER), await avro("e4")
    unknown = b"\0\0\0\x27\x0f" + b"\x04e9"
    series = WAITING + f'{{partition="0",topic="{formats.topic}"}}'
    async with Receiver() as receiver:
        await formats.begin("avro", receiver.origin)
        formats.registry.stop()
        async with InProcess(workspace.config) as daemon:
            await formats.write(first)
            await _waits(daemon, series)
            await formats.write_json("j1")
            await receiver.until(requests=1)
            formats.registry.start()
            await receiver.until(requests=2)
            await wait_until(daemon.ready, "the daemon to be ready again")
            assert await daemon.sample(series) == 0
            formats.registry.status = 503
            for record in (new, behind):
                await formats.write(record)
            await _waits(daemon, series)
            await formats.write_json("j2")
            await formats.write(second, partition=1)
            await receiver.until(requests=4)
            formats.registry.status = 200
            await receiver.until(requests=6)
            [placed] = await workspace.cluster.produce(formats.topic, [unknown], partition=1)
            await wait_until(workspace.caught_up, "everything to be settled")
    expected = dict.fromkeys(["e1:a", "e2:a", "e3:a", "e4:a", "j1:j", "j2:j"], 1)
    assert ids(receiver.requests) == Counter(expected)
    [dead_letter] = await workspace.dead_letters()
    assert (dead_letter.value, dead_letter.facts["hookstream-reason"]) == (unknown, "undecodable")
    assert dead_letter.facts["hookstream-source"] == placed.source
    assert "schema 9999 is not in the registry" in dead_letter.facts["hookstream-detail"]


async def test_a_deferred_delivery_in_another_format(formats: Formats) -> None:
    """A deferred delivery keeps its value and the headers that its format needs, and is sent again
    by another process once that has its schema.

    1. The receiver answers 503, and the daemon stops. 2. Another one starts while the registry is
    away: the deferred record goes on to the next retry topic. 3. The registry is back, and the
    delivery succeeds under the same id.
    """
    workspace = formats.workspace
    record = await formats.avro("e1", AVRO, "header")
    async with Receiver(response(503)) as receiver:
        await formats.begin("auto", receiver.origin)
        await formats.write(record)
        async with InProcess(workspace.config):
            await receiver.until(requests=1)
            await wait_until(lambda: _deferred(workspace), "a deferred record")
        formats.registry.stop()
        daemon = InProcess(workspace.config)
        daemon._task = asyncio.create_task(daemon.app.run())  # it may never be ready
        await wait_until(lambda: _deferred(workspace, 1), "the record to be deferred again")
        waiting, *_ = await _deferred(workspace, 1)
        formats.registry.start()
        await receiver.until(requests=2)
        await daemon.stop()
    assert waiting.value == record.value
    assert ids(receiver.requests) == {"e1:a": 2}


async def _deferred(workspace: Workspace, topic: int = 0) -> Any:
    return await workspace.cluster.read(workspace.retry_topics[topic])


async def test_recent_events_and_protobuf(formats: Formats) -> None:
    """Protobuf messages are delivered, and the panel's recent events are read in the source's
    format, from a registry that it asks itself and says so if that is away.
    """
    message = FIRST_TYPE(id="e1")
    record = await asyncio.to_thread(formats.confluent.protobuf, FIRST_TYPE, message)
    async with Receiver() as receiver:
        await formats.begin("protobuf", receiver.origin)
        [placed] = await formats.write(record)
        async with InProcess(formats.workspace.config):
            await receiver.until(requests=1)
    assert ids(receiver.requests) == {"e1:a": 1}
    settings, clock = load_settings(formats.workspace.config, {}), SystemClock()
    async with aclosing(RecentEvents(settings, "event", 5, clock).read()) as events:
        assert [one.event.id async for one in events] == ["e1"]
    found = await event_at(settings, "event", placed.source, clock)
    assert found is not None
    assert found.event.id == "e1"
    formats.registry.status = 503
    with pytest.raises(HookstreamError, match="the schema registry answers 503"):
        await event_at(settings, "event", placed.source, clock)


async def test_cloudevents_of_both_modes(formats: Formats) -> None:
    """CloudEvents in structured and binary mode are delivered, also after a retry."""
    headers = [("ce_specversion", b"1.0"), ("ce_id", b"b"), ("ce_source", b"/s"), ("ce_type", b"t")]
    structured = b'{"specversion": "1.0", "id": "s", "source": "/s", "type": "t"}'
    async with Receiver(response(503), response(503)) as receiver:
        await formats.begin("cloudevents", receiver.origin)
        cluster, topic = formats.workspace.cluster, formats.topic
        await cluster.produce(topic, [b'{"data": {"x": 1}}'], headers=headers)
        await cluster.produce(topic, [structured])
        async with InProcess(formats.workspace.config):
            await receiver.until(requests=4)
            await wait_until(formats.workspace.caught_up, "everything to be settled")
    assert ids(receiver.requests) == {"b:a": 2, "s:a": 2}
