"""Partitions that do not take records, of topics that have others which may."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

FIRST_AVOIDANCE_SECONDS = 60.0
LONGEST_AVOIDANCE_SECONDS = 600.0
"""An attempt costs a round of the hand-over, up to its time-out, so a partition that fails again is
left alone for twice as long as before."""


@dataclass(slots=True)
class _Failures:
    """Of one partition, in a row."""

    avoidance: float
    """Seconds, from the last failure on."""
    until: float


class FailedPartitions:
    """Partitions that have a leader and took nothing the last time: its broker is frozen, say, or
    too few replicas are in sync. `now` tells monotonic seconds.
    """

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._failures: dict[tuple[str, int], _Failures] = {}

    def failed(self, topic: str, partition: int) -> None:
        """Note that a batch was not acknowledged."""
        before = self._failures.get((topic, partition))
        avoidance = FIRST_AVOIDANCE_SECONDS
        if before is not None:
            avoidance = min(2 * before.avoidance, LONGEST_AVOIDANCE_SECONDS)
        self._failures[topic, partition] = _Failures(avoidance, self._now() + avoidance)

    def succeeded(self, topic: str, partition: int) -> None:
        """Note that a batch was acknowledged."""
        self._failures.pop((topic, partition), None)

    def usable(self, topic: str, led: Sequence[int]) -> Sequence[int]:
        """Those of the `led` partitions that records should go to. If every one has failed, the
        topic or the cluster is at fault and not a partition: then all, and none counts as failed.
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
