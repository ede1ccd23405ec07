"""The results of the probes `/healthz` and `/readyz`."""

from collections.abc import Callable

from consumer.admin import ProbeResult
from consumer.presence import Presence
from consumer.stream.intake import Intake
from consumer.stream.outbox import Outbox

_STALL_SECONDS = 300.0
"""Time without progress after which the process counts as stuck: no attempt takes that long, and
longer waits are deferred."""

_DOUBTED_REASON = "the process stood still, and may have lost its partitions"


class Health:
    """Liveness and readiness of the daemon."""

    def __init__(
        self,
        intake: Intake,
        outbox: Outbox,
        presence: Presence,
        stopping: Callable[[], bool],
        are_hooks_loaded: Callable[[], bool],
        *,
        schema_trouble: Callable[[], str],
    ) -> None:
        """`schema_trouble`: why records wait for the schema registry; empty: none does."""
        self._intake = intake
        self._outbox = outbox
        self._presence = presence
        self._stopping = stopping
        self._are_hooks_loaded = are_hooks_loaded
        self._schema_trouble = schema_trouble

    def alive(self) -> ProbeResult:
        """Liveness: false if stuck. An unreachable broker or a standstill needs no restart."""
        awake_for = self._presence.standstill.awake_for()
        idle = min(self._intake.idle, awake_for)
        if idle > _STALL_SECONDS:
            return ProbeResult(ok=False, reason=f"intake has been stuck for {idle:.0f} s")
        stalled = min(self._intake.watch.stalled_for, awake_for)
        if stalled > _STALL_SECONDS and not self._outbox.failing:
            return ProbeResult(
                ok=False, reason=f"events wait, and none was settled for {stalled:.0f} s"
            )
        return ProbeResult(ok=True, reason="alive")

    def ready(self) -> ProbeResult:
        """Readiness: whether events are being taken."""
        reason = self._why_not_ready()
        return ProbeResult(ok=not reason, reason=reason or "hooks loaded, group joined")

    def _why_not_ready(self) -> str:
        membership = self._intake.membership
        reasons = (
            "stopping" if self._stopping() else "",
            "" if self._are_hooks_loaded() else "the live definitions are not read to their end",
            "" if self._intake.watch.reachable else "the broker does not answer",
            membership.why_not_ready(),
            "" if membership.joined else "not yet a member of the consumer group",
            _DOUBTED_REASON if self._presence.doubted else "",
            "the broker accepts no retries and dead letters" if self._outbox.failing else "",
            self._schema_trouble(),
        )
        return next(filter(None, reasons), "")
