"""The rate limit of a hook or host."""

from consumer.hooks.table import RateLimit

_EXACT = 1e-6
"""Seconds: less is floating point, and would keep the last request of a burst waiting."""


class TokenBucket:
    """At most `burst` requests at once and `requests` per `per` seconds on average.

    Kept as one number, the theoretical arrival time of the generic cell rate algorithm (ITU-T
    I.371): in any window of w seconds no more than burst + w * requests / per are granted.
    Times are monotonic seconds.
    """

    __slots__ = ("_arrival", "_limit", "_tolerance", "interval")

    interval: float
    """Seconds between two requests at the average rate."""

    def __init__(self, limit: RateLimit, share: float = 1.0) -> None:
        """`share`: see `scale`."""
        self._limit = limit
        self._arrival = float("-inf")
        self.scale(share)

    def scale(self, share: float) -> None:
        """Grant from now on only this part of the limit, in (0, 1]: replicas divide it by the
        partitions that each of them has. A burst is at least one request.
        """
        limit = self._limit
        self.interval = limit.per / limit.requests / share
        self._tolerance = self.interval * (max(1, int(limit.burst * share)) - 1)

    def wait(self, now: float) -> float:
        """Seconds until a request may go; 0.0 where it may go now."""
        wait = self._arrival - self._tolerance - now
        return wait if wait > _EXACT else 0.0

    def take(self, now: float) -> None:
        """Count a request that goes now; only after `wait` answered 0.0."""
        self._arrival = max(self._arrival, now) + self.interval
