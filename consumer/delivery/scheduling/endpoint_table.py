"""Every endpoint and host that deliveries go to. The scheduler owns the one table."""

from collections.abc import Container, Iterable, Mapping
from functools import partial
from math import inf

from consumer.delivery.http.request import RequestBuilder
from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState
from consumer.delivery.scheduling.endpoint import Endpoint, HostState
from consumer.delivery.scheduling.limits import Limits, Shares
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.events.triggers import TRIGGERS
from consumer.hooks.table import Hook, RateLimit
from consumer.logs import get_logger
from consumer.metrics import Metrics

log = get_logger(__name__)


class EndpointTable:
    """Endpoints by hook id and hosts by `host:port`, made when first needed."""

    def __init__(self, limits: Limits, circuit_policy: CircuitPolicy, metrics: Metrics) -> None:
        self.limits = limits
        self.endpoints: dict[str, Endpoint] = {}
        self.hosts: dict[str, HostState] = {}
        self.shares = Shares(dict.fromkeys(TRIGGERS, 1.0), 1.0)
        self._circuit_policy = circuit_policy
        self._metrics = metrics
        self._assigned_at = float("-inf")
        self._removed: set[str] = set()
        """Endpoints whose hooks are removed, and that had something to do then."""

    def endpoint(self, hook: Hook) -> Endpoint:
        """The endpoint of `hook`, made or brought up to its definition if need be."""
        endpoint = self.endpoints.get(hook.id)
        if endpoint is None:
            endpoint = self.endpoints[hook.id] = self._new_endpoint(hook)
        elif endpoint.hook is not hook:
            if hook.rate_limit != endpoint.hook.rate_limit:  # the same limit keeps its count
                endpoint.bucket = self._bucket(hook.rate_limit, self.shares.hooks[hook.trigger])
            is_same_request = hook.request_parts == endpoint.hook.request_parts
            endpoint.adopt(
                hook, self._builder(hook), self._host_state(hook), self._metrics.hook(hook.id)
            )
            if not is_same_request:
                endpoint.reset_results(self._circuit(hook.id))
        return endpoint

    def crowded(self, now: float, *, short_of_cpu: bool) -> list[tuple[Endpoint, int]]:
        """The endpoints that fill the queues by their slowness, with the number of deliveries by
        which each has more than an equal share of half of the capacity. `short_of_cpu`: their pace
        is this process's.
        """
        queued = [endpoint for endpoint in self.endpoints.values() if endpoint.waiting]
        limits = self.limits
        max_queue_seconds = inf if short_of_cpu else limits.max_queue_seconds
        share = limits.waiting // 2 // max(1, len(queued))
        return [
            (endpoint, len(endpoint.waiting) - share)
            for endpoint in queued
            if endpoint.is_slow(now, limits.stall_timeout, max_queue_seconds)
        ]

    def reset_paces(self, now: float) -> None:
        """Learn every endpoint's pace anew."""
        for endpoint in self.endpoints.values():
            endpoint.reset_pace(now)

    def reconfigure(self, limits: Limits, hooks: Container[str], now: float) -> None:
        """Use the bounds of a reload, enable what 410 disabled, and remove the endpoints of removed
        hooks and the hosts without endpoint, if they are idle and their rate limits are unused.

        Definitions are taken over one by one, with the next delivery of each.
        """
        if limits.host_rate_limit != self.limits.host_rate_limit:
            for host in self.hosts.values():
                host.bucket = self._bucket(limits.host_rate_limit, self.shares.host)
        self.limits = limits
        for endpoint in self.endpoints.values():
            endpoint.enable()
        self._removed = {known for known in self.endpoints if known not in hooks}
        self._drop_removed(now)
        self._drop_hosts(now)

    def redefine(
        self, hooks: Mapping[str, Hook], changed: Iterable[str], now: float
    ) -> list[Endpoint]:
        """Take over changed definitions of `hooks`, enable what 410 disabled, and remove what
        `reconfigure` would; returns the endpoints that have a new definition.
        """
        redefined = []
        for hook_id in changed:
            hook, endpoint = hooks.get(hook_id), self.endpoints.get(hook_id)
            if endpoint is None:
                continue
            if hook is None:
                self._removed.add(hook_id)
            else:
                redefined.append(self.endpoint(hook))
                endpoint.enable()
        self._removed = {hook_id for hook_id in self._removed if hook_id not in hooks}
        if self._drop_removed(now):
            self._drop_hosts(now)
        return redefined

    def _drop_removed(self, now: float) -> bool:
        """Remove the endpoints of removed hooks that have nothing to do, the others at a later
        change of definitions; returns whether there was one.
        """
        number = len(self._removed)
        for hook_id in list(self._removed):
            endpoint = self.endpoints[hook_id]
            learned = endpoint.learned_rate
            is_limited = learned is not None and not learned.is_over(now)
            if not endpoint.waiting and not is_limited and _is_as_new(endpoint, now):
                del self.endpoints[hook_id]
                self._removed.remove(hook_id)
        return len(self._removed) < number

    def _drop_hosts(self, now: float) -> None:
        """Remove the hosts without endpoint, if a new one would behave alike."""
        used = {endpoint.host for endpoint in self.endpoints.values()}
        for name, host in list(self.hosts.items()):
            if host not in used and _is_as_new(host, now):
                del self.hosts[name]

    def divide(self, shares: Shares, now: float) -> None:
        """Use these parts of the rate limits from `now` on, since an assignment."""
        self.shares = shares
        self._assigned_at = now
        for endpoint in self.endpoints.values():
            if endpoint.bucket:
                endpoint.bucket.scale(shares.hooks[endpoint.hook.trigger], now)
        for host in self.hosts.values():
            if host.bucket:
                host.bucket.scale(shares.host, now)

    def _new_endpoint(self, hook: Hook) -> Endpoint:
        return Endpoint(
            hook=hook,
            builder=self._builder(hook),
            host=self._host_state(hook),
            bucket=self._bucket(hook.rate_limit, self.shares.hooks[hook.trigger]),
            circuit=self._circuit(hook.id),
            metrics=self._metrics.hook(hook.id),
        )

    def _bucket(self, limit: RateLimit | None, share: float) -> TokenBucket | None:
        """A new count of a rate limit; another replica may have used it before the assignment."""
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

    def _host_state(self, hook: Hook) -> HostState:
        host = self.hosts.get(hook.host_key)
        if host is None:
            bucket = self._bucket(self.limits.host_rate_limit, self.shares.host)
            host = self.hosts[hook.host_key] = HostState(bucket)
        return host


def _is_as_new(state: Endpoint | HostState, now: float) -> bool:
    """Whether one that is made at `now` (monotonic seconds) would behave alike."""
    return not state.in_flight and (state.bucket is None or state.bucket.is_full(now))
