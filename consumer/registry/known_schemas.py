"""The schemas that are known here, and the asking for others."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Final

from consumer.background import in_thread
from consumer.backoff import doubled
from consumer.clock import Clock
from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.schemas import SchemaId, SchemaReader
from consumer.logs import get_logger
from consumer.records.record import SchemaWantedError, UndecodableError
from consumer.registry.doubts import Doubts
from consumer.registry.source import RegistryAwayError, SchemaSource, UnknownSchemaError

log = get_logger(__name__)

FIRST_PAUSE_SECONDS: Final = 0.5
MAX_PAUSE_SECONDS: Final = 15.0
"""Between two questions to a registry that is away."""
NEGATIVE_SECONDS: Final = 60.0
"""For which a schema that there is not, or that cannot be used, is not asked for again."""
LOOK_SECONDS: Final = 0.02
"""Until a record whose schema is being asked for is looked at again."""
_STALE_SECONDS: Final = 4 * MAX_PAUSE_SECONDS
"""After which a schema that no record wants any more is not asked for: its partition has gone."""
_AT_ONCE: Final = 8
"""Schemas that are asked for at a time."""
_MAX_NEGATIVES: Final = 10_000
"""A sender can make up as many ids as it likes."""


def pause_after(failures: int, chance: float) -> float:
    """Seconds to wait after `failures` in a row (at least 1); `chance` is from [0, 1)."""
    pause = doubled(failures, FIRST_PAUSE_SECONDS, MAX_PAUSE_SECONDS)
    return pause * (1.0 + chance) / 2.0


class KnownSchemas:
    """The `Schemas` of the daemon. A schema never changes, so it is kept for good."""

    def __init__(self, source: SchemaSource, clock: Clock, chance: Callable[[], float]) -> None:
        """`chance`: from [0, 1)."""
        self._source = source
        self._clock = clock
        self._chance = chance
        self._readers: dict[SchemaId, SchemaReader] = {}
        self._refused: dict[SchemaId, tuple[str, float]] = {}
        """Why a schema cannot be used, and until when (monotonic) that is believed."""
        self._wanted: dict[SchemaId, float] = {}
        """When each was last asked for (monotonic)."""
        self._doubts = Doubts()
        self._wake = asyncio.Event()
        self._failures = 0
        self._ask_at = 0.0
        self.trouble = ""
        """What is the matter with the registry: it completes "the schema registry ...". Empty: it
        answered the last time.
        """

    def reader(self, schema_id: SchemaId) -> SchemaReader:
        """See `Schemas`."""
        known = self._readers.get(schema_id)
        if known is not None:
            return known
        now = self._clock.monotonic()
        refused = self._refused.get(schema_id)
        if refused is not None and now < refused[1]:
            raise UndecodableError(refused[0])
        if schema_id not in self._wanted:
            self._wake.set()
        self._wanted[schema_id] = now
        ask_at = max(self._ask_at, self._doubts.ask_at(schema_id))
        pause = max(LOOK_SECONDS, ask_at - now)
        raise SchemaWantedError(schema_id, pause, is_away=now < self._ask_at)

    def why_not_ready(self) -> str:
        """A sentence while records wait and the registry does not help; else empty."""
        waits = self.trouble and self._wanted
        return f"records wait for a schema: the schema registry {self.trouble}" if waits else ""

    async def run(self) -> None:
        """Ask for wanted schemas until cancelled."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._wanted:
                pause = self._seconds_until_due()
                if pause <= 0.0:
                    await self.ask()
                    continue
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._wake.wait(), pause)
                self._wake.clear()

    def _seconds_until_due(self) -> float:
        ask_at = max(self._ask_at, min(map(self._doubts.ask_at, self._wanted)))
        return ask_at - self._clock.monotonic()

    async def ask(self, *, patient: bool = True) -> None:
        """Ask for the first of the wanted schemas that are due, each once. `patient`: an unknown
        one is asked for again before that is believed.
        """
        now = self._clock.monotonic()
        for one in [one for one, at in self._wanted.items() if at < now - _STALE_SECONDS]:
            self._settle(one)
        first = [one for one in self._wanted if self._doubts.ask_at(one) <= now][:_AT_ONCE]
        if first:
            troubles = await asyncio.gather(*(self._fetch(one, patient) for one in first))
            self._note(next(filter(None, troubles), ""))

    async def _fetch(self, schema_id: SchemaId, patient: bool) -> str:  # noqa: FBT001  # private
        """Fetch one schema; return what is the matter with the registry, if anything."""
        try:
            written = await self._source.fetch(schema_id)
            self._readers[schema_id] = await in_thread(partial(compile_schema, written))
        except RegistryAwayError as error:
            # Behind the others: a registry may fail at some schemas only.
            if (wanted_at := self._wanted.pop(schema_id, None)) is not None:
                self._wanted[schema_id] = wanted_at
            return str(error)
        except UndecodableError as error:
            if patient and isinstance(error, UnknownSchemaError) and self._is_doubted(schema_id):
                return ""
            self._refuse(schema_id, f"schema {schema_id}: {error}")
        except Exception as bug:  # noqa: BLE001  # no schema may end the daemon
            self._refuse(schema_id, f"schema {schema_id} cannot be read: {type(bug).__name__}")
        self._settle(schema_id)
        return ""

    def _is_doubted(self, schema_id: SchemaId) -> bool:
        if schema_id in self._refused:  # it was unknown for a minute or more
            return False
        return self._doubts.doubt(schema_id, self._clock.monotonic())

    def _settle(self, schema_id: SchemaId) -> None:
        self._wanted.pop(schema_id, None)
        self._doubts.settle(schema_id)

    def _refuse(self, schema_id: SchemaId, why: str) -> None:
        now = self._clock.monotonic()
        if len(self._refused) >= _MAX_NEGATIVES:
            self._refused = {one: it for one, it in self._refused.items() if it[1] > now}
        if len(self._refused) >= _MAX_NEGATIVES:
            self._refused.clear()
        self._refused[schema_id] = why, now + NEGATIVE_SECONDS
        log.warning("a schema cannot be used", schema=schema_id, why=why)

    def _note(self, trouble: str) -> None:
        if trouble:
            self._failures += 1
            pause = pause_after(self._failures, self._chance())
            self._ask_at = self._clock.monotonic() + pause
            if trouble != self.trouble:
                log.error(
                    "the schema registry does not help; partitions that need a schema wait",
                    trouble=trouble,
                )
        elif self.trouble:
            log.info("the schema registry answers again")
        if not trouble:
            self._failures, self._ask_at = 0, 0.0
        self.trouble = trouble
