"""Confluent's wire format: a schema's id before the value, or in a header.

https://docs.confluent.io/platform/current/schema-registry/fundamentals/serdes-develop/index.html,
"Wire format": magic byte 0 and four bytes of an id, or magic byte 1 and sixteen bytes of a GUID.
"""

from typing import Any, Final
from uuid import UUID

from consumer.events.formats.format import checked
from consumer.events.formats.schemas import SchemaId, SchemaKind, Schemas
from consumer.records.headers import last_value
from consumer.records.record import Headers, UndecodableError

ID_HEADER: Final = "__value_schema_id"
ID_MAGIC: Final = 0
GUID_MAGIC: Final = 1
_ID_END: Final = 5
_MAX_ID: Final = 2**31 - 1
"""Registries keep it as a signed number, and answer a larger one as they answer a wrong URL."""
_GUID_END: Final = 17


class RegisteredFormat:
    """Values of a schema that is in a registry: `avro` and `protobuf`."""

    def __init__(self, schemas: Schemas, kind: SchemaKind | None) -> None:
        """`kind`: None takes each."""
        self._schemas = schemas
        self._kind = kind

    def __call__(self, value: bytes | None, headers: Headers) -> dict[str, Any]:
        """See `Format`. Raises `SchemaWantedError` too."""
        value = checked(value)
        named = last_value(headers, ID_HEADER) if headers else None
        schema_id, end = read_schema_id(value if named is None else named)
        reader = self._schemas.reader(schema_id)
        if self._kind is not None and reader.kind != self._kind:
            raise UndecodableError(
                f"schema {schema_id} is of {reader.kind}, and the source's format is another"
            )
        if named is None:
            return reader(value, end, None)
        return reader(value, 0, named[end:])


def read_schema_id(framed: bytes) -> tuple[SchemaId, int]:
    """The id that `framed` begins with, and where it ends. Raises `UndecodableError`."""
    magic = framed[0] if framed else None
    if magic == ID_MAGIC and len(framed) >= _ID_END:
        number = int.from_bytes(framed[1:_ID_END], "big")
        if number <= _MAX_ID:
            return number, _ID_END
    if magic == GUID_MAGIC and len(framed) >= _GUID_END:
        return str(UUID(bytes=framed[1:_GUID_END])), _GUID_END
    raise UndecodableError("no schema's id in Confluent's wire format")
