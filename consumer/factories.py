"""Makes the daemon's parts from settings, for `run` and for commands that use one."""

import asyncio
import random
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import assert_never

from consumer.clock import Clock
from consumer.delivery.egress.network import guard_policy
from consumer.delivery.http.authorities import Authorities
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import AnswerTaker, Transport
from consumer.delivery.scheduling.circuit import CircuitPolicy
from consumer.delivery.scheduling.limits import Limits
from consumer.delivery.scheduling.observers import AttemptObserver
from consumer.delivery.scheduling.outcomes import Outcomes
from consumer.delivery.scheduling.retry_policy import RetryPolicy
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import Decoder
from consumer.events.formats.auto import AutoFormat
from consumer.events.formats.cloudevents import cloud_event
from consumer.events.formats.format import Format, FormatName
from consumer.events.formats.schemas import Schemas
from consumer.events.formats.wire import RegisteredFormat
from consumer.hooks.table import RateLimit
from consumer.metrics import Metrics
from consumer.metrics.stream import StreamMetrics
from consumer.settings import (
    DeliveryLogSettings,
    OwnTopics,
    Settings,
    SourceSettings,
)
from consumer.stream.positions import EARLIEST, LATEST
from consumer.stream.retry_topic import JITTER_RATIO, RetryTopic
from consumer.stream.topic_settings import (
    DELETE_RETENTION_MS,
    MAX_MESSAGE_BYTES,
    Compaction,
    History,
    Requirement,
    Retention,
)
from consumer.stream.topic_watch import TopicWatch

MAX_DEFINITION_BYTES = 1024 * 1024
"""Of a batch of the definitions' topic, as brokers usually have it: more than
`control.records.MAX_RECORD_BYTES`."""
DELETED_YEARS = 10
"""How long a deletion stays in the definitions' topic."""
REPORTS_SECONDS = 31 * 24 * 3600.0
"""How long a report is kept."""
MAX_AUDIT_BYTES = 3 * 1024 * 1024
"""Of a batch of the audit topic: a record holds two definitions and a comment."""


def make_topic_watch(
    settings: Callable[[], Settings],
    consumed: Mapping[str, RetryTopic],
    metrics: StreamMetrics,
    *,
    urgent: Callable[[], bool],
) -> TopicWatch:
    """The watch over the sources, the topics that the settings name and the retry topics that are
    consumed.
    """
    kafka = settings().kafka
    own = kafka.own_topics

    def keeping(retry_topics: Iterable[RetryTopic]) -> dict[str, Retention]:
        expire = settings().delivery.expire_after
        return {
            retry_topic.topic: Retention(max(expire, retry_topic.delay * (1 + JITTER_RATIO)))
            for retry_topic in retry_topics
        }

    def named() -> dict[str, Requirement]:
        retry_topics = [RetryTopic(own.retry(delay), delay) for delay in settings().retry.delays]
        return {
            **keeping(retry_topics),
            own.overflow: Retention(settings().delivery.expire_after),
            own.dead_letter: Retention(longer_than=None),
            **(live_topics(own) if settings().hooks.live else {}),
            **(log_topics(own, settings().delivery_log) if settings().delivery_log.is_on else {}),
        }

    return TopicWatch(
        kafka,
        sources=[source.topic for source in settings().sources],
        own=named,
        drained=lambda: keeping(consumed.values()),
        metrics=metrics,
        urgent=urgent,
    )


def live_topics(own: OwnTopics) -> dict[str, Requirement]:
    """The topics of live definitions. One partition each: all records have one order."""
    # A deletion has the revision that the next definition of its id goes on from.
    definitions = {
        MAX_MESSAGE_BYTES: str(MAX_DEFINITION_BYTES),
        DELETE_RETENTION_MS: str(DELETED_YEARS * 365 * 24 * 3600 * 1000),
    }
    audit = {MAX_MESSAGE_BYTES: str(MAX_AUDIT_BYTES)}
    # A replica's status comes every few seconds: small segments are compacted soon.
    often = {"segment.ms": "600000", "min.cleanable.dirty.ratio": "0.1"}
    return {
        own.hooks: Compaction(more=definitions),
        own.hooks_audit: Retention(longer_than=None, partitions=1, more=audit),
        own.status: Compaction(more=often),
    }


