"""Avoids partitions that do not accept records while their topic has others."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_AVOIDANCE_SECONDS = 60.0
MAX_AVOIDANCE_SECONDS = 600.0
"""An attempt costs a round of publishing, up to its timeout, so a partition that fails again is
avoided for twice as long as before."""


@dataclass(slots=True)
class _Failures:
    """Consecutive failures of one partition."""

    avoidance: float
    """Seconds from the last failure on."""
    until: float


class FailedPartitions:
    """Partitions with a leader that did not acknowledge the last batch: the broker is frozen, say,
    or too few replicas are in sync. `now` returns monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures: dict[tuple[str, int], _Failures] = {}

    def failed(self, topic: str, partition: int) -> None:
        """Note that a batch was not acknowledged."""
        before = self._failures.get((topic, partition))
        avoidance = FIRST_AVOIDANCE_SECONDS
        if before is not None:
            avoidance = min(2 * before.avoidance, MAX_AVOIDANCE_SECONDS)
        self._failures[topic, partition] = _Failures(avoidance, self._now() + avoidance)

    def succeeded(self, topic: str, partition: int) -> None:
        """Note that a batch was acknowledged."""
        self._failures.pop((topic, partition), None)

    def usable(self, topic: str, led: Sequence[int]) -> Sequence[int]:
        """The `led` partitions that records should go to. If all have failed, the topic or the
        cluster is at fault: then all are returned and their failures cleared.
        """
        if not self._failures:
            return led
        usable = [number for number in led if not self._avoids(topic, number)]
        if usable:
            return usable
        for number in led:
            self.succeeded(topic, number)
        return led

    def _avoids(self, topic: str, partition: int) -> bool:
        failures = self._failures.get((topic, partition))
        return failures is not None and self._now() < failures.until
