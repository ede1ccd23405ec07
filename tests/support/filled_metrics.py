"""Metrics in which every family of the Kafka side has a series."""

from consumer.metrics import Metrics


def fill_stream(metrics: Metrics) -> None:
    """Give every family of the stream's metrics a series, so that its labels can be seen."""
    stream = metrics.stream
    metrics.set_log_lines_dropped_source(lambda: 0)
    metrics.set_filtered_source(lambda: iter([("hook", 0)]))
    metrics.set_spans_dropped_source(lambda: 0)
    metrics.set_live_source(lambda: 0, lambda: 0)
    stream.declare_topics(["topic"])
    stream.declare_consumed_topics(["topic"])
    stream.declare_configured_topics(["topic"], ["retry"])
    stream.topic_problems({"topic": False})
    stream.offsets_lost("topic", 0, 0)
    stream.set_in_flight_source(lambda: 0)
    stream.set_oldest_unsettled_source(lambda: 0.0)
    stream.set_broker_unreachable_source(lambda: 0.0)
    stream.set_certificate_not_after_source(lambda: 0.0)
    stream.set_lag_source(lambda: {("topic", 0): 0})
    stream.set_rebalancing_source(lambda: 0.0)
    stream.set_unreadable_source(lambda: [("topic", 0)])
    stream.set_awaiting_schema_source(lambda: [("topic", 0)])
    stream.set_waiting_source(lambda: 0)
    stream.set_wanted_replicas_source(lambda: 0.0)
