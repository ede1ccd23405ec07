"""Metrics in which every family of the Kafka side has a series."""

from consumer.metrics import Metrics


def fill_stream(metrics: Metrics) -> None:
    """Give every family of the stream's metrics a series, so that its labels can be seen."""
    stream = metrics.stream
    metrics.log_lines_dropped_from(lambda: 0)
    stream.hands_over_to(["topic"])
    stream.consumes(["topic"])
    stream.needs(["topic"], ["retry"])
    stream.topic_problems({"topic": False})
    stream.offsets_lost("topic", 0, 0)
    stream.in_flight_from(lambda: 0)
    stream.oldest_unsettled_from(lambda: 0.0)
    stream.broker_unreachable_from(lambda: 0.0)
    stream.certificate_not_after_from(lambda: 0.0)
    stream.lag_from(lambda: {("topic", 0): 0})
    stream.rebalancing_from(lambda: 0.0)
    stream.unreadable_from(lambda: [("topic", 0)])
    stream.waiting_from(lambda: 0)
