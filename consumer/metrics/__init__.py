"""What operators see: the numbers of one daemon, and their exposition for Prometheus."""

from consumer.metrics.hooks import (
    LATENCY_BUCKETS,
    STATUSES,
    EventMetrics,
    HookMetrics,
    status_label,
)
from consumer.metrics.registry import Metrics
from consumer.metrics.stream import StreamMetrics

__all__ = [
    "LATENCY_BUCKETS",
    "STATUSES",
    "EventMetrics",
    "HookMetrics",
    "Metrics",
    "StreamMetrics",
    "status_label",
]
