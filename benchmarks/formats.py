"""What a record in another format costs beside the same event in JSON.

`python -m benchmarks.formats` (`--rounds`). The event is that of docs/reference/events.md, written
by the libraries of each format. The first columns are the decoding alone; then the parts of the
daemon between Kafka and the network take the records, each of which becomes a delivery that is
answered; and the last is the share of what a whole delivery costs in published.json. With
`PYTHONPATH` at the compiled modules it measures these, as `make benchmark` does.
"""

import argparse
import gc
import io
import time
from base64 import b64encode
from collections.abc import Callable, Mapping
from statistics import median
from typing import Any

import fastavro
import orjson
from cloudevents.core.bindings.kafka import KafkaMessage, to_binary_event, to_structured_event
from cloudevents.core.v1.event import CloudEvent
from google.protobuf import descriptor_pool, json_format, timestamp_pb2
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.message_factory import GetMessageClass
from rich.console import Console
from rich.table import Table

from benchmarks.published import PUBLISHED, read_results
from consumer.events import decode
from consumer.events.decode import Decoder
from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.format import FormatName
from consumer.events.formats.schemas import SchemaId, SchemaReader, WrittenSchema
from consumer.factories import make_format
from support.fakes import FakeRecord, make_hook
from support.pipeline_harness import PipelineHarness

_DECODES = 5_000
_BATCH = 500
_BATCHES = 4
EVENT: Mapping[str, Any] = {
    "id": "01JD3Z9P2YQK7M4T6V8W0X1A2B", "occurred_at": "2026-11-24T10:00:00.123Z", "app": "shop",
    "user": {"id": "u42", "attributes": {"city": "İstanbul", "language": "tr"}},
    "device": {"id": "d1", "attributes": {"platform": "IOS", "mdl": "iPhone17,2", "appV": "5.4.1"}},
    "data": {"event_key": "purchase", "price": 12.5, "count": 3, "segments": ["gold", "vip"]},
}  # fmt: skip


