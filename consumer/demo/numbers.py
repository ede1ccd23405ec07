"""The numbers that the demo shows, read from the daemon's metrics."""

import math
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from consumer.metrics import Metrics
from consumer.settings import OwnTopics

_RATE_WINDOW_SECONDS = 2.0
"""Time over which a rate is measured."""
_HISTORY_LENGTH = 30
"""Rates that are kept, one a second."""


@dataclass(frozen=True, slots=True)
class HookNumbers:
    """The numbers of one hook."""

    delivered: int
    retried: int
    overflowed: int
    dead_lettered: int
    circuit_open: bool
    p50: float
    """Seconds from the event to the 2xx; NaN before the first one."""
    p99: float


@dataclass(frozen=True, slots=True)
class Numbers:
    """All numbers at one moment."""

    events: Mapping[str, int]
    """Events by trigger."""
    hooks: Mapping[str, HookNumbers]
    """Numbers by hook id, in the requested order."""
    in_flight: int
    waiting: int
    """Deliveries on a retry topic or the overflow topic."""
    reasons: Mapping[str, int]
    """Dead letters by reason, without zeros."""

    @property
    def delivered(self) -> int:
        """Deliveries of all hooks that were delivered."""
        return sum(hook.delivered for hook in self.hooks.values())

    @property
    def retried(self) -> int:
        """Deliveries of all hooks that went to a retry topic."""
        return sum(hook.retried for hook in self.hooks.values())

    @property
    def overflowed(self) -> int:
        """Deliveries of all hooks that went to the overflow topic."""
        return sum(hook.overflowed for hook in self.hooks.values())

    @property
    def dead_lettered(self) -> int:
        """Dead letters of all hooks."""
        return sum(hook.dead_lettered for hook in self.hooks.values())


def read_numbers(metrics: Metrics, hook_ids: Sequence[str], own_topics: OwnTopics) -> Numbers:
    """Read the numbers of `hook_ids` from the metrics."""
    events: Counter[str] = Counter()
    gauges: Counter[str] = Counter()
    for family in metrics.collect():
        for sample in family.samples:
            if family.name == "hookstream_events":
                events[sample.labels["trigger"]] += int(sample.value)
            elif family.name == "hookstream_in_flight":
                gauges["in_flight"] = int(sample.value)
            elif family.name == "hookstream_consumer_lag" and sample.labels["topic"] in own_topics:
                gauges["waiting"] += int(sample.value)
    hooks = {hook_id: _hook_numbers(metrics, hook_id) for hook_id in hook_ids}
    reasons: Counter[str] = Counter()
    for hook_id in hook_ids:
        reasons.update(metrics.hook(hook_id).dead_letters)
    return Numbers(events, hooks, gauges["in_flight"], gauges["waiting"], +reasons)


def _hook_numbers(metrics: Metrics, hook_id: str) -> HookNumbers:
    hook = metrics.hook(hook_id)
    edges, counts = hook.latencies.edges, hook.latencies.counts
    return HookNumbers(
        **hook.outcomes,
        circuit_open=hook.circuit_open,
        p50=quantile(edges, counts, 0.50),
        p99=quantile(edges, counts, 0.99),
    )


def quantile(edges: Sequence[float], counts: Sequence[int], q: float) -> float:
    """The `q`-quantile of a histogram, estimated like Prometheus' `histogram_quantile`: linear
    within a bucket, and the last edge for anything beyond it. NaN without observations.

    `counts[i]` counts (edge i-1, edge i]; the first bucket starts at 0.
    """
    wanted, below = q * sum(counts), 0
    if not wanted:
        return math.nan
    for (low, high), count in zip(pairwise((0.0, *edges)), counts, strict=False):
        if count and below + count >= wanted:
            return low + (high - low) * (wanted - below) / count
        below += count
    return edges[-1]


class Rate:
    """A counter's growth per second, and its history."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()
        self.history: deque[float] = deque(maxlen=_HISTORY_LENGTH)
        """One rate a second, the oldest first."""
        self._noted_at = -math.inf

    def update(self, now: float, count: int) -> float:
        """Note `count` at `now` (monotonic). Returns the rate over the last seconds."""
        self._seen.append((now, count))
        while len(self._seen) > 2 and now - self._seen[1][0] >= _RATE_WINDOW_SECONDS:  # noqa: PLR2004  # both ends
            self._seen.popleft()
        (since, start), seconds = self._seen[0], now - self._seen[0][0]
        del since
        rate = (count - start) / seconds if seconds > 0 else 0.0
        if now - self._noted_at >= 1.0:
            self._noted_at = now
            self.history.append(rate)
        return rate
