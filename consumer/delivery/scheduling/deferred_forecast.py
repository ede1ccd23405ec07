"""The deferred deliveries of an endpoint that are expected to come back."""

from collections import deque
from itertools import chain
from operator import attrgetter

_BATCHES_PER_DELAY = 30
"""The expected returns of a retry topic are kept in batches no longer than this part of its
delay."""
_LOST_AFTER_SHARE = 0.3
"""Part of a retry topic's delay after which what did not come back went to another replica."""
_LEAD_SECONDS = 1.0
"""A retry topic is looked at only so often, and what comes back must be there in time."""
_EPSILON_SECONDS = 1e-6
"""A shorter gap is an error of floating point."""


class _Batch:
    """Deliveries that come back at about the same time; monotonic seconds."""

    __slots__ = ("count", "first", "last")

    def __init__(self, due: float) -> None:
        self.first = self.last = due
        self.count = 1


class DeferredForecast:
    """Counts deferred deliveries by when they are due; no delivery is kept.

    Replicas read each other's retry topics, so this is an expectation: a return removes the oldest
    entry of its topic, and entries that are overdue for long are removed. Retry topics are named by
    their delay in seconds.
    """

    __slots__ = ("_topics",)

    def __init__(self) -> None:
        self._topics: dict[float, deque[_Batch]] = {}

    def __len__(self) -> int:
        return sum(batch.count for batch in chain(*self._topics.values()))

    def add(self, retry_topic: float, due: float) -> None:
        """Expect a delivery back from `retry_topic` at `due` (monotonic seconds)."""
        batches = self._topics.setdefault(retry_topic, deque())
        if batches and due - batches[-1].first < retry_topic / _BATCHES_PER_DELAY:
            batches[-1].count += 1
            batches[-1].last = max(batches[-1].last, due)
        else:
            batches.append(_Batch(due))

    def remove(self, retry_topic: float) -> None:
        """A delivery came back from `retry_topic`."""
        batches = self._topics.get(retry_topic)
        if batches:
            batches[0].count -= 1
            if not batches[0].count:
                batches.popleft()

    def remove_lost(self, now: float) -> None:
        """Expect no more what should have come back long before `now`."""
        for retry_topic, batches in self._topics.items():
            lost = now - retry_topic * _LOST_AFTER_SHARE - _LEAD_SECONDS
            while batches and batches[0].last < lost:
                batches.popleft()

    def seconds_until_idle(self, now: float, waiting: int, pace: float, least: float) -> float:
        """Seconds until the endpoint has nothing to do, at `pace` seconds per delivery; no less
        than `least`, before which a delivery that is deferred now cannot be back.

        The endpoint has what waits now, then what comes back before it is through with that, and
        so on to the first gap.
        """
        # An overdue record stands in its topic behind another hook's: its return cannot be told.
        expected = [batch for batch in chain(*self._topics.values()) if batch.last >= now]
        for batch in sorted(expected, key=attrgetter("first")):
            idle_in = max(waiting * pace, least + _LEAD_SECONDS)
            if idle_in < batch.first - now + _LEAD_SECONDS - _EPSILON_SECONDS:
                break
            waiting += batch.count
        return max(least, waiting * pace - _LEAD_SECONDS)

    def clear(self) -> None:
        """Partitions moved: other replicas may get everything back."""
        self._topics.clear()
