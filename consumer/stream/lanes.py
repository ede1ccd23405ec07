"""The durable retry lanes: one topic for each constant delay, so each is in order of due time."""

from dataclasses import dataclass

JITTER = 0.2
"""A lane's delay is stretched by up to this share."""


@dataclass(frozen=True, slots=True)
class Lane:
    """One retry topic and its delay in seconds."""

    topic: str
    delay: float

    def wait(self, *, parked_at: float, not_before: float | None, now: float) -> float:
        """Seconds until a record is due; 0.0 where it is.

        `parked_at` is the record's own timestamp. All times are epoch seconds. A due time that
        the lane cannot have given (a clock was set, or somebody wrote the record) is clamped to
        the longest wait that it can.
        """
        longest = self.delay * (1 + JITTER)
        due = not_before if not_before is not None else parked_at + self.delay
        return max(0.0, min(due - now, parked_at + longest - now, longest))
