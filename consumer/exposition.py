"""Converts numbers and histogram buckets to Prometheus metric families."""

from bisect import bisect_left
from collections.abc import Iterable, Mapping
from itertools import accumulate

from prometheus_client.metrics_core import (
    CounterMetricFamily,
    GaugeMetricFamily,
    HistogramMetricFamily,
    Metric,
)

Rows = Iterable[tuple[tuple[str, ...], float]]
"""Label values, each with a number."""


class Histogram:
    """A histogram: `counts[i]` observations in (edge i-1, edge i], not cumulative."""

    __slots__ = ("counts", "edges", "sum")

    def __init__(self, edges: tuple[float, ...]) -> None:
        self.edges = edges
        self.counts = [0] * (len(edges) + 1)
        self.sum = 0.0

    def observe(self, seconds: float) -> None:
        """Count one observation."""
        self.counts[bisect_left(self.edges, seconds)] += 1
        # A device's clock may be ahead of ours; a histogram's sum must not decrease.
        if seconds > 0.0:
            self.sum += seconds

    def cumulative(self) -> list[tuple[str, float]]:
        """Cumulative `(le, count)` pairs for the exposition format; the last one is `+Inf`."""
        edges = (*map(str, self.edges), "+Inf")
        return list(zip(edges, map(float, accumulate(self.counts)), strict=True))


def by_label(counts: Mapping[str, Mapping[str, int]]) -> Rows:
    """Make the rows of a metric with two labels."""
    return (
        ((outer, inner), count)
        for outer, by_inner in counts.items()
        for inner, count in by_inner.items()
    )


def counter(name: str, documentation: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """Make a counter family; the exposition adds `_total` to its name."""
    family = CounterMetricFamily(name, documentation, labels=labels)
    for values, count in rows:
        family.add_metric(values, count)
    return family


def gauge(name: str, documentation: str, labels: tuple[str, ...], rows: Rows) -> Metric:
    """Make a gauge family."""
    family = GaugeMetricFamily(name, documentation, labels=labels)
    for values, value in rows:
        family.add_metric(values, value)
    return family


def number(name: str, documentation: str, value: float) -> Metric:
    """Make a gauge without labels."""
    return GaugeMetricFamily(name, documentation, value=value)


def histogram(name: str, documentation: str, by_hook: Mapping[str, Histogram]) -> Metric:
    """Make a histogram family without the hooks that have no observation: they would be most."""
    family = HistogramMetricFamily(name, documentation, labels=("hook",))
    for hook, observed in by_hook.items():
        pairs = observed.cumulative()
        if pairs[-1][1]:
            family.add_metric((hook,), pairs, observed.sum)
    return family
