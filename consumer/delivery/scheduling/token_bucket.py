"""The rate limit of a hook or host."""

from consumer.hooks.table import RateLimit

_EPSILON_SECONDS = 1e-6
"""A shorter wait is an error of floating point, and would hold back the last request of a burst."""


class TokenBucket:
    """At most `burst` requests at once and `requests` per `per` seconds on average.

    Kept as one number, the theoretical arrival time of the generic cell rate algorithm (ITU-T
    I.371): in any window of w seconds no more than burst + w * requests / per are granted.
    Times are monotonic seconds.
    """

    __slots__ = ("_arrival", "_burst", "_limit", "_tolerance", "interval")

    interval: float
    """Seconds between two requests at the average rate."""

    def __init__(
        self, limit: RateLimit, share: float = 1.0, empty_at: float = float("-inf")
    ) -> None:
        """`share`: see `scale`. At `empty_at` all of its burst counts as spent."""
        self._limit = limit
        self._adopt(share)
        self._arrival = empty_at + self._burst * self.interval

    def __repr__(self) -> str:
        return (
            f"TokenBucket(burst={self._burst}, interval={self.interval:g}, "
            f"next at {self._arrival - self._tolerance:.3f})"
        )

    def scale(self, share: float, now: float) -> None:
        """Grant from now on only this part of the limit, in (0, 1]: replicas divide it by the
        partitions that each of them has. A burst is at least one request.

        What is left of the burst stays, up to the new one. A part that is gained comes empty,
        since the replica that had it may just have spent it.
        """
        left = self._burst - max(0.0, self._arrival - now) / self.interval
        self._adopt(share)
        self._arrival = now + max(0.0, self._burst - left) * self.interval

    def _adopt(self, share: float) -> None:
        limit = self._limit
        self.interval = limit.per / limit.requests / share
        self._burst = max(1, int(limit.burst * share))
        self._tolerance = self.interval * (self._burst - 1)

    def is_full(self, now: float) -> bool:
        """Whether the whole burst may go, as in a new bucket."""
        return self._arrival <= now

    def wait(self, now: float) -> float:
        """Seconds until a request may go; 0.0 if it may go now."""
        wait = self._arrival - self._tolerance - now
        return wait if wait > _EPSILON_SECONDS else 0.0

    def take(self, now: float) -> None:
        """Count a request that goes now; only after `wait` returned 0.0."""
        self._arrival = max(self._arrival, now) + self.interval
