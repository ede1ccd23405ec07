"""A lease on the assigned partitions: deliveries and publishing pause after a long standstill.

The group gives the partitions of a member without heartbeats to others after the session timeout.
A process that stood still for that long cannot know whether it lost them: until the group has
confirmed its membership, or it has rejoined, it must not send or publish what it had fetched.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

from consumer.clock import Clock, boottime
from consumer.delivery.http.transport import AttemptResult
from consumer.logs import get_logger
from consumer.processor import Processor, seconds_wanted
from consumer.reasons import ErrorKind
from consumer.standstill import MIN_STANDSTILL_SECONDS, TICK_SECONDS, Standstill
from consumer.stream.client import HEARTBEAT_INTERVAL_SECONDS, SESSION_TIMEOUT_SECONDS
from consumer.stream.membership import Membership
from consumer.stream.outbox import Outbox

log = get_logger(__name__)

LEASE_SECONDS = SESSION_TIMEOUT_SECONDS - HEARTBEAT_INTERVAL_SECONDS - TICK_SECONDS
"""How long after its last tick a process is certainly a member: its last heartbeat may have been
one interval earlier."""


class LeasedScheduler(Protocol):
    """The scheduler's interface for `Presence`."""

    excuses: Callable[[AttemptResult, float], bool]

    def extend(self, *, start_until: float, awake_until: float, short_of_cpu: bool) -> None:
        """See `Scheduler.extend`."""
        ...

    def woke(self) -> None:
        """See `Scheduler.woke`."""
        ...


class Presence:
    """The lease, extended at each tick by `LEASE_SECONDS`."""

    def __init__(
        self,
        membership: Membership,
        scheduler: LeasedScheduler,
        outbox: Outbox,
        clock: Clock,
        wanted: Callable[[], float] = seconds_wanted,
    ) -> None:
        """`wanted`: see `Processor`."""
        self._membership = membership
        self._scheduler = scheduler
        self._clock = clock
        self._lease_until = inf
        self._ticked_at = clock.monotonic()
        self._processor = Processor(wanted, self._ticked_at)
        self._woke_at = -inf
        self._standstill_seconds = 0.0
        self.doubted = False
        """Whether the group may have given the partitions to others."""
        self.standstill = Standstill((clock.monotonic, boottime), self._ticked)
        scheduler.excuses = self._excuses
        outbox.allowed = self._allowed

    def _excuses(self, result: AttemptResult, now: float) -> bool:
        """Whether an attempt that failed at `now` (monotonic seconds) timed out because of a
        standstill of this process; after a long one any failure counts as caused by it.
        """
        woke_at, standstill = self._woke_at, self._standstill_seconds
        if now - self._ticked_at > MIN_STANDSTILL_SECONDS:  # not yet noticed by a tick
            woke_at, standstill = now, now - self._ticked_at
        overlaps = now - result.duration < woke_at
        return overlaps and (result.error is ErrorKind.TIMEOUT or standstill > LEASE_SECONDS)

    def _allowed(self) -> bool:
        return self._clock.monotonic() < self._lease_until

    def _ticked(self, now: float, passed: float) -> None:
        self._ticked_at = now
        if passed > MIN_STANDSTILL_SECONDS:
            self._woke(now, passed)
        if self.doubted and self._membership.confirmed_at >= self._woke_at:
            self.doubted = False
            log.info("the group has confirmed the membership")
        self._lease_until = -inf if self.doubted else now + LEASE_SECONDS
        self._scheduler.extend(
            start_until=self._lease_until,
            awake_until=now + MIN_STANDSTILL_SECONDS,
            short_of_cpu=self._processor.is_short(now),
        )

    def _woke(self, now: float, passed: float) -> None:
        self._woke_at, self._standstill_seconds = now, passed
        self.doubted = self.doubted or passed > LEASE_SECONDS
        (log.warning if self.doubted else log.debug)(
            "the process stood still", seconds=round(passed, 1), paused=self.doubted
        )
        self._scheduler.woke()
