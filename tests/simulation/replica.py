"""One replica: the daemon's parts, put together as `consumer/app.py` does, on model clients."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from random import Random
from typing import Protocol

from aiokafka import TopicPartition
from prometheus_client import CollectorRegistry

from consumer.clock import Clock
from consumer.delivery.scheduling.circuit import CircuitPolicy
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.limits import Limits
from consumer.delivery.scheduling.observers import METRICS_OBSERVER
from consumer.delivery.scheduling.retry_policy import RetryPolicy
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.events.decode import Decoder
from consumer.hooks.table import Hook, RateLimit
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.pipeline.event_handler import EventHandler
from consumer.pipeline.retry_router import RetryRouter
from consumer.records.tracker import InFlightRecord
from consumer.settings import OwnTopics
from consumer.shutdown import drain
from consumer.stream.intake import Intake
from consumer.stream.known_retry_topics import KnownRetryTopics
from consumer.stream.outbox import Outbox
from consumer.stream.overflow_topic import OverflowTopic
from consumer.stream.positions import EARLIEST
from consumer.stream.retry_topic import JITTER_RATIO
from simulation.broker import Broker
from simulation.clients import ModelConsumer, ModelProducer, ModelView
from simulation.group import Group
from simulation.plan import TOPIC, HookPlan, Plan
from simulation.receivers import ModelTransport, Receiver, Watcher
from support.fakes import make_hook

OWN = OwnTopics("hookstream")
GROUP = "hookstream"
DELAYS = (1.0, 4.0)
"""Of the retry topics, in seconds."""
EXPIRE_AFTER = 3_600.0
GRACE = 2.0
"""Seconds that an orderly stop may take."""
_COMMIT_TIMEOUT = 1.0
_SEND_TIMEOUT = 3.0
_BACKOFF = 0.5


class Oracle(Watcher, Protocol):
    """Who is told what a replica does."""

    def doubt(self, delivery: str, why: str) -> None:
        """A delivery may come twice."""
        ...

    def deferred(self, replica: "Replica") -> None:
        """A replica defers deliveries, some of them with attempts under way."""
        ...

    def gave_back(self, tps: Iterable[TopicPartition], owner: "Replica") -> None:
        """A replica's ownership of partitions has ended in order."""
        ...


def make_hooks(plan: Plan) -> list[Hook]:
    """The hooks of a plan."""
    return [_hook(each) for each in plan.hooks]


def _hook(plan: HookPlan) -> Hook:
    return make_hook(
        plan.name,
        uri=f"https://{plan.host}/{plan.name}",
        select=frozenset(plan.keys),
        order="user" if plan.is_ordered else None,
        rate_limit=RateLimit(plan.rate, 1.0, plan.rate) if plan.rate else None,
    )


class _Handler(EventHandler):
    """The daemon's own, which tells when deliveries are deferred."""

    before_defer: Callable[[], None]

    def defer(self, which: Callable[[InFlightRecord], bool]) -> None:
        """See `EventHandler`."""
        self.before_defer()
        super().defer(which)


class _Scheduler(Scheduler):
    """The daemon's own, which tells when a delivery is deferred for those behind it."""

    before_set_aside: Callable[[str], None]

    def set_aside(self, delivery: Delivery) -> None:
        """See `Scheduler`."""
        self.before_set_aside(delivery.id)
        super().set_aside(delivery)


