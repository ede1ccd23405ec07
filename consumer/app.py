"""The composition root: builds all parts, runs them in one TaskGroup, and stops them in order."""

import asyncio
import random
import sys
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack

from consumer import __version__, assembly, logs
from consumer.clock import Clock, SystemClock
from consumer.configuration import Loaded
from consumer.definitions.in_force import DefinitionsInForce, PreparedReload
from consumer.definitions.live import Live
from consumer.definitions.replica import new_replica_id
from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.egress.network import guard_policy, warn_of_refused_uris
from consumer.delivery.http.authorities import refuse_loss
from consumer.delivery.http.descriptors import idle_connections, provide_descriptors
from consumer.delivery.http.transport import Transport
from consumer.errors import HookstreamError, first_error
from consumer.factories import (
    make_limits,
    make_policy,
    make_topic_watch,
    make_transport,
    start_times,
)
from consumer.gauges import register_gauges
from consumer.health import Health
from consumer.hooks.source import Upsert
from consumer.hooks.table import Hook
from consumer.journal.journal import Journal
from consumer.logs import get_logger
from consumer.metrics import Metrics
from consumer.pipeline.event_handler import EventHandler
from consumer.presence import Presence
from consumer.registry.schemas import RegistrySchemas
from consumer.reload import Reloader, refuse_fixed
from consumer.settings import Settings
from consumer.shutdown import drain, end_helpers
from consumer.startup import CANCEL_SECONDS, start_unless_stopped
from consumer.stream.client import make_consumer, translate_errors
from consumer.stream.cluster_view import ClusterView
from consumer.stream.intake import Intake
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.other_prefixes import warn_of_other_prefixes
from consumer.stream.outbox import Outbox
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.producer import KafkaProducer
from consumer.stream.tls import tls_files
from consumer.stream.topic_watch import TopicWatch
from consumer.systemd import ServiceManager
from consumer.workload import Workload

log = get_logger(__name__)
Load = Callable[[Loaded | None], Loaded]