def main() -> None:
    """Measure, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    rounds = parser.parse_args().rounds
    sides = _sides()
    decoding: dict[str, list[float]] = {name: [] for name in sides}
    passing: dict[str, list[float]] = {name: [] for name in sides}
    for number in range(rounds):
        for name in list(sides)[:: 1 if number % 2 else -1]:
            decoding[name].append(_decode(*sides[name]))
            passing[name].append(_pass(*sides[name]))
    whole = float(read_results(PUBLISHED)["plain"].find("CPU per delivery").ours)
    table = Table(title=f"modules: {decode.__file__}; a whole delivery: {whole} us")
    for heading in ("format", "bytes", "decode, us", "ratio", "daemon, us", "ratio", "whole"):
        table.add_column(heading, justify="right")
    json, json_pass = median(decoding["json"]), median(passing["json"])
    for name, (record, _) in sides.items():
        took, passed = median(decoding[name]), median(passing[name])
        table.add_row(
            name, str(len(record.value or b"")), f"{took:.2f}", f"{took / json:.2f}",
            f"{passed:.1f}", f"{passed / json_pass:.2f}", f"{(whole + took - json) / whole:.3f}",
        )  # fmt: skip
    Console(width=100).print(table)


def _decode(record: FakeRecord, decoder: Decoder) -> float:
    """Microseconds of CPU for one record."""
    gc.collect()
    began = time.process_time()
    for _ in range(_DECODES):
        decoder(record)
    return (time.process_time() - began) / _DECODES * 1e6


def _pass(record: FakeRecord, decoder: Decoder) -> float:
    """Microseconds of CPU for one record on its way through the daemon, with its delivery."""
    harness = PipelineHarness(make_hook(), event=decoder)
    gc.collect()
    began = time.process_time()
    for _ in range(_BATCHES):
        for _ in range(_BATCH):
            record.offset += 1
            harness.handle(record)
            harness.transport.answer_all()
        harness.clock.advance(1.0)
    return (time.process_time() - began) / (_BATCH * _BATCHES) * 1e6


def _sides() -> dict[str, tuple[FakeRecord, Decoder]]:
    """By name, a record and its decoder."""
    avro, protobuf = _avro(), _protobuf()
    schemas = _Schemas({1: compile_schema(avro[0]), 2: compile_schema(protobuf[0])})
    attributes = {"id": EVENT["id"], "source": "/shop", "type": "purchase"}
    data = {name: value for name, value in EVENT.items() if name != "id"}
    event = CloudEvent(attributes, data)

    def side(format: FormatName, record: FakeRecord) -> tuple[FakeRecord, Decoder]:
        return record, Decoder("event", None, make_format(format, schemas))

    return {
        "json": side("json", FakeRecord(orjson.dumps(EVENT))),
        "cloudevents, structured": side("cloudevents", _message(to_structured_event(event))),
        "cloudevents, binary": side("cloudevents", _message(to_binary_event(event))),
        "avro": side("avro", FakeRecord(b"\0\0\0\0\1" + avro[1])),
        "protobuf": side("protobuf", FakeRecord(b"\0\0\0\0\2\0" + protobuf[1])),
    }


class _Schemas:
    """Schemas that are there."""

    def __init__(self, readers: Mapping[SchemaId, SchemaReader]) -> None:
        self.reader: Callable[[SchemaId], SchemaReader] = dict(readers).__getitem__


def _message(message: KafkaMessage) -> FakeRecord:
    return FakeRecord(message.value, headers=list(message.headers.items()))


def _avro() -> tuple[WrittenSchema, bytes]:
    def record(name: str, *fields: tuple[str, Any]) -> dict[str, Any]:
        return {"type": "record", "name": name,
                "fields": [{"name": field, "type": kind} for field, kind in fields]}  # fmt: skip

    texts = {"type": "map", "values": "string"}
    moment = {"type": "long", "logicalType": "timestamp-millis"}
    data = record("Data", ("event_key", "string"), ("price", "double"), ("count", "long"),
                  ("segments", {"type": "array", "items": "string"}))  # fmt: skip
    schema = record(
        "Event", ("id", "string"), ("occurred_at", moment), ("app", "string"),
        ("user", record("User", ("id", "string"), ("attributes", texts))),
        ("device", record("Device", ("id", "string"), ("attributes", texts))), ("data", data),
    )  # fmt: skip
    out = io.BytesIO()
    value = {**EVENT, "occurred_at": 1_795_514_400_123}
    fastavro.schemaless_writer(out, fastavro.parse_schema(schema), value)
    return WrittenSchema("AVRO", orjson.dumps(schema).decode()), out.getvalue()


def _protobuf() -> tuple[WrittenSchema, bytes]:
    kinds = FieldDescriptorProto

    def message(name: str, *fields: tuple[str, Any], many: str = "") -> DescriptorProto:
        made = DescriptorProto(name=name)
        for number, (field, kind) in enumerate(fields, 1):
            label = kinds.LABEL_REPEATED if field == many else kinds.LABEL_OPTIONAL
            one = made.field.add(name=field, number=number, label=label)
            one.type = kinds.TYPE_MESSAGE if isinstance(kind, str) else kind
            if isinstance(kind, str):
                one.type_name = kind
        return made

    text = kinds.TYPE_STRING
    entry = message("AttributesEntry", ("key", text), ("value", text))
    entry.options.map_entry = True
    who = [message(name, ("id", text), ("attributes", f".{name}.AttributesEntry"),
                   many="attributes") for name in ("User", "Device")]  # fmt: skip
    for one in who:
        one.nested_type.append(entry)
    file = FileDescriptorProto(
        name="event.proto", syntax="proto3", dependency=["google/protobuf/timestamp.proto"],
        message_type=[
            message("Event", ("id", text), ("occurred_at", ".google.protobuf.Timestamp"),
                    ("app", text), ("user", ".User"), ("device", ".Device"), ("data", ".Data")),
            *who,
            message("Data", ("event_key", text), ("price", kinds.TYPE_DOUBLE),
                    ("count", kinds.TYPE_INT64), ("segments", text), many="segments"),
        ],
    )  # fmt: skip
    pool = descriptor_pool.DescriptorPool()
    for serialized in (timestamp_pb2.DESCRIPTOR.serialized_pb, file.SerializeToString()):
        pool.AddSerializedFile(serialized)
    kind = GetMessageClass(pool.FindMessageTypeByName("Event"))
    value = json_format.ParseDict(dict(EVENT), kind()).SerializeToString()
    return WrittenSchema("PROTOBUF", b64encode(file.SerializeToString()).decode()), value


if __name__ == "__main__":
    main()
