"""What `/healthz` and `/readyz` say."""

from collections.abc import Callable

from consumer.admin import ProbeResult
from consumer.presence import Presence
from consumer.stream.intake import Intake
from consumer.stream.outbox import Outbox

_STALL_SECONDS = 300.0
"""Seconds without progress after which something is stuck: no attempt takes that long, and what
must wait longer is parked."""

_DOUBTED_REASON = "the process stood still, and may have lost its partitions meanwhile"


class Health:
    """The two verdicts on one daemon."""

    def __init__(
        self, intake: Intake, outbox: Outbox, presence: Presence, stopping: Callable[[], bool]
    ) -> None:
        self._intake = intake
        self._outbox = outbox
        self._presence = presence
        self._stopping = stopping

    def alive(self) -> ProbeResult:
        """Alive unless stuck. A broker that is away is not cured by a restart, so no reason; and a
        process that did not run was not stuck in itself.
        """
        awake_for = self._presence.standstill.awake_for()
        idle = min(self._intake.idle, awake_for)
        if idle > _STALL_SECONDS:
            return ProbeResult(ok=False, reason=f"intake stands since {idle:.0f} s")
        stalled = min(self._intake.watch.stalled_for, awake_for)
        if stalled > _STALL_SECONDS and not self._outbox.failing:
            return ProbeResult(
                ok=False, reason=f"events wait, and none was settled for {stalled:.0f} s"
            )
        return ProbeResult(ok=True, reason="alive")

    def ready(self) -> ProbeResult:
        """Whether events are being taken."""
        reason = self._why_not_ready()
        return ProbeResult(ok=not reason, reason=reason or "hooks loaded, group joined")

    def _why_not_ready(self) -> str:
        membership = self._intake.membership
        obstacles = (
            "stopping" if self._stopping() else "",
            "" if self._intake.watch.reachable else "the broker does not answer",
            membership.why_not_ready(),
            "" if membership.joined else "not yet a member of the consumer group",
            _DOUBTED_REASON if self._presence.doubted else "",
            "the broker takes no retries and dead letters" if self._outbox.failing else "",
        )
        return next(filter(None, obstacles), "")
