"""What an endpoint's parked deliveries are expected to do: come back, lane by lane."""

from collections import deque
from itertools import chain
from operator import attrgetter

_FINE = 30
"""A lane's expected returns are kept in batches no longer than this part of its delay."""
_LATE = 0.3
"""Part of a lane's delay after which what did not come back went to another replica."""
_AHEAD = 1.0
"""Seconds: a lane is looked at only so often, and what comes back must be there in time."""
_EXACT = 1e-6
"""Seconds: less is floating point, and no gap."""


class _Batch:
    """Deliveries that come back at about the same time; monotonic seconds."""

    __slots__ = ("count", "first", "last")

    def __init__(self, due: float) -> None:
        self.first = self.last = due
        self.count = 1


class DeferredForecast:
    """Counts what was parked by when it is due; no delivery is kept.

    Replicas take each other's lanes, so this is an expectation: a return takes the oldest one
    of its lane off, whoever it was, and what is overdue for long is forgotten.
    """

    __slots__ = ("_lanes",)

    def __init__(self) -> None:
        self._lanes: dict[float, deque[_Batch]] = {}

    def __len__(self) -> int:
        return sum(batch.count for batch in chain(*self._lanes.values()))

    def add(self, retry_topic: float, due: float) -> None:
        """One was parked on the lane with this delay (seconds), until `due` (monotonic)."""
        batches = self._lanes.setdefault(retry_topic, deque())
        if batches and due - batches[-1].first < retry_topic / _FINE:
            batches[-1].count += 1
            batches[-1].last = max(batches[-1].last, due)
        else:
            batches.append(_Batch(due))

    def remove(self, retry_topic: float) -> None:
        """One came back from the lane with this delay."""
        batches = self._lanes.get(retry_topic)
        if batches:
            batches[0].count -= 1
            if not batches[0].count:
                batches.popleft()

    def seconds_until_idle(self, now: float, waiting: int, pace: float, least: float) -> float:
        """Seconds until the endpoint has nothing to do, at `pace` seconds per delivery; no less
        than `least`, before which nothing that is parked now can be back.

        It has what waits now, and what comes back before it is through with that, and so on: who
        is parked now is not needed earlier, and should not come back later.
        """
        self._forget_lost(now)
        # What is overdue stands in its lane behind somebody else's: it is not to be counted on.
        expected = [batch for batch in chain(*self._lanes.values()) if batch.last >= now]
        for batch in sorted(expected, key=attrgetter("first")):
            if max(waiting * pace, least + _AHEAD) < batch.first - now + _AHEAD - _EXACT:
                break
            waiting += batch.count
        return max(least, waiting * pace - _AHEAD)

    def clear(self) -> None:
        """Partitions moved: nobody knows what comes back here."""
        self._lanes.clear()

    def _forget_lost(self, now: float) -> None:
        for retry_topic, batches in self._lanes.items():
            while batches and batches[0].last + retry_topic * _LATE + _AHEAD < now:
                batches.popleft()
