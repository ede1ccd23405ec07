"""Retry topics: one for each constant delay, so each is ordered by due time."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass

JITTER_RATIO = 0.2
"""A retry topic's delay is extended by up to this share."""
UNKNOWN_HOOK_SECONDS = 600.0
"""Time after which deliveries of an unknown hook are dead-lettered: during a rollout some replicas
know a hook earlier than others."""
MAX_SCHEMA_WAIT_SECONDS = 600.0
"""A delivery whose schema is awaited is looked at again after this time, if there is such a delay:
of a hundred thousand that wait, 170 are written a second."""
_BACKOFF_FACTOR = 6.0
"""Ratio of the next wait for an unknown hook to all waits so far."""


@dataclass(frozen=True, slots=True)
class RetryTopic:
    """One retry topic and its delay in seconds."""

    topic: str
    delay: float

    def seconds_until_due(
        self, *, deferred_at: float, not_before: float | None, now: float
    ) -> float:
        """Seconds until a record is due; 0.0 if it is due.

        `deferred_at` is the record's timestamp. All times are epoch seconds. A due time beyond
        the topic's longest wait (a clock was set, or another program wrote the record) is clamped.
        """
        longest = self.delay * (1 + JITTER_RATIO)
        due = not_before if not_before is not None else deferred_at + self.delay
        return max(0.0, min(due - now, deferred_at + longest - now, longest))


def unknown_hook_topic(delays: Sequence[float], waited: float, remaining: float) -> int:
    """Index of the retry topic for a delivery that has waited `waited` seconds for its hook, and
    may wait for `remaining` more; `delays` in seconds, ascending.

    The first wait is the shortest, since a rollout may be over soon. Then the waits grow
    exponentially, so that few records are written, and the last one ends close to the deadline.
    """
    wanted = min(remaining, max(delays[0], waited * _BACKOFF_FACTOR))
    number = max(0, bisect_right(delays, wanted) - 1)
    longer = number + 1
    if longer < len(delays) and delays[longer] <= 2 * remaining:
        # Choose by ratio: 7 minutes are closer to 10 minutes than to 1 minute.
        above, below = delays[longer] / wanted, wanted / delays[number]
        return longer if above < below else number
    return number


def awaited_schema_topic(delays: Sequence[float], waited: float) -> int:
    """Index of the retry topic for a delivery whose schema is awaited, and which has waited for
    `waited` seconds the last time: the next longer delay, up to `MAX_SCHEMA_WAIT_SECONDS`. `delays`
    in seconds, ascending.
    """
    longest = max(0, bisect_right(delays, MAX_SCHEMA_WAIT_SECONDS) - 1)
    return min(bisect_right(delays, waited), longest)