class Replica:
    """A process of the daemon."""

    def __init__(
        self,
        name: str,
        plan: Plan,
        index: Index,
        receivers: dict[str, Receiver],
        *,
        broker: Broker,
        group: Group,
        oracle: Oracle,
        clock: Clock,
    ) -> None:
        self.name = name
        self.transport = ModelTransport(self, receivers, oracle)
        self.consumer = ModelConsumer(
            name, broker, is_member=lambda generation: group.is_member(self.consumer, generation)
        )
        self._producer = ModelProducer(
            broker, lambda delivery: oracle.doubt(delivery, "its publishing")
        )
        self._group = group
        self._oracle = oracle
        self._clock = clock
        self._stop = asyncio.Event()
        metrics = Metrics("0", CollectorRegistry())
        self.outbox = Outbox(
            self._producer,
            metrics.stream,
            bound=plan.outbox,
            send_timeout=_SEND_TIMEOUT,
            backoff=_BACKOFF,
        )
        retry_topics = KnownRetryTopics(self.consumer, OWN, DELAYS, metrics.stream)
        decoders = {TOPIC: Decoder("event")}
        self.overflow = OverflowTopic(OWN.overflow, clock, metrics.stream)
        router = RetryRouter(
            retry_topics=retry_topics.named,
            overflow=self.overflow,
            dead_letter_topic=OWN.dead_letter,
            group=GROUP,
            mapped_sources=(),
            outbox=self.outbox,
            clock=clock,
            metrics=metrics,
            gave_up=lambda _metadata: None,
        )
        self.scheduler = _Scheduler(
            transport=self.transport,
            outcomes=router,
            limits=_limits(plan),
            policy=_policy(plan),
            circuit_policy=CircuitPolicy(window=10.0, min_volume=5, open_for=1.0, open_at_most=8.0),
            clock=clock,
            timer=self._timer,
            random=_random(plan, name).random,
            metrics=metrics,
            observers=(METRICS_OBSERVER,),
        )
        self.scheduler.before_set_aside = lambda each: oracle.doubt(each, "others wait for it")
        self.handler = _Handler(
            index=index,
            decoders=decoders,
            retry_topics=retry_topics.consumed,
            overflow=self.overflow,
            group=GROUP,
            router=router,
            outbox=self.outbox,
            scheduler=self.scheduler,
            clock=clock,
            metrics=metrics,
        )
        self.handler.before_defer = lambda: oracle.deferred(self)
        self.intake = Intake(
            self.consumer,
            ModelView(self.consumer, broker),
            self.handler,
            sources={TOPIC: EARLIEST},
            retry_topics=retry_topics,
            overflow=self.overflow,
            clock=clock,
            metrics=metrics.stream,
            commit_timeout=_COMMIT_TIMEOUT,
        )
        self._running = asyncio.ensure_future(self._run())

    def __repr__(self) -> str:
        return self.name

    @property
    def owned(self) -> Collection[TopicPartition]:
        """The partitions that no other replica may have."""
        return self.intake._assignment.owned

    @property
    def alive(self) -> bool:
        """Whether the process runs, a stop included."""
        return self.consumer.alive and not self._running.done()

    @property
    def stopping(self) -> bool:
        """Whether it was asked to stop."""
        return self._stop.is_set()

    @property
    def error(self) -> BaseException | None:
        """What ended the process without order."""
        done = self._running.done() and not self._running.cancelled()
        return self._running.exception() if done else None

    def stop(self) -> None:
        """Request an orderly stop."""
        self._stop.set()

    def kill(self) -> None:
        """End the process: nothing of it has an effect any more."""
        self.consumer.alive = self._producer.alive = self.transport.alive = False
        self._group.kill(self.consumer)
        self._running.cancel()

    async def _run(self) -> None:
        """Serve until `stop`: `App._serve` without what looks after the process."""
        self.consumer.on_start = lambda: self._group.join(self.consumer)
        self.consumer.on_stop = self._leave
        self.consumer.on_rejoin = self._rejoin
        await self.intake.start()
        async with asyncio.TaskGroup() as tasks:
            taking = tasks.create_task(self.intake.run())
            helpers = [
                tasks.create_task(self.intake.commit_regularly()),
                tasks.create_task(self.intake.give_back.run()),
                tasks.create_task(self.intake.placement.run()),
                tasks.create_task(self.intake.watch.run()),
                tasks.create_task(self.intake.retry_topics.run()),
                tasks.create_task(self.outbox.run()),
            ]
            await self._stop.wait()
            await drain(self.intake, self.handler, taking, GRACE, self._clock)
            for helper in helpers:
                helper.cancel()
        await self.intake.close()
        self.consumer.alive = self._producer.alive = self.transport.alive = False

    def _leave(self) -> None:
        self._oracle.gave_back(self._group.last_owned_by(self.consumer), self)
        self._group.leave(self.consumer)

    def _rejoin(self) -> None:
        """Join again, which a member does at the moment when it gives partitions back."""
        self._oracle.gave_back(self._group.last_owned_by(self.consumer) - set(self.owned), self)
        self._group.rebalance()

    def _timer(self, delay: float, callback: Callable[[], object]) -> None:
        asyncio.get_running_loop().call_later(delay, self._due, callback)

    def _due(self, callback: Callable[[], object]) -> None:
        if self.consumer.alive:
            callback()


def _limits(plan: Plan) -> Limits:
    return Limits(
        concurrency=plan.concurrency,
        per_host=plan.concurrency,
        per_hook=plan.per_hook,
        host_rate_limit=None,
        timeout=plan.timeout,
        connect_timeout=1.0,
        waiting=plan.waiting,
    )


def _policy(plan: Plan) -> RetryPolicy:
    return RetryPolicy(
        delays=DELAYS,
        max_attempts=plan.max_attempts,
        quick_attempts=2,
        expire_after=EXPIRE_AFTER,
        quick_window=2.0,
        jitter=JITTER_RATIO,
    )


def _random(plan: Plan, name: str) -> Random:
    return plan.random(f"{name}/scheduler")
