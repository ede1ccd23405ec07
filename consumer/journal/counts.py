"""The counts of one hook in one hour: what a report is made of."""

from bisect import bisect_left
from typing import Final

from consumer.metrics.hooks import ATTEMPT_BUCKETS

_BUCKETS: Final = ATTEMPT_BUCKETS


class HookCounts:
    """Counts of attempts and of what followed. Plain numbers: kept for each attempt."""

    __slots__ = ("attempts", "dead_lettered", "delivered", "latency", "overflowed", "retried")

    def __init__(self) -> None:
        self.delivered = 0
        self.retried = 0
        self.overflowed = 0
        self.dead_lettered: dict[str, int] = {}
        """By reason."""
        self.attempts: dict[str, int] = {}
        """By `status_label`."""
        self.latency = [0] * (len(_BUCKETS) + 1)
        """Attempts by their time, each bucket by itself."""

    def attempt(self, label: str, seconds: float) -> None:
        """Count an attempt."""
        attempts = self.attempts
        attempts[label] = attempts.get(label, 0) + 1
        self.latency[bisect_left(_BUCKETS, seconds)] += 1

    def dead_letter(self, reason: str) -> None:
        """Count a dead letter."""
        self.dead_lettered[reason] = self.dead_lettered.get(reason, 0) + 1

    def add(self, other: "HookCounts") -> None:
        """Add the counts of another time."""
        self.delivered += other.delivered
        self.retried += other.retried
        self.overflowed += other.overflowed
        for reason, number in other.dead_lettered.items():
            self.dead_lettered[reason] = self.dead_lettered.get(reason, 0) + number
        for label, number in other.attempts.items():
            self.attempts[label] = self.attempts.get(label, 0) + number
        for bucket, number in enumerate(other.latency):
            self.latency[bucket] += number
