"""A scheduler with fake time, a fake network, and a log of its outcomes."""

from collections.abc import Callable
from dataclasses import replace
from itertools import count
from typing import Any

from prometheus_client import CollectorRegistry

from consumer.delivery.scheduling.circuit import CircuitPolicy
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.limits import Limits
from consumer.delivery.scheduling.observers import METRICS_OBSERVER, AttemptObserver
from consumer.delivery.scheduling.outcomes import Outcomes
from consumer.delivery.scheduling.retry_policy import RetryPolicy
from consumer.delivery.scheduling.scheduler import Scheduler
from consumer.hooks.table import Hook
from consumer.metrics import Metrics
from support.fakes import FakeClock, FakeTransport, OutcomeLog, make_event, make_source_record

LIMITS = Limits(
    concurrency=8,
    per_host=8,
    per_hook=8,
    host_rate_limit=None,
    timeout=10.0,
    connect_timeout=3.0,
    waiting=100,
)
POLICY = RetryPolicy(
    delays=(10.0, 60.0, 600.0),
    max_attempts=5,
    quick_attempts=1,
    expire_after=3_600.0,
    jitter=0.0,
)
CIRCUIT = CircuitPolicy(min_volume=4, open_for=10.0)


class SchedulerHarness:
    """One scheduler; random numbers are a half by default."""

    def __init__(
        self,
        limits: Limits = LIMITS,
        policy: RetryPolicy = POLICY,
        circuit: CircuitPolicy = CIRCUIT,
        *,
        clock: FakeClock | None = None,
        outcomes: Outcomes | None = None,
        random: Callable[[], float] = lambda: 0.5,
        observers: tuple[AttemptObserver, ...] = (METRICS_OBSERVER,),
    ) -> None:
        """`outcomes` replaces the log."""
        self.clock = clock or FakeClock()
        self.transport = FakeTransport(self.clock)
        self.outcomes = OutcomeLog()
        self.metrics = Metrics("0", CollectorRegistry())
        self.scheduler: Scheduler = Scheduler(
            transport=self.transport,
            outcomes=outcomes or self.outcomes,
            limits=limits,
            policy=policy,
            circuit_policy=circuit,
            clock=self.clock,
            timer=self.clock.call_later,
            random=random,
            metrics=self.metrics,
            observers=observers,
        )
        self._numbers = count(1)

    def delivery(self, hook: Hook, **facts: Any) -> Delivery:
        """A new delivery to `hook`; its id is `<hook>-<number>`."""
        facts.setdefault("source_record", make_source_record())
        facts.setdefault("event", make_event())
        facts.setdefault("id", f"{hook.id}-{next(self._numbers)}")
        return Delivery(endpoint=self.scheduler.endpoint(hook), **facts)

    def submit(self, hook: Hook, times: int = 1, **facts: Any) -> list[Delivery]:
        """Submit new deliveries to `hook`."""
        made = [self.delivery(hook, **facts) for _ in range(times)]
        for delivery in made:
            self.scheduler.submit(delivery)
        return made

    def endpoint(self, hook: Hook) -> Endpoint:
        """The running state of `hook`, as it is now."""
        return self.scheduler._table.endpoints[hook.id]

    @property
    def busy(self) -> bool:
        """Whether any delivery is without its outcome."""
        return bool(self.scheduler._unfinished.deliveries)

    @property
    def under_way(self) -> list[str]:
        """The ids of the deliveries under way, in order."""
        return [id_of(request.headers) for request, _ in self.transport.open]

    @property
    def sent(self) -> list[str]:
        """The id of each attempt so far, in order."""
        return [id_of(request.headers) for request in self.transport.sent]

    def reconfigure(self, policy: RetryPolicy = POLICY, *hooks: str, **limits: Any) -> None:
        """Reload with other limits; `hooks` are the ids in the table."""
        self.scheduler.reconfigure(replace(LIMITS, **limits), policy, hooks)


def id_of(headers: list[bytes]) -> str:
    """The `webhook-id` among a request's headers."""
    lines = [line.decode() for line in headers if line.startswith(b"webhook-id: ")]
    return lines[0].removeprefix("webhook-id: ")
