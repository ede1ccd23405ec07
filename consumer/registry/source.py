"""Where schemas come from."""

from typing import Protocol

from consumer.errors import HookstreamError
from consumer.events.formats.schemas import SchemaId, WrittenSchema
from consumer.records.record import UndecodableError


class RegistryAwayError(HookstreamError):
    """The registry gave no answer that could be used; it may later. The text completes "the schema
    registry ..." and holds no secret.
    """


class UnknownSchemaError(UndecodableError):
    """The registry does not have the schema. One that follows another may have it later."""


class SchemaSource(Protocol):
    """Where schemas come from."""

    async def fetch(self, schema_id: SchemaId) -> WrittenSchema:
        """The schema.

        Raises:
            RegistryAwayError: it cannot be told now.
            UnknownSchemaError: there is none.
            UndecodableError: it is beyond the bounds.
        """
        ...
