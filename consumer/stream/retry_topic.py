"""The durable retry lanes: one topic for each constant delay, so each is in order of due time."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

JITTER = 0.2
"""A lane's delay is stretched by up to this share."""
UNKNOWN_HOOK_SECONDS = 600.0
"""How long no replica may know a hook before its deferred deliveries are dead-lettered: replicas
learn of hooks at different moments, as in a rollout."""
_BACKOFF_FACTOR = 6.0
"""The next wait for an unknown hook is about this many times the waits so far."""


@dataclass(frozen=True, slots=True)
class RetryTopic:
    """One retry topic and its delay in seconds."""

    topic: str
    delay: float

    def seconds_until_due(self, *, parked_at: float, not_before: float | None, now: float) -> float:
        """Seconds until a record is due; 0.0 where it is.

        `parked_at` is the record's own timestamp. All times are epoch seconds. A due time that
        the lane cannot have given (a clock was set, or somebody wrote the record) is clamped to
        the longest wait that it can.
        """
        longest = self.delay * (1 + JITTER)
        due = not_before if not_before is not None else parked_at + self.delay
        return max(0.0, min(due - now, parked_at + longest - now, longest))


def unknown_hook_topic(delays: Sequence[float], waited: float, left: float) -> int:
    """The number of the retry topic for a delivery that has waited for its hook for `waited`
    seconds, and may wait for `left` more; `delays` in seconds, ascending.

    The shortest comes first, since a rollout may be over soon. Then the waits grow, so that few
    records are written, and the last one ends close to the deadline.
    """
    wanted = min(left, max(delays[0], waited * _BACKOFF_FACTOR))
    number = max(0, bisect_right(delays, wanted) - 1)
    longer = number + 1
    if longer < len(delays) and delays[longer] <= 2 * left:
        # The nearest in ratio: 7 minutes are rather 10 minutes than 1 minute.
        above, below = delays[longer] / wanted, wanted / delays[number]
        return longer if above < below else number
    return number
