"""Every endpoint and host that deliveries go to, and the bounds that they are made with."""

from collections.abc import Container, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Generic

from consumer.delivery.http.request import RequestBuilder
from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState
from consumer.delivery.scheduling.endpoint import Endpoint, HostState, SourceRecordT
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.events.triggers import TRIGGERS, Trigger
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
    stall_timeout: float = 1.0
    """In a full waiting room: after this long without an answer an endpoint's queue is parked, and
    one that needs longer than this by its rate limit."""
    max_queue_seconds: float = 2.0
    """In a full waiting room: a queue that needs longer than this at its endpoint's pace is
    parked. Shorter would be fairer yet, but a process that is short of CPU makes every endpoint
    look slow, and parking costs it more than a request."""
    max_wait: float = 60.0
    """A delivery that waits longer than this is parked whatever room there is: until it is
    settled it holds back its partition's commits."""


@dataclass(frozen=True, slots=True)
class Shares:
    """The parts of the rate limits that this replica may use, each in (0, 1]."""

    hooks: Mapping[Trigger, float]
    """By a hook's trigger."""
    host: float


class Registry(Generic[SourceRecordT]):
    """Endpoints by hook id and hosts by `host:port`, made when first needed."""

    def __init__(self, limits: Limits, circuit_policy: CircuitPolicy, metrics: Metrics) -> None:
        self.limits = limits
        self._circuit_policy = circuit_policy
        self._metrics = metrics
        self._shares = Shares(dict.fromkeys(TRIGGERS, 1.0), 1.0)
        self._assigned_at = float("-inf")
        self._endpoints: dict[str, Endpoint[SourceRecordT]] = {}
        self._hosts: dict[str, HostState[SourceRecordT]] = {}

    def endpoint(self, hook: Hook) -> Endpoint[SourceRecordT]:
        """The running side of `hook`; a definition that a reload changed is taken over here."""
        endpoint = self._endpoints.get(hook.id)
        if endpoint is None:
            endpoint = self._endpoints[hook.id] = self._new_endpoint(hook)
        elif endpoint.hook is not hook:
            if hook.rate_limit != endpoint.hook.rate_limit:  # else it keeps its count
                endpoint.bucket = self._bucket(hook.rate_limit, self._shares.hooks[hook.trigger])
            is_same_request = hook.request_parts == endpoint.hook.request_parts
            endpoint.adopt(
                hook, self._builder(hook), self._host_state(hook), self._metrics.hook(hook.id)
            )
            if not is_same_request:
                endpoint.reset_answers(self._circuit(hook.id))
        return endpoint

    def endpoints_with_queue(self) -> list[Endpoint[SourceRecordT]]:
        """The endpoints for which deliveries wait."""
        return [endpoint for endpoint in self._endpoints.values() if endpoint.waiting]

    def reset_paces(self, now: float) -> None:
        """Learn every endpoint's pace anew."""
        for endpoint in self._endpoints.values():
            endpoint.reset_pace(now)

    def reconfigure(self, limits: Limits, hooks: Container[str], now: float) -> None:
        """After a reload: take over bounds, enable what 410 disabled, forget endpoints of removed
        hooks, and hosts that no endpoint is at, as soon as they are idle and no rate limit
        remembers them.

        Definitions are taken over one by one, with the next delivery of each.
        """
        if limits.host_rate_limit != self.limits.host_rate_limit:
            for host in self._hosts.values():
                host.bucket = self._bucket(limits.host_rate_limit, self._shares.host)
        self.limits = limits
        for endpoint in self._endpoints.values():
            endpoint.enable()
        for hook_id in [known for known in self._endpoints if known not in hooks]:
            endpoint = self._endpoints[hook_id]
            if not endpoint.waiting and _is_idle(endpoint, now):
                del self._endpoints[hook_id]
        used = {endpoint.host for endpoint in self._endpoints.values()}
        for name, host in list(self._hosts.items()):
            if host not in used and _is_idle(host, now):
                del self._hosts[name]

    def divide(self, shares: Shares, now: float) -> None:
        """After an assignment: replicas divide the rate limits by the partitions they have."""
        self._shares = shares
        self._assigned_at = now
        for endpoint in self._endpoints.values():
            if endpoint.bucket:
                endpoint.bucket.scale(shares.hooks[endpoint.hook.trigger], now)
            endpoint.deferred.clear()  # other replicas may see it again
        for host in self._hosts.values():
            if host.bucket:
                host.bucket.scale(shares.host, now)

    def _new_endpoint(self, hook: Hook) -> Endpoint[SourceRecordT]:
        return Endpoint(
            hook=hook,
            builder=self._builder(hook),
            host=self._host_state(hook),
            bucket=self._bucket(hook.rate_limit, self._shares.hooks[hook.trigger]),
            circuit=self._circuit(hook.id),
            metrics=self._metrics.hook(hook.id),
        )

    def _bucket(self, limit: RateLimit | None, share: float) -> TokenBucket | None:
        """The count of a rate limit that begins here; another replica may have used it before."""
        return TokenBucket(limit, share, empty_at=self._assigned_at) if limit else None

    def _circuit(self, hook_id: str) -> Circuit:
        return Circuit(self._circuit_policy, partial(self._circuit_changed, hook_id))

    def _circuit_changed(self, hook_id: str, state: CircuitState) -> None:
        self._metrics.hook(hook_id).circuit(open=state is not CircuitState.CLOSED)
        log.warning("circuit changed", hook=hook_id, state=state.value)

    def _builder(self, hook: Hook) -> RequestBuilder:
        return RequestBuilder(
            hook, timeout=self.limits.timeout, connect_timeout=self.limits.connect_timeout
        )

    def _host_state(self, hook: Hook) -> HostState[SourceRecordT]:
        host = self._hosts.get(hook.host_key)
        if host is None:
            bucket = self._bucket(self.limits.host_rate_limit, self._shares.host)
            host = self._hosts[hook.host_key] = HostState(bucket)
        return host


def _is_idle(place: Endpoint[SourceRecordT] | HostState[SourceRecordT], now: float) -> bool:
    """Whether one made anew at `now` (monotonic seconds) would be no different."""
    return not place.in_flight and (place.bucket is None or place.bucket.is_full(now))
