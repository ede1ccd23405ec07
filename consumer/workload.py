"""Looks once a second at what this replica does, for its share of the wanted replicas."""

import asyncio
from collections.abc import Callable
from typing import Protocol

from consumer.clock import Clock
from consumer.processor import Processor, seconds_wanted
from consumer.stream.flow import FlowMeter
from consumer.wanted_replicas import Look, WantedReplicas

_LOOK_SECONDS = 1.0


class WatchedScheduler(Protocol):
    """The scheduler's interface for `Workload`."""

    @property
    def busy_slots(self) -> float:
        """See `Scheduler.busy_slots`."""
        ...


class Workload:
    """This replica's share of the wanted replicas, by looks that cost a delivery nothing."""

    def __init__(
        self,
        flow: FlowMeter,
        scheduler: WatchedScheduler,
        clock: Clock,
        wanted: Callable[[], float] = seconds_wanted,
    ) -> None:
        """`wanted`: see `Processor`."""
        self._flow = flow
        self._scheduler = scheduler
        self._clock = clock
        self._looked_at = clock.monotonic()
        self._processor = Processor(wanted, self._looked_at)
        self._wanted_replicas = WantedReplicas()

    @property
    def wanted_replicas(self) -> float:
        """The share, as of the last look."""
        return self._wanted_replicas.value

    async def run(self) -> None:
        """Look until cancelled."""
        while True:
            self.look()
            await asyncio.sleep(_LOOK_SECONDS)

    def look(self) -> None:
        """Take into account what happened since the last look."""
        now, flow = self._clock.monotonic(), self._flow.read()
        # A replica is at its limit when either its CPU or its slots are: the nearer limit counts.
        busy = max(self._processor.busy(now), self._scheduler.busy_slots)
        seconds, self._looked_at = now - self._looked_at, now
        self._wanted_replicas.note(
            Look(
                seconds=seconds,
                busy=busy,
                taken=flow.taken,
                arrived=flow.arrived,
                deferred=flow.deferred,
                unread=flow.unread,
                partitions=flow.partitions,
            )
        )
