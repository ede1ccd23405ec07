"""Scalers: Kubernetes' rule for an external metric, and the metrics that it is given."""

from collections import deque
from collections.abc import Callable
from math import ceil
from typing import Protocol

TOLERANCE = 0.1
"""Kubernetes changes nothing within this share of the present number."""
PERIOD_SECONDS = 15
STABILIZATION_SECONDS = 300
"""Kubernetes lowers the number to the highest that it wanted in this time."""


class Seen(Protocol):
    """What a scaler may look at."""

    partitions: int
    """Of all source topics."""

    @property
    def shares(self) -> float:
        """The sum of `hookstream_wanted_replicas`."""
        ...

    @property
    def source_lag(self) -> float:
        """The group's lag on the source topics."""
        ...

    @property
    def group_lag(self) -> float:
        """The group's lag on all topics that it reads."""
        ...


Metric = Callable[[Seen], float]
"""The number that is divided by the target value for each replica."""


def wanted_replicas(seen: Seen) -> float:
    """KEDA's `metrics-api` with `aggregationType: sum` and `targetValue: 1`."""
    return seen.shares


LAG_THRESHOLD = 1_000.0


def by_group_lag(seen: Seen) -> float:
    """KEDA's `kafka` without `topic`: the lag of all topics of the group. `allowIdleConsumers`
    is false, so it is at most a threshold's worth for each partition.
    """
    return min(seen.group_lag / LAG_THRESHOLD, seen.partitions)


def by_source_lag(seen: Seen) -> float:
    """KEDA's `kafka` with a trigger for each source topic only."""
    return min(seen.source_lag / LAG_THRESHOLD, seen.partitions)


class Autoscaler:
    """The horizontal pod autoscaler's rule (`AverageValue`), with its default behaviour."""

    def __init__(self, metric: Metric, least: int, most: int) -> None:
        self._metric = metric
        self._least, self._most = least, most
        self._recent: deque[int] = deque(maxlen=STABILIZATION_SECONDS // PERIOD_SECONDS)

    def decide(self, seen: Seen, present: int) -> int:
        """The number of replicas from now on; asked every `PERIOD_SECONDS`."""
        wanted = self._metric(seen)
        number = present if abs(wanted / present - 1.0) <= TOLERANCE else ceil(wanted)
        self._recent.append(min(self._most, max(self._least, number)))
        if self._recent[-1] >= present:
            return min(self._recent[-1], max(2 * present, present + 4))
        return min(present, max(self._recent))
