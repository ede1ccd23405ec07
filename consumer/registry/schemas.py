"""The schemas of the registry that the settings name, if any."""

from collections.abc import Callable
from typing import TYPE_CHECKING

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.decode import Decoder
from consumer.events.formats.schemas import NoSchemas, Schemas
from consumer.events.model import Event
from consumer.records.record import Record, SchemaWantedError
from consumer.registry.known_schemas import KnownSchemas
from consumer.settings import SchemaRegistrySettings

if TYPE_CHECKING:
    from consumer.registry.client import RegistryClient


class RegistrySchemas:
    """The schemas of one process. Close it."""

    def __init__(
        self, settings: SchemaRegistrySettings, clock: Clock, chance: Callable[[], float]
    ) -> None:
        """`chance`: see `KnownSchemas`."""
        self._client: RegistryClient | None = None
        self.known: KnownSchemas | None = None
        """None without a registry."""
        if settings.url is not None:
            from consumer.registry import client

            self._client = client.RegistryClient(settings)
            self.known = KnownSchemas(self._client, clock, chance)
        self.schemas: Schemas = self.known or NoSchemas()

    def use(self, settings: SchemaRegistrySettings) -> None:
        """Use other credentials and authorities."""
        if self._client is not None:
            self._client.use(settings)

    def why_not_ready(self) -> str:
        """See `KnownSchemas.why_not_ready`."""
        return self.known.why_not_ready() if self.known is not None else ""

    async def decode(self, decoder: Decoder, record: Record) -> Event:
        """The event of a record, whose schema is waited for.

        Raises:
            UndecodableError: it is none.
            HookstreamError: the registry does not help.
        """
        try:
            return decoder(record)
        except SchemaWantedError:
            if self.known is None:
                raise
            await self.known.ask(patient=False)  # a command gives nothing up
            if self.known.trouble:
                raise HookstreamError(f"the schema registry {self.known.trouble}") from None
            return decoder(record)

    async def aclose(self) -> None:
        """Close the connections to the registry."""
        if self._client is not None:
            await self._client.close()
