"""Decides which delivery starts when, and carries out what follows from each result.

Callbacks, not tasks: a delivery costs a few function calls between the record and the transport.
Everything here runs on the event loop's thread.
"""

from collections.abc import Callable, Container, Iterable, Mapping
from functools import partial
from math import inf

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult, Transport
from consumer.delivery.http.values import RejectedError
from consumer.delivery.scheduling.circuit import Circuit, CircuitPolicy, CircuitState
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import Endpoint, HostState, QueueState
from consumer.delivery.scheduling.endpoint_table import EndpointTable
from consumer.delivery.scheduling.limits import Limits, Shares
from consumer.delivery.scheduling.next_step import AWAIT_SLOT, STALE, Start, Step, Wait, next_step
from consumer.delivery.scheduling.observers import AttemptObserver
from consumer.delivery.scheduling.outcomes import Outcomes
from consumer.delivery.scheduling.overflow_room import Room, overflow_room
from consumer.delivery.scheduling.retry_policy import (
    BEHIND,
    CROWDED,
    REFUSING,
    STOPPED,
    DeadLetter,
    RetryNow,
    RetryPolicy,
)
from consumer.delivery.scheduling.slots import slots_at_work
from consumer.delivery.scheduling.unfinished import Excuses, UnfinishedDeliveries, never_excuses
from consumer.delivery.scheduling.waits import Waits
from consumer.hooks.table import Hook
from consumer.metrics import Metrics
from consumer.reasons import Reason
from consumer.records.tracker import InFlightRecord

_CLOSED = CircuitState.CLOSED


