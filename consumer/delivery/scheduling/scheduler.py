"""Decides which delivery starts when, and what follows from each answer.

Callbacks, not tasks: a delivery costs a few function calls between the record and the transport.
Everything here runs on the event loop's thread.
"""

from collections import deque
from collections.abc import Callable, Container
from functools import partial
from math import inf
from typing import Generic

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult, Transport
from consumer.delivery.http.values import RejectedError
from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState
from consumer.delivery.scheduling.conclusions import Conclusions, Timer
from consumer.delivery.scheduling.deferrals import Deferrals, Outcomes
from consumer.delivery.scheduling.endpoint import (
    Delivery,
    Endpoint,
    HostState,
    QueueState,
    SourceRecordT,
)
from consumer.delivery.scheduling.registry import Limits, Registry, Shares
from consumer.delivery.scheduling.retry_policy import RetryPolicy
from consumer.hooks.table import Hook
from consumer.metrics import Metrics, status_label
from consumer.reasons import Reason

_CLOSED = CircuitState.CLOSED
_PAUSE = 0.02
"""Seconds between two slices of a queue behind an open circuit, for the answers of the others."""
_LOOK = 1.0
"""Seconds: an endpoint whose rate is spent is looked at this often, so a reload reaches it soon."""


class Scheduler(Generic[SourceRecordT]):
    """Starts deliveries within bounds; what does not fit in its bound is parked.

    An attempt needs a place in all, one at the host and one of the hook. A hook may hold no
    more places than are left free (dynamic threshold, Choudhury and Hahne 1998): one that
    hangs takes half of them, two take two thirds, and some always stay free for the others.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        outcomes: Outcomes[SourceRecordT],
        limits: Limits,
        policy: RetryPolicy,
        circuit_policy: CircuitPolicy,
        clock: Clock,
        timer: Timer,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._transport = transport
        self._clock = clock
        self._timer = timer
        self._deferrals: Deferrals[SourceRecordT] = Deferrals(outcomes, policy, clock, random)
        self._unfinished = self._deferrals.unfinished
        self._registry: Registry[SourceRecordT] = Registry(limits, circuit_policy, metrics)
        self._ready: deque[Endpoint[SourceRecordT]] = deque()
        self.in_flight = 0
        """Attempts under way."""
        self._waiting = 0
        self._conclusions: Conclusions[SourceRecordT] = Conclusions(
            deferrals=self._deferrals,
            outcomes=outcomes,
            registry=self._registry,
            clock=clock,
            timer=timer,
            submit=self.submit,
        )
        self._start_until = inf
        self._awake_until = inf

    @property
    def excuses(self) -> Callable[[AttemptResult, float], bool]:
        """See `Conclusions.excuses`."""
        return self._conclusions.excuses

    @excuses.setter
    def excuses(self, excuses: Callable[[AttemptResult, float], bool]) -> None:
        self._conclusions.excuses = excuses

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause: as many wait as there is room for."""
        return self._waiting >= self._registry.limits.waiting

    def endpoint(self, hook: Hook) -> Endpoint[SourceRecordT]:
        """The running side of `hook`, for a delivery to it."""
        return self._registry.endpoint(hook)

    def reconfigure(self, limits: Limits, policy: RetryPolicy, hooks: Container[str]) -> None:
        """After a reload to `hooks`: take over bounds and policy."""
        self._deferrals.policy = policy
        self._registry.reconfigure(limits, hooks, self._clock.monotonic())

    def divide(self, shares: Shares) -> None:
        """After an assignment: use only this replica's part of the rate limits."""
        self._registry.divide(shares, self._clock.monotonic())

    def extend(self, *, start_until: float, awake_until: float) -> None:
        """Start deliveries until the one time (monotonic seconds), and judge endpoints by their
        silence until the other: whoever calls this says so for as long as it runs itself.
        """
        was_late = self._clock.monotonic() >= self._start_until
        self._start_until, self._awake_until = start_until, awake_until
        if was_late:
            self._run()

    def woke(self) -> None:
        """This process stood still: how long answers took says nothing about the endpoints."""
        self._registry.reset_paces(self._clock.monotonic())

    def submit(self, delivery: Delivery[SourceRecordT]) -> None:
        """Take on one delivery; its outcome may be told before this returns."""
        endpoint = delivery.endpoint
        self._unfinished.add(delivery)
        endpoint.join(delivery, self._clock.monotonic())
        self._waiting += 1
        if endpoint.queue_state is QueueState.IDLE:
            self._make_ready(endpoint)
        self._run()

    def resubmit(
        self, delivery: Delivery[SourceRecordT], retry_topic: float, cause: str = ""
    ) -> None:
        """Take on a delivery that comes back out of the retry lane with the delay `lane`, where
        `cause` brought it.
        """
        delivery.endpoint.take_returned(retry_topic, cause)
        self.submit(delivery)

    def shed_load(self) -> None:
        """In a full waiting room, park what would hold up the others: intake calls this while it
        pauses. Where there are no others, nothing is gained by it.
        """
        if not self.at_capacity:
            return
        limits = self._registry.limits
        if self._clock.monotonic() < self._awake_until:
            self._waiting -= self._deferrals.shed_load(
                self._registry.endpoints_with_queue(), limits
            )

    def defer_all(self, which: Callable[[SourceRecordT], bool]) -> None:
        """Park every delivery without an outcome whose origin is `which`, under way or not.

        For the end of an assignment or of the process: what is under way may still arrive, and
        then arrives twice, but holds back no commit.
        """
        for delivery in [
            delivery for delivery in self._unfinished if which(delivery.source_record)
        ]:
            self._deferrals.defer(delivery, 0.0, "stopped")

    def _make_ready(self, endpoint: Endpoint[SourceRecordT]) -> None:
        endpoint.queue_state = QueueState.READY
        self._ready.append(endpoint)

    def _run(self) -> None:
        """Start what may start, one delivery of each ready endpoint in turn.

        Who is passed over holds at least as many places as are free, so few are.
        """
        ready = self._ready
        passed_over: list[Endpoint[SourceRecordT]] = []
        while ready and self.in_flight < self._registry.limits.concurrency:
            endpoint = ready.popleft()
            endpoint.queue_state = QueueState.IDLE
            if self._may_start(endpoint):
                self._start(endpoint)
                if endpoint.waiting and endpoint.queue_state is QueueState.IDLE:
                    self._make_ready(endpoint)
            elif endpoint.queue_state is QueueState.READY:
                passed_over.append(endpoint)
            if endpoint.host.blocked:  # the place that it did not take is another's
                self._wake_blocked(endpoint.host)
        ready.extend(passed_over)

    def _wake_blocked(self, host: HostState[SourceRecordT]) -> None:
        """Move on the first endpoint that may take a free place at `host`, if its rate allows."""
        if not host.blocked:
            return
        if host.bucket and (wait := host.bucket.wait(self._clock.monotonic())):
            self._await_rate(host, wait)
            return
        endpoint = host.unblock(self._registry.limits.per_host)
        if endpoint is not None:
            self._make_ready(endpoint)

    def _may_start(self, endpoint: Endpoint[SourceRecordT]) -> bool:
        """Whether `endpoint` may start one now; if not, its place says who wakes it."""
        now, limits = self._clock.monotonic(), self._registry.limits
        if endpoint.waiting and endpoint.waiting[0].queued_at < now - limits.max_wait:
            self._waiting -= self._deferrals.shed_stale(endpoint, now - limits.max_wait)
        if not endpoint.waiting:
            return False
        host, mine = endpoint.host, endpoint.in_flight
        if mine >= limits.per_hook:
            return False  # its own next answer wakes it
        if mine >= limits.concurrency - self.in_flight or now >= self._start_until:
            endpoint.queue_state = QueueState.READY
            return False
        if mine >= limits.per_host - host.in_flight:
            endpoint.queue_state = QueueState.BLOCKED_ON_HOST
            host.blocked.append(endpoint)
            return False
        is_held_back = endpoint.paused_until > now or endpoint.circuit.state is not _CLOSED
        if is_held_back and self._waits_for_receiver(endpoint, now):
            return False
        return not (endpoint.bucket or host.bucket) or self._rates_allow(endpoint, now)

    def _rates_allow(self, endpoint: Endpoint[SourceRecordT], now: float) -> bool:
        host = endpoint.host
        if endpoint.bucket and (wait := endpoint.bucket.wait(now)):
            self._look_again(endpoint, min(wait, _LOOK))
            return False
        if host.bucket and (wait := host.bucket.wait(now)):
            endpoint.queue_state = QueueState.BLOCKED_ON_HOST
            host.blocked.append(endpoint)
            self._await_rate(host, wait)
            return False
        return True

    def _waits_for_receiver(self, endpoint: Endpoint[SourceRecordT], now: float) -> bool:
        """Whether nothing may be sent now. Then what waits is parked, or goes on waiting."""
        wait, cause = endpoint.held_back(now)
        if cause:
            self._waiting -= self._deferrals.shed_all(endpoint, wait, cause)
            wait = _PAUSE
        if wait and endpoint.waiting:
            self._look_again(endpoint, min(wait, _LOOK))
        return wait > 0.0

    def _look_again(self, endpoint: Endpoint[SourceRecordT], wait: float) -> None:
        endpoint.queue_state = QueueState.BLOCKED_ON_RATE
        self._timer(wait, partial(self._wake, endpoint))

    def _wake(self, endpoint: Endpoint[SourceRecordT]) -> None:
        self._make_ready(endpoint)
        self._run()

    def _await_rate(self, host: HostState[SourceRecordT], wait: float) -> None:
        """One timer for all who wait there, so that they take turns."""
        if not host.timed:
            host.timed = True
            self._timer(min(wait, _LOOK), partial(self._wake_host, host))

    def _wake_host(self, host: HostState[SourceRecordT]) -> None:
        host.timed = False
        since = self._clock.monotonic() - self._registry.limits.max_wait
        for endpoint in host.blocked:
            self._waiting -= self._deferrals.shed_stale(endpoint, since)
        self._wake_blocked(host)
        self._run()

    def _start(self, endpoint: Endpoint[SourceRecordT]) -> None:
        delivery = endpoint.waiting.popleft()
        self._waiting -= 1
        if delivery.ended or delivery.source_record.revoked:
            self._unfinished.discard(delivery)
            return
        try:
            request = endpoint.builder.build(delivery.event, delivery.id, self._clock.now())
        except RejectedError as error:
            self._deferrals.dead_letter(delivery, Reason.REJECTED, str(error))
            return
        now, host = self._clock.monotonic(), endpoint.host
        if delivery.began is None:
            delivery.began = now
        delivery.attempts += 1
        if endpoint.bucket:
            endpoint.bucket.take(now)
        if host.bucket:
            host.bucket.take(now)
        endpoint.in_flight += 1
        host.in_flight += 1
        self.in_flight += 1
        circuit = endpoint.circuit
        probe = circuit.state is not _CLOSED and circuit.begin()
        self._transport.send(request, partial(self._answered, delivery, host, circuit, probe))

    def _answered(
        self,
        delivery: Delivery[SourceRecordT],
        host: HostState[SourceRecordT],
        circuit: Circuit,
        probe: bool,  # noqa: FBT001  # as a keyword it would cost each delivery more
        answer: AttemptResult,
    ) -> None:
        endpoint, now = delivery.endpoint, self._clock.monotonic()
        endpoint.in_flight -= 1
        host.in_flight -= 1
        self.in_flight -= 1
        endpoint.note_answer(now)
        endpoint.metrics.attempt(status_label(answer.status, answer.error), answer.duration)
        self._conclusions.draw(delivery, circuit, answer, now, probe=probe)
        if host.blocked:
            self._wake_blocked(host)
        if endpoint.host is not host:  # a reload moved it, and it may wait at its new host
            self._wake_blocked(endpoint.host)
        if endpoint.waiting and endpoint.queue_state is QueueState.IDLE:
            self._make_ready(endpoint)
        self._run()
