"""Schemas of records: what a registry holds, what is made of it, and how it is asked for."""

from dataclasses import dataclass
from typing import Any, Literal, Protocol, get_args

from consumer.records.record import UndecodableError

SchemaId = int | str
"""A number (31 bits), or a GUID in its canonical text."""
SchemaKind = Literal["AVRO", "PROTOBUF", "JSON"]
"""As Confluent's registry names them."""
SCHEMA_KINDS: tuple[SchemaKind, ...] = get_args(SchemaKind)


@dataclass(frozen=True, slots=True)
class WrittenSchema:
    """A schema as a registry holds it."""

    kind: SchemaKind
    text: str
    """JSON, or of Protobuf the base64 of a serialized `FileDescriptorProto`."""
    references: tuple[tuple[str, str], ...] = ()
    """Name and text of each schema that it refers to, those that they refer to before them."""


class SchemaReader(Protocol):
    """Reads values of one schema."""

    kind: SchemaKind

    def __call__(self, value: bytes, start: int, suffix: bytes | None) -> dict[str, Any]:
        """The tree of the value that begins at `start`. `suffix`: what follows the schema's id, if
        that is in a header; None: it is in the value.

        Raises:
            UndecodableError: the value does not fit the schema.
        """
        ...


class Schemas(Protocol):
    """Schemas by id."""

    def reader(self, schema_id: SchemaId) -> SchemaReader:
        """The reader of a schema; it never waits.

        Raises:
            SchemaWantedError: the schema is not here yet, and now asked for.
            UndecodableError: there is none, or it cannot be used.
        """
        ...


class NoSchemas:
    """The `Schemas` without a registry."""

    def reader(self, schema_id: SchemaId) -> SchemaReader:
        """See `Schemas`."""
        raise UndecodableError(
            f"its schema {schema_id} is in a registry, and schema_registry.url is not set"
        )
