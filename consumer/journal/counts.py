"""The counts of one hook in one hour: what a report is made of."""

from typing import Final

from consumer.metrics.hooks import ATTEMPT_BUCKETS

_BUCKETS: Final[list[float]] = list(ATTEMPT_BUCKETS)
"""A list: compiled, a tuple of known length is made anew for each loop over it."""
_SUCCESS: Final = "2xx"


class HookCounts:
    """Counts of attempts and of what followed. Plain numbers: kept for each attempt."""

    __slots__ = ("_others", "dead_lettered", "delivered", "latency", "overflowed", "retried")

    def __init__(self) -> None:
        self.delivered = 0
        self.retried = 0
        self.overflowed = 0
        self.dead_lettered: dict[str, int] = {}
        """By reason."""
        self._others: dict[str, int] = {}
        """Attempts that delivered nothing, by `status_label`."""
        self.latency = [0] * (len(_BUCKETS) + 1)
        """Attempts by their time, each bucket by itself."""

    @property
    def attempts(self) -> dict[str, int]:
        """Attempts by `status_label`; those that are not 0."""
        success = self._others.get(_SUCCESS, 0) + self.delivered
        return {**self._others, _SUCCESS: success} if success else self._others

    def success(self, seconds: float) -> None:
        """Count an attempt that delivered."""
        self.delivered += 1
        self._observe(seconds)

    def attempt(self, label: str, seconds: float) -> None:
        """Count any other attempt; what follows is counted by itself."""
        self._others[label] = self._others.get(label, 0) + 1
        self._observe(seconds)

    def _observe(self, seconds: float) -> None:
        bucket = 0
        for edge in _BUCKETS:  # faster than a bisection, as most attempts are: in a low bucket
            if seconds <= edge:
                break
            bucket += 1
        self.latency[bucket] += 1

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
        for label, number in other._others.items():  # noqa: SLF001  # of the same class
            self._others[label] = self._others.get(label, 0) + number
        for bucket, number in enumerate(other.latency):
            self.latency[bucket] += number
