"""Every endpoint and host that deliveries go to, and the bounds that they are made with."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic

from consumer.delivery.circuit import Circuit, CircuitPolicy, CircuitState
from consumer.delivery.endpoint import Endpoint, Host, OriginT
from consumer.delivery.request import RequestBuilder
from consumer.events.model import TRIGGERS, Trigger
from consumer.hooks.table import Hook, RateLimit
from consumer.logs import get_logger
from consumer.metrics import Metrics

log = get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Limits:
    """Bounds of the dispatcher. Times in seconds."""

    concurrency: int
    per_host: int
    per_hook: int
    host_rate_limit: RateLimit | None
    timeout: float
    connect_timeout: float
    waiting: int = 1024
    """Deliveries that may wait for a place before intake pauses, and for a quick repeat."""
    patience: float = 1.0
    """In a full waiting room: after this long without an answer an endpoint's queue is parked, and
    one that needs longer than this by its rate limit."""
    backlog: float = 5.0
    """In a full waiting room: a queue that needs longer than this at its endpoint's pace is
    parked."""
    longest_wait: float = 60.0
    """A delivery that waits longer than this is parked whatever room there is: until it is
    settled it holds back its partition's commits."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of the rate limits that this replica may use, each in (0, 1]."""

    hooks: Mapping[Trigger, float]
    """By a hook's trigger."""
    host: float


class Registry(Generic[OriginT]):
    """Endpoints by hook id and hosts by `host:port`, made when first needed."""

    def __init__(self, limits: Limits, circuit_policy: CircuitPolicy, metrics: Metrics) -> None:
        self.limits = limits
        self._circuit_policy = circuit_policy
        self._metrics = metrics
        self._shares = Shares(dict.fromkeys(TRIGGERS, 1.0), 1.0)
        self._endpoints: dict[str, Endpoint[OriginT]] = {}
        self._hosts: dict[str, Host[OriginT]] = {}

    def endpoint(self, hook: Hook) -> Endpoint[OriginT]:
        """The running side of `hook`; a definition that a reload changed is taken over here."""
        endpoint = self._endpoints.get(hook.id)
        if endpoint is None:
            endpoint = self._endpoints[hook.id] = self._new_endpoint(hook)
        elif endpoint.hook is not hook:
            endpoint.adopt(hook, self._builder(hook), self._host(hook), self._metrics.hook(hook.id))
        return endpoint

    def crowded(self) -> list[Endpoint[OriginT]]:
        """The endpoints for which deliveries wait."""
        return [endpoint for endpoint in self._endpoints.values() if endpoint.waiting]

    def reconfigure(self, limits: Limits, hooks: Container[str]) -> None:
        """After a reload: take over bounds, forget idle endpoints of removed hooks.

        Definitions are taken over one by one, with the next delivery of each.
        """
        if limits.host_rate_limit != self.limits.host_rate_limit:
            for host in self._hosts.values():
                host.limit(limits.host_rate_limit, self._shares.host)
        self.limits = limits
        for hook_id in [known for known in self._endpoints if known not in hooks]:
            endpoint = self._endpoints[hook_id]
            if not endpoint.in_flight and not endpoint.waiting:
                del self._endpoints[hook_id]

    def divide(self, shares: Shares) -> None:
        """After an assignment: replicas divide the rate limits by the partitions they have."""
        self._shares = shares
        for endpoint in self._endpoints.values():
            endpoint.scale(shares.hooks[endpoint.hook.trigger])
            endpoint.backlog.clear()  # other replicas may see it again
        for host in self._hosts.values():
            host.scale(shares.host)

    def _new_endpoint(self, hook: Hook) -> Endpoint[OriginT]:
        metrics = self._metrics.hook(hook.id)
        circuit = Circuit(self._circuit_policy, partial(self._circuit_changed, hook.id))
        share = self._shares.hooks[hook.trigger]
        return Endpoint(
            hook=hook,
            builder=self._builder(hook),
            host=self._host(hook),
            circuit=circuit,
            metrics=metrics,
            share=share,
        )

    def _circuit_changed(self, hook_id: str, state: CircuitState) -> None:
        self._metrics.hook(hook_id).circuit(open=state is not CircuitState.CLOSED)
        log.warning("circuit changed", hook=hook_id, state=state.value)

    def _builder(self, hook: Hook) -> RequestBuilder:
        return RequestBuilder(
            hook, timeout=self.limits.timeout, connect_timeout=self.limits.connect_timeout
        )

    def _host(self, hook: Hook) -> Host[OriginT]:
        host = self._hosts.get(hook.host)
        if host is None:
            host = self._hosts[hook.host] = Host(self.limits.host_rate_limit, self._shares.host)
        return host
