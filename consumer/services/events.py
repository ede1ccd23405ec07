"""Recent events of a trigger, and what a hook makes of them, without a group and a request."""

import re
from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from random import random
from typing import Final

from consumer.clock import Clock
from consumer.errors import HookstreamError
from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.factories import make_decoder
from consumer.hooks.table import Hook
from consumer.records.record import UndecodableError
from consumer.registry.schemas import RegistrySchemas
from consumer.services.event_names import EventNames, NameTally
from consumer.services.replay import ReplayOutcome, ReplayTally
from consumer.services.topic_view import in_time
from consumer.settings import Settings
from consumer.stream.recent_records import recent_records, record_at

MAX_EVENTS: Final = 1_000
MAX_BYTES: Final = 64 * 1024 * 1024
"""Bytes of the records that are read for one question: events may be as large as a megabyte."""
MAX_SECONDS: Final = 20.0
_PLACE: Final = re.compile(r"(?P<topic>[^/]+)/(?P<partition>[0-9]{1,9})/(?P<offset>[0-9]{1,18})")


@dataclass(frozen=True, slots=True)
class RecentEvent:
    """An event and its record."""

    event: Event
    record_ref: str
    """`topic/partition/offset`."""


class RecentEvents:
    """The last events of a trigger, newest first, from its source topics.

    Iterate over `read`, then look at the counts.
    """

    def __init__(self, settings: Settings, trigger: Trigger, count: int, clock: Clock) -> None:
        """`count`: from 1 to `MAX_EVENTS` events."""
        self.undecodable = 0
        """Records that are no events; they count as read."""
        self.stopped_by = ""
        """The bound that ended the reading before there were `count`; empty: none."""
        sources = [source for source in settings.sources if source.trigger == trigger]
        self.topics = [source.topic for source in sources]
        self._sources = {source.topic: source for source in sources}
        self._registry = settings.schema_registry
        self._settings = settings.kafka
        self._count = max(1, min(count, MAX_EVENTS))
        self._clock = clock

    async def read(self) -> AsyncGenerator[RecentEvent, None]:
        """Yield the events. Raises `HookstreamError` if the broker or the schema registry does not
        answer, or refuses.
        """
        deadline, size = self._clock.monotonic() + MAX_SECONDS, 0
        records = recent_records(self._settings, self.topics, self._count, self._clock)
        registry = RegistrySchemas(self._registry, self._clock, random)
        decoders = {t: make_decoder(one, registry.schemas) for t, one in self._sources.items()}
        async with aclosing(registry), aclosing(records):
            async for record in records:
                size += len(record.value or b"")
                if size > MAX_BYTES:
                    self.stopped_by = f"{MAX_BYTES // 1024 // 1024} MiB of events"
                    return
                if self._clock.monotonic() > deadline:
                    self.stopped_by = f"{MAX_SECONDS:.0f} s"
                    return
                try:
                    event = await registry.decode(decoders[record.topic], record)
                except UndecodableError:
                    self.undecodable += 1
                    continue
                yield RecentEvent(event, f"{record.topic}/{record.partition}/{record.offset}")


async def event_at(
    settings: Settings, trigger: Trigger, record_ref: str, clock: Clock
) -> RecentEvent | None:
    """The event of `topic/partition/offset`; None: that is no record of a source of the trigger, or
    no event, or it is there no more.

    Raises:
        HookstreamError: the broker does not answer, or refuses.
    """
    place = _PLACE.fullmatch(record_ref)
    sources = [one for one in settings.sources if one.trigger == trigger]
    source = next((one for one in sources if place and one.topic == place["topic"]), None)
    if place is None or source is None:
        return None
    where = source.topic, int(place["partition"])
    reading = record_at(settings.kafka, where, int(place["offset"]), clock)
    record = await in_time(reading, source.topic)
    if record is None:
        return None
    async with aclosing(RegistrySchemas(settings.schema_registry, clock, random)) as registry:
        try:
            event = await registry.decode(make_decoder(source, registry.schemas), record)
        except UndecodableError:
            return None
        return RecentEvent(event, record_ref)


@dataclass(frozen=True, slots=True)
class Replay:
    """A definition against the last events of its trigger."""

    events: int
    undecodable: int
    stopped_by: str
    """See `RecentEvents`."""
    outcomes: tuple[ReplayOutcome, ...]
    """The most frequent first."""


async def replay_recent(settings: Settings, hook: Hook, count: int, clock: Clock) -> Replay:
    """What the hook would do for each of the last `count` events of its trigger.

    Raises:
        HookstreamError: the broker does not answer, or refuses, or no source has the trigger.
    """
    recent, tally = _recent(settings, hook.trigger, count, clock), ReplayTally(hook)
    async with aclosing(recent.read()) as events:
        async for one in events:
            tally.take(one.event, one.record_ref)
    return Replay(tally.events, recent.undecodable, recent.stopped_by, tally.outcomes())


@dataclass(frozen=True, slots=True)
class RecentNames:
    """What the last events of a trigger hold."""

    names: EventNames
    undecodable: int
    stopped_by: str
    """See `RecentEvents`."""


async def recent_names(
    settings: Settings, trigger: Trigger, count: int, clock: Clock, *, values: bool
) -> RecentNames:
    """The subjects and names of the last `count` events of a trigger, and with `values`, which are
    users' data, examples of their values. Raises as `replay_recent`.
    """
    recent, tally = _recent(settings, trigger, count, clock), NameTally(values=values)
    async with aclosing(recent.read()) as events:
        async for one in events:
            tally.take(one.event)
    return RecentNames(tally.names(), recent.undecodable, recent.stopped_by)


def _recent(settings: Settings, trigger: Trigger, count: int, clock: Clock) -> RecentEvents:
    recent = RecentEvents(settings, trigger, count, clock)
    if not recent.topics:
        raise HookstreamError(f"no source has the trigger {trigger}: add one to `sources`")
    return recent