class Scheduler:
    """Owns the queues, slots, circuits, rates and counters of all endpoints; nothing else changes
    them. `next_step` decides what starts, `RetryPolicy.decide` what follows from a result.

    An attempt needs a slot in all, one at the host and one of the hook. A hook may hold no more
    slots than are left free (dynamic threshold, Choudhury and Hahne 1998): one that hangs takes
    half of them, two take two thirds, and some always stay free for the others.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        outcomes: Outcomes,
        limits: Limits,
        policy: RetryPolicy,
        circuit_policy: CircuitPolicy,
        clock: Clock,
        timer: Callable[[float, Callable[[], object]], object],
        random: Callable[[], float],
        metrics: Metrics,
        observers: Iterable[AttemptObserver],
    ) -> None:
        """`timer`: `loop.call_later`; `random`: uniform in [0, 1)."""
        self._transport = transport
        self._clock = clock
        self._table = EndpointTable(limits, circuit_policy, metrics)
        self._unfinished = UnfinishedDeliveries(outcomes, observers, policy, clock, random)
        self._waits = Waits(
            self._table, clock, timer,
            wake=self._wake, wake_host=self._wake_host, submit=self.submit,
        )  # fmt: skip
        self.in_flight = 0
        """Attempts under way."""
        self._waiting = 0
        """Deliveries in all queues."""
        self._start_until = self._awake_until = inf
        self._short_of_cpu = False
        self.excuses: Excuses = never_excuses

    @property
    def at_capacity(self) -> bool:
        """Whether intake must pause: the queues are full."""
        return self._waiting >= self._table.limits.waiting

    @property
    def busy_slots(self) -> float:
        """The share of all slots that more replicas would relieve (`slots_at_work`)."""
        endpoints = {delivery.endpoint for delivery in self._unfinished.deliveries}
        return slots_at_work(endpoints, self._clock.monotonic(), self._table.limits)

    def endpoint(self, hook: Hook) -> Endpoint:
        """The endpoint of `hook`, made or brought up to its definition, for a delivery to it."""
        return self._table.endpoint(hook)

    def reconfigure(self, limits: Limits, policy: RetryPolicy, hooks: Container[str]) -> None:
        """Use the bounds and the policy of a reload to `hooks`."""
        self._unfinished.policy = policy
        self._table.reconfigure(limits, hooks, self._clock.monotonic())

    def redefine(self, hooks: Mapping[str, Hook], changed: Iterable[str]) -> None:
        """Use the `changed` definitions of `hooks`, as after a reload, also for what waits."""
        for endpoint in self._table.redefine(hooks, changed, self._clock.monotonic()):
            self._resume(endpoint)

    def divide(self, shares: Shares) -> None:
        """Use only this replica's part of the rate limits, since an assignment."""
        self._table.divide(shares, self._clock.monotonic())

    def extend(self, *, start_until: float, awake_until: float, short_of_cpu: bool) -> None:
        """Start deliveries until the one time (monotonic seconds), and judge endpoints by their
        silence until the other; `short_of_cpu`: not by their pace, which is this process's. The
        caller repeats this for as long as it runs itself.
        """
        was_late = self._clock.monotonic() >= self._start_until
        self._start_until, self._awake_until = start_until, awake_until
        self._short_of_cpu = short_of_cpu
        if was_late:
            self._run()

    def woke(self) -> None:
        """This process stood still: how long results took says nothing about the endpoints."""
        self._table.reset_paces(self._clock.monotonic())

    def submit(self, delivery: Delivery) -> None:
        """Take on one delivery; its outcome may be told before this returns."""
        endpoint = delivery.endpoint
        self._unfinished.deliveries.add(delivery)
        endpoint.join(delivery, self._clock.monotonic())
        self._waiting += 1
        if endpoint.queue_state is QueueState.IDLE:
            self._waits.make_ready(endpoint)
        elif endpoint.queue_state is not QueueState.READY and endpoint.is_full(
            self._clock.monotonic()
        ):
            self._overflow(endpoint.pop_newest(1), CROWDED)
        self._run()

    def resubmit(self, delivery: Delivery, cause: str = "") -> None:
        """Take on a delivery from a retry topic or overflow; `cause`: why it went there."""
        if cause == REFUSING:
            delivery.endpoint.circuit.trust()
        self.submit(delivery)

    def line_up(self, delivery: Delivery) -> bool:
        """Take on one delivery of a hook whose earlier ones wait in the overflow topic: behind
        them. Returns whether all of them wait for this process, which is short of CPU.
        """
        self._unfinished.deliveries.add(delivery)
        self._unfinished.overflow([delivery], BEHIND)
        self._resume(delivery.endpoint)
        return self._short_of_cpu and delivery.endpoint.is_open(self._clock.monotonic())

    def set_aside(self, delivery: Delivery) -> None:
        """Defer one delivery, under way or not, for the sake of those behind it."""
        self._unfinished.defer(delivery)

    def room(self, hook: Hook, first_failed_at: float) -> Room:
        """How many deliveries of `hook` may come out of the overflow topic now. None of them first
        failed before `first_failed_at` (epoch seconds).
        """
        is_over = self._clock.now() >= first_failed_at + self._unfinished.policy.expire_after
        limits = self._table.limits
        is_busy = self._waiting >= limits.waiting // 2
        endpoint = self.endpoint(hook)
        self._resume(endpoint)
        return overflow_room(
            endpoint, self._clock.monotonic(), limits, is_busy=is_busy, is_over=is_over
        )

    def shed_load(self) -> None:
        """At capacity, let those deliveries overflow that hold up other hooks. Intake calls this
        while it pauses, if there are other hooks.
        """
        now = self._clock.monotonic()
        if self.at_capacity and now < self._awake_until:
            for endpoint, excess in self._table.crowded(now, short_of_cpu=self._short_of_cpu):
                self._overflow(endpoint.pop_newest(excess), CROWDED)

    def release(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Let every delivery overflow that has not started and whose source record is `which`: at
        the end of an assignment or of the process its next owner sends it at once.
        """
        for endpoint in self._table.endpoints.values():
            self._overflow(endpoint.pop_matching(lambda d: which(d.source_record)), STOPPED)

    def defer_all(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Defer every delivery without an outcome whose source record is `which`, under way or not:
        at the end of an assignment or of the process an attempt under way holds back no commit. It
        may still arrive, and then arrives twice (at-least-once).
        """
        self._unfinished.defer_all(which)

    def _resume(self, endpoint: Endpoint) -> None:
        """Go on with the queue of an endpoint whose new definition may have another host."""
        if self._waits.offer(endpoint):
            self._run()

    def _run(self) -> None:
        """Start what may start, one delivery of each ready endpoint in turn.

        A skipped endpoint already holds at least as many slots as are free, so few are skipped.
        """
        ready = self._waits.ready
        skipped: list[Endpoint] = []
        while ready and self.in_flight < self._table.limits.concurrency:
            endpoint = ready.popleft()
            endpoint.queue_state = QueueState.IDLE
            if self._advance(endpoint) is AWAIT_SLOT:
                skipped.append(endpoint)
            if endpoint.host.blocked:  # the slot that it did not take is another's
                self._waits.wake_blocked(endpoint.host)
        ready.extend(skipped)

    def _advance(self, endpoint: Endpoint) -> Step:
        """Carry out the next step of `endpoint`, and return it."""
        now, limits = self._clock.monotonic(), self._table.limits
        free_slots = limits.concurrency - self.in_flight if now < self._start_until else 0
        step = next_step(endpoint, now, limits, free_slots)
        if step is STALE:
            self._overflow(endpoint.pop_stale(now - limits.max_wait), CROWDED)
            step = next_step(endpoint, now, limits, free_slots)
        if isinstance(step, Start):
            self._start(endpoint, now)
            self._waits.offer(endpoint)
        elif isinstance(step, Wait):
            self._waits.wait(endpoint, step)
        else:
            self._overflow(endpoint.pop_newest(len(endpoint.waiting)), step.cause)
        return step

    def _overflow(self, deliveries: list[Delivery], cause: str) -> None:
        """Let deliveries that have left their queue, oldest first, wait in the overflow topic."""
        self._waiting -= len(deliveries)
        self._unfinished.overflow(deliveries, cause)

    def _wake(self, endpoint: Endpoint) -> None:
        self._waits.make_ready(endpoint)
        self._run()

    def _wake_host(self, host: HostState) -> None:
        host.timed = False
        stale_before = self._clock.monotonic() - self._table.limits.max_wait
        for endpoint in host.blocked:
            self._overflow(endpoint.pop_stale(stale_before), CROWDED)
        self._waits.wake_blocked(host)
        self._run()

    def _start(self, endpoint: Endpoint, now: float) -> None:
        delivery = endpoint.waiting.popleft()
        self._waiting -= 1
        if delivery.ended or delivery.source_record.revoked:
            self._unfinished.deliveries.discard(delivery)
            return
        try:
            request = endpoint.builder.build(delivery.event, delivery.id, self._clock.now())
        except RejectedError as error:
            self._unfinished.end_unsent(delivery, DeadLetter(Reason.REJECTED, str(error)))
            return
        host, circuit = endpoint.host, endpoint.circuit
        if delivery.began is None:
            delivery.began = now
        delivery.attempts += 1
        endpoint.take_tokens(now)
        endpoint.in_flight += 1
        host.in_flight += 1
        self.in_flight += 1
        probe = circuit.state is not _CLOSED and circuit.begin()
        self._transport.send(request, partial(self._on_result, delivery, host, circuit, probe))

    def _on_result(
        self,
        delivery: Delivery,
        host: HostState,
        circuit: Circuit,
        probe: bool,  # noqa: FBT001  # as a keyword it would cost each delivery more
        result: AttemptResult,
    ) -> None:
        endpoint, now = delivery.endpoint, self._clock.monotonic()
        endpoint.in_flight -= 1
        host.in_flight -= 1
        self.in_flight -= 1
        endpoint.note_result(now)
        may_retry_now = self._waits.retries < self._table.limits.waiting
        unfinished = self._unfinished.follow_up(
            delivery, circuit, result, now, probe, self.excuses, may_retry_now=may_retry_now
        )
        if isinstance(unfinished, RetryNow):
            self._waits.retry(delivery, unfinished.delay)
        elif unfinished is not None:
            endpoint.rejoin(delivery)
            self._waiting += 1
        if host.blocked:
            self._waits.wake_blocked(host)
        if endpoint.host is not host:  # a reload moved it, and it may wait at its new host
            self._waits.wake_blocked(endpoint.host)
        self._waits.offer(endpoint)
        self._run()
