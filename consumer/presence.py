"""Whether this process may still act for the partitions that it was given.

The group takes the partitions from a member that it has not heard of for the session's time. A
process that did not run for so long cannot know: until the group has confirmed that it is still a
member, or it has joined again, nothing that it had fetched may be sent or handed over.
"""

from collections.abc import Callable
from math import inf
from typing import Protocol

from consumer.clock import Clock, boottime
from consumer.delivery.http.transport import AttemptResult
from consumer.logs import get_logger
from consumer.reasons import ErrorKind
from consumer.standstill import BLINK_SECONDS, TICK_SECONDS, Standstill
from consumer.stream.client import HEARTBEAT_INTERVAL_SECONDS, SESSION_TIMEOUT_SECONDS
from consumer.stream.membership import Membership
from consumer.stream.outbox import Outbox

log = get_logger(__name__)

LEASE_SECONDS = SESSION_TIMEOUT_SECONDS - HEARTBEAT_INTERVAL_SECONDS - TICK_SECONDS
"""For how long after it last ran a process is a member for certain: its last heartbeat may have
been an interval old."""


class Starter(Protocol):
    """The part of the dispatcher that is told here."""

    excuses: Callable[[AttemptResult, float], bool]

    def extend(self, *, start_until: float, awake_until: float) -> None:
        """See `Scheduler.extend`."""
        ...

    def woke(self) -> None:
        """See `Scheduler.woke`."""
        ...


class Presence:
    """Allows deliveries and hand-overs from tick to tick, for as long as one may be missed."""

    def __init__(
        self, membership: Membership, scheduler: Starter, outbox: Outbox, clock: Clock
    ) -> None:
        self._membership = membership
        self._scheduler = scheduler
        self._clock = clock
        self._until = inf
        self._ticked_at = clock.monotonic()
        self._woke_at = -inf
        self._slept = 0.0
        self.doubted = False
        """Whether the group may have given the partitions to others meanwhile."""
        self.standstill = Standstill((clock.monotonic, boottime), self._ticked)
        scheduler.excuses = self._excuses
        outbox.allowed = self._allowed

    def _excuses(self, answer: AttemptResult, now: float) -> bool:
        """Whether an attempt that failed at `now` (monotonic seconds) lost its time to a standstill
        of this process; after a long one whatever failed did.
        """
        woke_at, slept = self._woke_at, self._slept
        if now - self._ticked_at > BLINK_SECONDS:  # one that no tick has noticed yet
            woke_at, slept = now, now - self._ticked_at
        over_it = now - answer.duration < woke_at
        return over_it and (answer.error is ErrorKind.TIMEOUT or slept > LEASE_SECONDS)

    def _allowed(self) -> bool:
        return self._clock.monotonic() < self._until

    def _ticked(self, now: float, passed: float) -> None:
        self._ticked_at = now
        if passed > BLINK_SECONDS:
            self._woke(now, passed)
        if self.doubted and self._membership.confirmed_at >= self._woke_at:
            self.doubted = False
            log.info("a member of the group, and going on")
        self._until = -inf if self.doubted else now + LEASE_SECONDS
        self._scheduler.extend(start_until=self._until, awake_until=now + BLINK_SECONDS)

    def _woke(self, now: float, passed: float) -> None:
        self._woke_at, self._slept = now, passed
        self.doubted = self.doubted or passed > LEASE_SECONDS
        (log.warning if self.doubted else log.debug)(
            "the process stood still", seconds=round(passed, 1), paused=self.doubted
        )
        self._scheduler.woke()
