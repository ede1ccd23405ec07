"""Records as Confluent's own serializers write them."""

from collections.abc import Mapping
from typing import Any, cast

import orjson
from confluent_kafka.schema_registry import (
    Schema,
    SchemaRegistryClient,
    header_schema_id_serializer,
    prefix_schema_id_serializer,
)
from confluent_kafka.schema_registry.avro import AvroSerializer
from confluent_kafka.schema_registry.protobuf import ProtobufSerializer
from confluent_kafka.serialization import MessageField, SerializationContext

from support.fakes import FakeRecord

PLACES = {"prefix": prefix_schema_id_serializer, "header": header_schema_id_serializer}
"""Where a serializer puts the schema's id."""


class Confluent:
    """Their client and serializers on a registry."""

    def __init__(self, url: str, topic: str = "event") -> None:
        self.client = SchemaRegistryClient({"url": url})
        self.topic = topic
        self._serializers: dict[tuple[str, str], Any] = {}

    def close(self) -> None:
        """Close the connections."""
        self.client._rest_client.session.close()

    def avro(self, schema: Mapping[str, Any], value: Any, place: str = "prefix") -> FakeRecord:
        """A record with an Avro value; its schema is registered."""
        text = orjson.dumps(schema).decode()
        if (text, place) not in self._serializers:
            conf = {"schema.id.serializer": PLACES[place]}
            serializer = AvroSerializer(self.client, Schema(text, "AVRO"), conf=conf)
            self._serializers[text, place] = serializer
        return self.record(self._serializers[text, place], value)

    def protobuf(self, kind: type[Any], message: Any, place: str = "prefix") -> FakeRecord:
        """A record with a Protobuf message of a type; its schema is registered."""
        name = kind.__name__
        if (name, place) not in self._serializers:
            conf = {"schema.id.serializer": PLACES[place]}
            self._serializers[name, place] = ProtobufSerializer(kind, self.client, conf)
        return self.record(self._serializers[name, place], message)

    def record(self, serializer: Any, value: Any) -> FakeRecord:
        """The record that a serializer makes."""
        context = SerializationContext(self.topic, MessageField.VALUE, [])
        raw = serializer(value, context)
        return FakeRecord(
            raw, topic=self.topic, headers=list(cast("list[Any]", context.headers or []))
        )