class App:
    """The daemon. `run` returns after `stop`, or raises an unrecoverable error."""

    def __init__(
        self, load: Load, clock: Clock | None = None, environ: Mapping[str, str] | None = None
    ) -> None:
        """`load` reads all files, given those in use; raises `ConfigError`. It runs here and in
        reload threads. `environ` says how to reach systemd; without it nothing is sent there.
        """
        self._load = load
        self._loaded = load(None)
        self._definitions = DefinitionsInForce(self._loaded)
        self._clock = clock or SystemClock()
        self._tls = tls_files(self._loaded.settings.kafka)
        self._stop = asyncio.Event()
        self.metrics = Metrics(__version__)
        self._systemd = ServiceManager(environ or {}, self._clock)
        self.reloader = Reloader(self._reload, self._apply, self.metrics, self._systemd)
        self.admin_port: int | None = None
        """The bound port of the admin server; None until it listens."""
        self._transport: Transport
        self._intake: Intake
        self._outbox: Outbox
        self._handler: EventHandler
        self._answering: asyncio.Future[None]
        self._topics: TopicWatch
        self._presence: Presence
        self._workload: Workload
        self._live: Live | None = None
        self._journal: Journal | None = None
        self._schemas: RegistrySchemas
        self._replica = new_replica_id()
        self.health: Health
        """The probes' results; set once `admin_port` is."""

    @property
    def settings(self) -> Settings:
        """The settings in use."""
        return self._loaded.settings

    @property
    def hooks(self) -> Mapping[str, Hook]:
        """The hooks in force, by id."""
        return self._definitions.view.hooks

    def stop(self) -> None:
        """Request an orderly stop: intake ends, and in-flight deliveries have the grace period."""
        self._systemd.stopping()
        self._stop.set()

    async def run(self) -> None:
        """Serve until `stop`. Raises `HookstreamError` with a message for the user."""
        async with AsyncExitStack() as stack:
            try:
                if await start_unless_stopped(self._start(stack), self._stop):
                    async with asyncio.TaskGroup() as group:
                        await self._serve(group)
            except* HookstreamError as errors:
                raise first_error(errors) from None

    async def _start(self, stack: AsyncExitStack) -> None:
        """Build all parts, read the live definitions, and only then join the group."""
        try:
            await self._build(stack)
            if self._live is not None:
                await self._live.load()
            async with translate_errors(self._loaded.settings.kafka):
                await self._intake.start()
        except asyncio.CancelledError:
            self._intake.stop_taking(self._clock.monotonic() + 2 * CANCEL_SECONDS)
            raise

    async def _build(self, stack: AsyncExitStack) -> None:
        """Build all parts, the admin server first: a port in use is found before Kafka is asked."""
        settings, metrics, clock = self._loaded.settings, self.metrics, self._clock
        provide_descriptors(settings.delivery.concurrency)
        own = settings.kafka.own_topics
        consumer = make_consumer(settings.kafka)
        stack.push_async_callback(consumer.stop)  # if the start fails before `Intake` exists
        retry_topics = KnownRetryTopics(consumer, own, settings.retry.delays, metrics.stream)
        self._tracer = assembly.make_tracer(settings, self._replica, metrics, clock, stack)
        self._journal = assembly.make_journal(settings, self._replica, metrics, clock)
        if self._journal is not None:
            stack.push_async_callback(self._journal.disconnect)
        self._outbox = Outbox(KafkaProducer(settings.kafka, clock), metrics.stream)
        self._transport = make_transport(settings, self._loaded.authorities, clock)
        stack.push_async_callback(self._transport.close)
        overflow = OverflowTopic(own.overflow, clock, metrics.stream)
        self._schemas = RegistrySchemas(settings.schema_registry, clock, random.random)
        stack.push_async_callback(self._schemas.aclose)
        self._handler = assembly.make_handler(
            settings,
            schemas=self._schemas.schemas,
            index=self._definitions.view,
            transport=self._transport,
            retry_topics=retry_topics,
            overflow=overflow,
            outbox=self._outbox,
            journal=self._journal,
            tracer=self._tracer,
            clock=clock,
            metrics=metrics,
        )
        self._intake = Intake(
            consumer,
            ClusterView(consumer),
            self._handler,
            sources=start_times(settings),
            retry_topics=retry_topics,
            overflow=overflow,
            clock=clock,
            metrics=metrics.stream,
        )
        scheduler = self._handler.scheduler
        self._presence = Presence(self._intake.membership, scheduler, self._outbox, clock)
        self.health = Health(
            self._intake,
            self._outbox,
            self._presence,
            self._stop.is_set,
            self._are_hooks_loaded,
            schema_trouble=self._schemas.why_not_ready,
        )
        assembly.declare_topics(settings, retry_topics, metrics)
        metrics.hooks_loaded(len(self._definitions.view.hooks))
        self._workload = Workload(self._intake.flow, scheduler, clock)
        register_gauges(metrics.stream, self._intake, scheduler, self._tls, self._workload)
        await self._open_admin(stack)
        self._topics = make_topic_watch(
            lambda: self.settings,
            retry_topics.consumed,
            metrics.stream,
            urgent=lambda: self._outbox.failing,
        )
        stack.push_async_callback(self._topics.close)
        retry_topics.found(await self._topics.prepare())
        if settings.hooks.live:
            self._live = Live(
                settings.kafka,
                self._definitions,
                replica=self._replica,
                handler=self._handler,
                intake=self._intake,
                metrics=metrics,
                warn=lambda hooks: warn_of_refused_uris(hooks, self._policy),
                clock=clock,
            )
            stack.push_async_callback(self._live.close)
        stack.push_async_callback(self._intake.close)

    async def _open_admin(self, stack: AsyncExitStack) -> None:
        admin = assembly.make_admin(
            self.settings, self.metrics, self.health.alive, self.health.ready
        )
        await stack.enter_async_context(admin)
        self.admin_port = admin.port
        self._answering = asyncio.ensure_future(admin.serve(self._intake.placement.checked))
        stack.callback(self._answering.cancel)
        warn_of_refused_uris(self._definitions.view.hooks.values(), self._guard_network())

    async def _serve(self, group: asyncio.TaskGroup) -> None:
        """Run until `stop`, then stop in order; a task's error ends it at once."""
        intake = group.create_task(self._intake.run())
        parts = (self._live, self._journal, self._schemas.known)
        beside = [
            *self._intake.helpers(),
            self._topics.run(),
            self._presence.standstill.run(),
            self._workload.run(),
            self._outbox.run(),
            self.reloader.run(),
            self._watch_transport(),
            self._systemd.run(self.health.ready, self.health.alive),
            asyncio.wait_for(self._answering, None),
            *[part.run() for part in parts if part is not None],
            warn_of_other_prefixes(self.settings),
        ]
        helpers = [group.create_task(each) for each in beside]
        assembly.announce(self.settings, len(self._definitions.view.hooks), self.admin_port)
        await self._stop.wait()
        grace = self._loaded.settings.delivery.shutdown_grace
        await drain(self._intake, self._handler, intake, grace, self._clock)
        if self._journal is not None:
            await self._journal.close(grace)
        await end_helpers(helpers)

    async def _watch_transport(self) -> None:
        """End the process when the HTTP client has failed: otherwise every delivery would fail."""
        raise HookstreamError(await self._transport.failure())

    def _reload(self) -> tuple[Loaded, PreparedReload]:
        """Read settings and hooks again, and make the view of the hooks; runs in a thread."""
        loaded = self._load(self._loaded)
        return loaded, self._definitions.prepare_reload(loaded)

    def _apply(self, reloaded: tuple[Loaded, PreparedReload]) -> Callable[[], None]:
        """Check and apply reloaded settings and hooks; return a function for the slow rest."""
        loaded, reload = reloaded
        before, after = self._loaded.settings, loaded.settings
        refuse_fixed(before, after)
        refuse_loss(self._loaded.authorities, loaded.authorities)
        if self._tls is not None:
            self._tls.reload()
        self._transport.trust(loaded.authorities)
        self._schemas.use(after.schema_registry)
        self._loaded = loaded
        provide_descriptors(after.delivery.concurrency)
        policy = self._guard_network()
        prepared = self._definitions.reload(reload)
        view = prepared.view
        if self._journal is not None:
            self._journal.use(after)
        if self._tracer is not None:
            self._tracer.sampler.use(after.tracing.sample)
        self._handler.use(view)
        self._handler.scheduler.reconfigure(make_limits(after), make_policy(after), view.hooks)
        self.metrics.retain_hooks(view.hooks)
        self.metrics.hooks_loaded(len(view.hooks))
        logs.configure(after.log.format, after.log.level, sys.stderr, self._clock)
        changed = len(prepared.changes)
        log.info("hooks and settings reloaded", hooks=len(view.hooks), changed=changed)

        def finish() -> None:
            new = [change.hook for change in prepared.changes if isinstance(change, Upsert)]
            warn_of_refused_uris(view.hooks.values() if after != before else new, policy)
            prepared.free()

        return finish

    def _are_hooks_loaded(self) -> bool:
        return not self.settings.hooks.live or (self._live is not None and self._live.is_loaded)

    @property
    def _policy(self) -> EgressPolicy:
        return guard_policy(self._loaded.settings, self.admin_port)

    def _guard_network(self) -> EgressPolicy:
        """Apply the egress policy and the limit of idle connections of the settings in use."""
        policy = self._policy
        self._transport.set_policy(policy)
        self._transport.keep_idle(idle_connections(self._loaded.settings.delivery.concurrency))
        return policy
