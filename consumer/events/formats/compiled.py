"""Makes readers of schemas. The libraries are extras: each is imported with its first schema."""

from typing import Any, assert_never

from consumer.events.formats.json import parse_json
from consumer.events.formats.schemas import SchemaKind, SchemaReader, WrittenSchema


def compile_schema(written: WrittenSchema) -> SchemaReader:
    """The reader of a schema; it may take tenths of a second.

    Raises:
        UndecodableError: the schema cannot be used.
    """
    match written.kind:
        case "AVRO":
            from consumer.events.formats.avro import AvroReader

            return AvroReader(written)
        case "PROTOBUF":
            from consumer.events.formats.protobuf import ProtobufReader

            return ProtobufReader(written)
        case "JSON":
            return JsonReader()
        case _:
            assert_never(written.kind)


class JsonReader:
    """Reads JSON behind the id of its JSON Schema, which is not looked at."""

    kind: SchemaKind = "JSON"

    def __call__(self, value: bytes, start: int, suffix: bytes | None) -> dict[str, Any]:
        """See `SchemaReader`."""
        del suffix
        return parse_json(value[start:])
