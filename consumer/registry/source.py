"""Where schemas come from."""

from typing import Protocol

from consumer.errors import HookstreamError
from consumer.events.formats.schemas import SchemaId, WrittenSchema


class RegistryAwayError(HookstreamError):
    """The registry gave no answer that could be used; it may later. The text completes "the schema
    registry ..." and holds no secret.
    """


class SchemaSource(Protocol):
    """Where schemas come from."""

    async def fetch(self, schema_id: SchemaId) -> WrittenSchema:
        """The schema.

        Raises:
            RegistryAwayError: it cannot be told now.
            UndecodableError: there is none, or it is beyond the bounds.
        """
        ...
