"""Makes parts of the daemon for `app`: what is between Kafka and the receivers, and its log."""

import random
from collections.abc import Callable
from contextlib import AsyncExitStack

from consumer import __version__
from consumer.admin import Admin, ProbeResult, host_port
from consumer.clock import Clock
from consumer.delivery.http.transport import Transport
from consumer.delivery.scheduling.observers import METRICS_OBSERVER, AttemptObserver
from consumer.errors import HookstreamError
from consumer.events.formats.schemas import Schemas
from consumer.factories import make_decoder, make_scheduler
from consumer.journal.journal import Journal
from consumer.logs import get_logger
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.pipeline.event_handler import EventHandler
from consumer.pipeline.record_spans import RecordSpans
from consumer.pipeline.retry_router import RetryRouter
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.settings import Settings
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.log_producer import LogProducer
from consumer.stream.outbox import Outbox
from consumer.stream.overflow_topic import OverflowTopic
from consumer.tracing.context import Sampler
from consumer.tracing.span_queue import SpanQueue
from consumer.tracing.spans import Tracer

log = get_logger(__name__)


def make_journal(
    settings: Settings, replica: str, metrics: Metrics, clock: Clock
) -> Journal | None:
    """The delivery log and the reports, if the settings want them."""
    if not settings.delivery_log.is_on:
        return None
    kafka = settings.kafka
    producer = LogProducer(kafka, f"{kafka.topic_prefix}.journal.{replica}")
    return Journal(settings, replica, producer, metrics=metrics, clock=clock, random=random.random)


def make_tracer(
    settings: Settings, replica: str, metrics: Metrics, clock: Clock, stack: AsyncExitStack
) -> Tracer | None:
    """The tracer, if the settings name a collector; `stack` closes it. Raises `HookstreamError`
    without the SDK.
    """
    endpoint = settings.tracing.endpoint
    if endpoint is None:
        return None
    try:
        from consumer.tracing.otlp import OtlpExporter
    except ImportError:
        raise HookstreamError(
            "tracing.endpoint is set, but OpenTelemetry is not installed: "
            "install hookstream[tracing], or take the setting out"
        ) from None
    queue = SpanQueue(OtlpExporter(endpoint, __version__, replica))
    metrics.set_spans_dropped_source(lambda: queue.dropped)
    sampler = Sampler(settings.tracing.sample, random.getrandbits)
    queue.start()
    tracer = Tracer(sampler, queue, clock, settings.kafka.group_id)
    stack.push_async_callback(tracer.close, settings.delivery.shutdown_grace)
    return tracer


def make_handler(
    settings: Settings,
    *,
    schemas: Schemas,
    index: Index,
    transport: Transport,
    retry_topics: KnownRetryTopics,
    overflow: OverflowTopic,
    outbox: Outbox,
    journal: Journal | None,
    tracer: Tracer | None,
    clock: Clock,
    metrics: Metrics,
) -> EventHandler:
    """The handler of records, with its scheduler and router; on the running loop."""
    own, group = settings.kafka.own_topics, settings.kafka.group_id
    decoders = {source.topic: make_decoder(source, schemas) for source in settings.sources}
    observers: list[AttemptObserver] = [METRICS_OBSERVER]
    gave_up: Callable[[DeliveryMetadata], None] = _untold
    if journal is not None:
        observers.append(journal.observer)
        gave_up = journal.observer.gave_up
        transport.measure(journal.observer.wanted)
    spans = RecordSpans(tracer) if tracer is not None else None
    if spans is not None:
        observers.append(spans)
    router = RetryRouter(
        retry_topics=retry_topics.named,
        overflow=overflow,
        dead_letter_topic=own.dead_letter,
        group=group,
        mapped_sources={topic for topic, decoder in decoders.items() if decoder.maps},
        outbox=outbox,
        clock=clock,
        metrics=metrics,
        gave_up=gave_up,
    )
    return EventHandler(
        index=index,
        decoders=decoders,
        retry_topics=retry_topics.consumed,
        overflow=overflow,
        group=group,
        router=router,
        outbox=outbox,
        scheduler=make_scheduler(settings, transport, router, clock, metrics, observers=observers),
        clock=clock,
        metrics=metrics,
        spans=spans,
    )


def make_admin(
    settings: Settings,
    metrics: Metrics,
    alive: Callable[[], ProbeResult],
    ready: Callable[[], ProbeResult],
) -> Admin:
    """The admin server, before it listens."""
    return Admin(
        hosts=settings.admin.host,
        port=settings.admin.port,
        registry=metrics.registry,
        health=alive,
        ready=ready,
    )


def declare_topics(settings: Settings, retry_topics: KnownRetryTopics, metrics: Metrics) -> None:
    """Let the metrics of each topic that is read or written begin with zero."""
    own = settings.kafka.own_topics
    written = [retry_topic.topic for retry_topic in retry_topics.named]
    metrics.stream.declare_consumed_topics([source.topic for source in settings.sources])
    metrics.stream.declare_topics([*written, own.overflow, own.dead_letter])


def announce(settings: Settings, hooks: int, admin_port: int | None) -> None:
    """Say that the daemon runs, with what a reader of its log looks for first."""
    log.info(
        "hookstream runs",
        version=__version__,
        hooks=hooks,
        topics=[source.topic for source in settings.sources],
        transport=settings.delivery.transport,
        admin=", ".join(host_port(host, admin_port) for host in settings.admin.host),
    )


def _untold(_metadata: DeliveryMetadata) -> None:
    """Without a log there is nothing to tell."""
