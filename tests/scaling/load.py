"""Days of load: events a second, and what becomes of their deliveries."""

from dataclasses import dataclass
from math import cos, pi
from random import Random

DAY_SECONDS = 86_400
HOUR_SECONDS = 3_600


@dataclass(frozen=True, slots=True)
class Burst:
    """A time with more events than usual."""

    begins: float
    ends: float
    factor: float


class Days:
    """Nights with 200 events a second, days with 3,000, and bursts of up to four times as many.

    On the second day one of five endpoints is dead for eight hours, and comes back slowly.
    """

    DEAD_SHARE = 0.2
    """Share of the events whose endpoint is dead."""
    DRAIN_RATE = 1_500.0
    """Deliveries a second that the endpoint takes out of the overflow topic once it is back."""
    FAILED_SHARE = 0.02
    """Share of the events whose first attempt fails: they come back after ten minutes."""
    LIMITED_RATE = 100.0
    """Requests a second that the hook with a rate limit allows."""
    LIMITED_SHARE = 0.06
    """Share of the events that are for the hook with a rate limit."""
    RETRY_SECONDS = 600

    def __init__(self, seed: int, days: int, *, bursts: int = 6) -> None:
        """`bursts`: in each day."""
        self._random = Random(seed)  # noqa: S311 no secret
        self.seconds = days * DAY_SECONDS
        self._bursts = [self._burst(day) for day in range(days) for _ in range(bursts)]

    def _burst(self, day: int) -> Burst:
        begins = day * DAY_SECONDS + self._random.uniform(0.0, DAY_SECONDS)
        lasts = self._random.uniform(60.0, 1_200.0)
        return Burst(begins, begins + lasts, self._random.uniform(1.5, 4.0))

    def rate(self, now: float) -> float:
        """Events a second, with a tenth of noise."""
        usual = 1_600.0 - 1_400.0 * cos(2.0 * pi * (now % DAY_SECONDS) / DAY_SECONDS)
        factor = max((b.factor for b in self._bursts if b.begins <= now < b.ends), default=1.0)
        return usual * factor * self._random.uniform(0.9, 1.1)

    @staticmethod
    def is_dead(now: float) -> bool:
        """Whether the one endpoint does not answer."""
        return DAY_SECONDS + 9 * HOUR_SECONDS <= now < DAY_SECONDS + 17 * HOUR_SECONDS