def log_topics(own: OwnTopics, log: DeliveryLogSettings) -> dict[str, Requirement]:
    """The topics of the delivery log and of the reports."""
    return {
        own.deliveries: History(log.retention),
        own.reports: History(REPORTS_SECONDS, last_of_each_key=True),
    }


def make_decoder(source: SourceSettings, schemas: Schemas) -> Decoder:
    """The decoder of one source topic."""
    fields = source.fields.model_dump(exclude_none=True)
    return Decoder(source.trigger, fields, make_format(source.format, schemas))


def make_format(name: FormatName, schemas: Schemas) -> Format | None:
    """The format of that name; None: JSON, which decoding does itself."""
    match name:
        case "json":
            return None
        case "cloudevents":
            return cloud_event
        case "avro":
            return RegisteredFormat(schemas, "AVRO")
        case "protobuf":
            return RegisteredFormat(schemas, "PROTOBUF")
        case "auto":
            return AutoFormat(schemas)
        case _:
            assert_never(name)


def start_times(settings: Settings) -> dict[str, int]:
    """By source topic, the start position without a commit, as `stream.positions` defines it."""
    fixed = {"earliest": EARLIEST, "latest": LATEST}
    return {
        source.topic: fixed[source.start]
        if source.start in fixed
        else int(datetime.fromisoformat(source.start).timestamp() * 1000)
        for source in settings.sources
    }


def make_transport(
    settings: Settings,
    authorities: Authorities,
    clock: Clock,
    *,
    taker: AnswerTaker | None = None,
) -> Transport:
    """The transport that the settings name, on the running loop. `taker`: see `AnswerTaker`."""
    loop, policy = asyncio.get_running_loop(), guard_policy(settings)
    match settings.delivery.transport:
        case "curl":
            return CurlTransport(loop, policy, authorities, taker=taker)
        case "aiohttp":
            from consumer.delivery.http.aiohttp import AiohttpTransport

            return AiohttpTransport(loop, policy, authorities, clock=clock, taker=taker)
        case _:
            assert_never(settings.delivery.transport)


def make_scheduler(
    settings: Settings,
    transport: Transport,
    outcomes: Outcomes,
    clock: Clock,
    metrics: Metrics,
    *,
    observers: Iterable[AttemptObserver],
) -> Scheduler:
    """The scheduler, on the running loop."""
    return Scheduler(
        transport=transport,
        outcomes=outcomes,
        limits=make_limits(settings),
        policy=make_policy(settings),
        circuit_policy=CircuitPolicy(),
        clock=clock,
        timer=asyncio.get_running_loop().call_later,
        random=random.random,
        metrics=metrics,
        observers=observers,
    )


def make_limits(settings: Settings) -> Limits:
    """The scheduler's bounds."""
    delivery, rate = settings.delivery, settings.delivery.host_rate_limit
    return Limits(
        concurrency=delivery.concurrency,
        per_host=delivery.per_host_concurrency,
        per_hook=delivery.per_hook_concurrency,
        host_rate_limit=RateLimit(rate.requests, rate.per, rate.burst) if rate else None,
        timeout=delivery.timeout,
        connect_timeout=delivery.connect_timeout,
    )


def make_policy(settings: Settings) -> RetryPolicy:
    """The retry policy."""
    return RetryPolicy(
        delays=settings.retry.delays,
        max_attempts=settings.retry.max_attempts,
        quick_attempts=settings.delivery.quick_attempts,
        expire_after=settings.delivery.expire_after,
        jitter=JITTER_RATIO,
    )
