"""Connects the gauges of the Kafka side with the parts that know their values."""

from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.metrics import StreamMetrics
from consumer.stream.intake import Intake
from consumer.stream.tls import TlsFiles
from consumer.workload import Workload


def register_gauges(
    metrics: StreamMetrics,
    intake: Intake,
    scheduler: Scheduler,
    tls: TlsFiles | None,
    workload: Workload,
) -> None:
    """Let every scrape read these parts; `tls`: None without TLS to Kafka."""
    metrics.set_in_flight_source(lambda: scheduler.in_flight)
    metrics.set_broker_unreachable_source(lambda: intake.watch.unreachable_for)
    if tls is not None:
        metrics.set_certificate_not_after_source(tls.not_after)
    metrics.set_rebalancing_source(intake.membership.seconds_without_share)
    metrics.set_unreadable_source(intake.unreadable.partitions)
    metrics.set_awaiting_schema_source(intake.awaiting_schema.partitions)
    metrics.set_lag_source(intake.watch.lag)
    metrics.set_waiting_source(lambda: intake.watch.waiting)
    metrics.set_wanted_replicas_source(lambda: workload.wanted_replicas)
    metrics.set_oldest_unsettled_source(intake.oldest_unsettled)
