"""Decides which delivery starts when, and what follows from each answer.

Callbacks, not tasks: a delivery costs a few function calls between the record and the transport.
Everything here runs on the event loop's thread.
"""

from collections import deque
from collections.abc import Callable, Container
from functools import partial
from typing import Generic, Protocol

from consumer.clock import Clock
from consumer.delivery.circuit import CircuitPolicy
from consumer.delivery.endpoint import Delivery, Endpoint, Host, OriginT, Place
from consumer.delivery.outcome import (
    Bury,
    Meaning,
    Park,
    Reason,
    Repeat,
    RetryPolicy,
    meaning,
)
from consumer.delivery.registry import Limits, Registry, Shares
from consumer.delivery.transport import Answer, Transport
from consumer.delivery.values import RejectedError
from consumer.hooks.table import Hook
from consumer.logs import get_logger
from consumer.metrics import Metrics, status_label

log = get_logger(__name__)

Timer = Callable[[float, Callable[[], object]], object]
"""`loop.call_later`: seconds, what to call."""

_LOOK = 1.0
"""Seconds: an endpoint whose rate is spent is looked at this often, so a reload reaches it soon."""


class Outcomes(Protocol[OriginT]):
    """Who hears how deliveries ended: each that was submitted ends in exactly one of these.

    Of those whose origin was revoked nothing is said.
    """

    def delivered(self, delivery: Delivery[OriginT]) -> None:
        """The receiver answered 2xx."""
        ...

    def parked(self, delivery: Delivery[OriginT], park: Park, cause: str) -> None:
        """To be handed over to a retry lane; `cause` in a word."""
        ...

    def buried(self, delivery: Delivery[OriginT], reason: Reason, detail: str) -> None:
        """To be handed over to the dead-letter topic; `detail` is for people."""
        ...


class Dispatcher(Generic[OriginT]):
    """Starts deliveries within bounds; what does not fit in its bound is parked.

    An attempt needs a place in all, one at the host and one of the hook. A hook may hold no
    more places than are left free (dynamic threshold, Choudhury and Hahne 1998): one that
    hangs takes half of them, two take two thirds, and some always stay free for the others.
    """

    def __init__(
        self,
        *,
        transport: Transport,
        outcomes: Outcomes[OriginT],
        limits: Limits,
        policy: RetryPolicy,
        circuit_policy: CircuitPolicy,
        clock: Clock,
        timer: Timer,
        random: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        self._transport = transport
        self._outcomes = outcomes
        self._policy = policy
        self._clock = clock
        self._timer = timer
        self._random = random
        self._registry: Registry[OriginT] = Registry(limits, circuit_policy, metrics)
        self._ready: deque[Endpoint[OriginT]] = deque()
        self._open: set[Delivery[OriginT]] = set()
        self.in_flight = 0
        """Attempts under way."""
        self._waiting = 0
        self._repeating = 0

    @property
    def full(self) -> bool:
        """Whether intake must pause: as many wait as there is room for."""
        return self._waiting >= self._registry.limits.waiting

    @property
    def busy(self) -> bool:
        """Whether any delivery is without its outcome."""
        return bool(self._open)

    def endpoint(self, hook: Hook) -> Endpoint[OriginT]:
        """The running side of `hook`, for a delivery to it."""
        return self._registry.endpoint(hook)

    def reconfigure(self, limits: Limits, policy: RetryPolicy, hooks: Container[str]) -> None:
        """After a reload to `hooks`: take over bounds and policy."""
        self._policy = policy
        self._registry.reconfigure(limits, hooks)

    def divide(self, shares: Shares) -> None:
        """After an assignment: use only this replica's part of the rate limits."""
        self._registry.divide(shares)

    def submit(self, delivery: Delivery[OriginT]) -> None:
        """Take on one delivery; its outcome may be told before this returns."""
        endpoint = delivery.endpoint
        self._open.add(delivery)
        endpoint.join(delivery, self._clock.monotonic())
        self._waiting += 1
        if endpoint.place is Place.IDLE:
            self._make_ready(endpoint)
        self._run()

    def resubmit(self, delivery: Delivery[OriginT]) -> None:
        """Take on a delivery that comes back out of a retry lane."""
        endpoint = delivery.endpoint
        endpoint.parked = max(0, endpoint.parked - 1)
        self.submit(delivery)

    def relieve(self) -> None:
        """In a full waiting room, park what would hold up the others.

        Each endpoint that holds them up keeps an equal share of half of the room. Intake calls
        this while it pauses. Where there are no others, nothing is gained by it.
        """
        if not self.full:
            return
        now, limits = self._clock.monotonic(), self._registry.limits
        crowded = self._registry.crowded()
        share = limits.waiting // 2 // max(1, len(crowded))
        for endpoint in crowded:
            if endpoint.holds_up(now, limits.patience, limits.backlog):
                self._shed(endpoint, share, "crowded")

    def park_all(self, which: Callable[[OriginT], bool]) -> None:
        """Park every delivery without an outcome whose origin is `which`, under way or not.

        For the end of an assignment or of the process: what is under way may still arrive, and
        then arrives twice, but holds back no commit.
        """
        for delivery in [delivery for delivery in self._open if which(delivery.origin)]:
            self._park(delivery, 0.0, "stopped")

    def _make_ready(self, endpoint: Endpoint[OriginT]) -> None:
        endpoint.place = Place.READY
        self._ready.append(endpoint)

    def _run(self) -> None:
        """Start what may start, one delivery of each ready endpoint in turn.

        Who is passed over holds at least as many places as are free, so few are.
        """
        ready = self._ready
        passed_over: list[Endpoint[OriginT]] = []
        while ready and self.in_flight < self._registry.limits.concurrency:
            endpoint = ready.popleft()
            endpoint.place = Place.IDLE
            if self._may_start(endpoint):
                self._start(endpoint)
                if endpoint.waiting and endpoint.place is Place.IDLE:
                    self._make_ready(endpoint)
            elif endpoint.place is Place.READY:
                passed_over.append(endpoint)
            if endpoint.host.blocked:  # the place that it did not take is another's
                self._wake_blocked(endpoint.host)
        ready.extend(passed_over)

    def _wake_blocked(self, host: Host[OriginT]) -> None:
        """Move on the first endpoint that may take a free place at `host`."""
        free = self._registry.limits.per_host - host.in_flight
        for _ in range(len(host.blocked) if free > 0 else 0):
            endpoint = host.blocked.popleft()
            if not endpoint.waiting:
                endpoint.place = Place.IDLE
            elif endpoint.in_flight < free:
                self._make_ready(endpoint)
                return
            else:
                host.blocked.append(endpoint)

    def _may_start(self, endpoint: Endpoint[OriginT]) -> bool:
        """Whether `endpoint` may start one now; if not, its place says who wakes it."""
        now, limits = self._clock.monotonic(), self._registry.limits
        if endpoint.waiting and endpoint.waiting[0].queued_at < now - limits.longest_wait:
            self._shed_stale(endpoint, now)
        if not endpoint.waiting:
            return False
        host, mine = endpoint.host, endpoint.in_flight
        if mine >= limits.per_hook:
            return False  # its own next answer wakes it
        if mine >= limits.concurrency - self.in_flight:
            endpoint.place = Place.READY
            return False
        if mine >= limits.per_host - host.in_flight:
            endpoint.place = Place.HOST
            host.blocked.append(endpoint)
            return False
        closed_for = endpoint.circuit.wait(now)
        if closed_for or endpoint.gone:
            self._shed(endpoint, 0, "circuit_open", closed_for)
            return False
        wait = endpoint.rate_wait(now)
        if wait:
            endpoint.place = Place.TIMER
            self._timer(min(wait, _LOOK), partial(self._wake, endpoint))
        return not wait

    def _wake(self, endpoint: Endpoint[OriginT]) -> None:
        self._make_ready(endpoint)
        self._run()

    def _start(self, endpoint: Endpoint[OriginT]) -> None:
        delivery = endpoint.waiting.popleft()
        self._waiting -= 1
        if delivery.ended or delivery.origin.revoked:
            self._open.discard(delivery)
            return
        try:
            request = endpoint.builder.build(delivery.event, delivery.id, self._clock.now())
        except RejectedError as error:
            self._bury(delivery, Reason.REJECTED, str(error))
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
        probe = endpoint.circuit.begin()
        self._transport.send(request, partial(self._answered, delivery, host, probe=probe))

    def _answered(
        self, delivery: Delivery[OriginT], host: Host[OriginT], answer: Answer, *, probe: bool
    ) -> None:
        endpoint, now = delivery.endpoint, self._clock.monotonic()
        endpoint.in_flight -= 1
        host.in_flight -= 1
        self.in_flight -= 1
        endpoint.note_answer(now)
        what = meaning(answer)
        endpoint.circuit.record(ok=what is not Meaning.RETRY, probe=probe, now=now)
        endpoint.metrics.attempt(status_label(answer.status, answer.error), answer.duration)
        if what is Meaning.GONE:
            self._close_gone(endpoint)
        if delivery.origin.revoked:
            self._open.discard(delivery)
        elif not delivery.ended:
            if what is Meaning.SUCCESS:
                self._end(delivery)
                self._outcomes.delivered(delivery)
            else:
                self._conclude(delivery, answer, now)
        if host.blocked:
            self._wake_blocked(host)
        if endpoint.host is not host:  # a reload moved it, and it may wait at its new host
            self._wake_blocked(endpoint.host)
        if endpoint.waiting and endpoint.place is Place.IDLE:
            self._make_ready(endpoint)
        self._run()

    def _close_gone(self, endpoint: Endpoint[OriginT]) -> None:
        if not endpoint.gone:
            endpoint.gone = True
            log.warning(
                "hook disabled until a reload: its receiver answers 410", hook=endpoint.hook.id
            )

    def _conclude(self, delivery: Delivery[OriginT], answer: Answer, now: float) -> None:
        """Do what the policy decides on a failure."""
        delivery.last_status = str(answer.error or answer.status)
        decision = self._policy.decide(
            answer,
            attempts=delivery.attempts,
            elapsed=now - (delivery.began or now),
            age=self._age(delivery),
            random=self._random,
        )
        match decision:
            case Repeat(delay) if self._repeating < self._registry.limits.waiting:
                self._repeating += 1
                self._timer(delay, partial(self._repeat, delivery))
            case Repeat():
                self._park(delivery, 0.0, delivery.last_status)
            case Park():
                self._end(delivery)
                delivery.endpoint.parked += 1
                self._outcomes.parked(delivery, decision, delivery.last_status)
            case Bury(reason):
                self._bury(delivery, reason, answer.detail or f"status {delivery.last_status}")

    def _repeat(self, delivery: Delivery[OriginT]) -> None:
        self._repeating -= 1
        if not delivery.ended:
            self.submit(delivery)

    def _age(self, delivery: Delivery[OriginT]) -> float:
        """Seconds since it first could not be delivered; noted here the first time."""
        now = self._clock.now()
        if delivery.first_failed_at is None:
            delivery.first_failed_at = now
        return now - delivery.first_failed_at

    def _shed(
        self, endpoint: Endpoint[OriginT], keep: int, cause: str, delay: float | None = None
    ) -> None:
        """Park all but the `keep` oldest waiting deliveries of `endpoint`."""
        while len(endpoint.waiting) > keep:
            self._set_aside(endpoint.waiting.pop(), cause, delay)

    def _shed_stale(self, endpoint: Endpoint[OriginT], now: float) -> None:
        """Park what has waited too long."""
        waiting, since = endpoint.waiting, now - self._registry.limits.longest_wait
        while waiting and waiting[0].queued_at < since:
            self._set_aside(waiting.popleft(), "crowded")

    def _set_aside(
        self, delivery: Delivery[OriginT], cause: str, delay: float | None = None
    ) -> None:
        """Park a delivery that was taken out of its endpoint's queue.

        Where no `delay` is known, each draws one over the time that the whole backlog needs:
        so they come back about as fast as the endpoint can take them.
        """
        self._waiting -= 1
        if delivery.ended:
            return
        if delay is None:
            endpoint = delivery.endpoint
            backlog = endpoint.parked + len(endpoint.waiting)
            delay = self._random() * backlog * endpoint.pace()
        self._park(delivery, delay, cause)

    def _park(self, delivery: Delivery[OriginT], delay: float, cause: str) -> None:
        """Set `delivery` aside without an attempt."""
        if delivery.origin.revoked:
            self._open.discard(delivery)
        elif delivery.endpoint.gone:
            self._bury(delivery, Reason.DISABLED, "its receiver answered 410")
        elif self._age(delivery) >= self._policy.expire_after:
            self._bury(delivery, Reason.EXPIRED, cause)
        else:
            self._end(delivery)
            delivery.endpoint.parked += 1
            self._outcomes.parked(delivery, self._policy.set_aside(delay, self._random), cause)

    def _bury(self, delivery: Delivery[OriginT], reason: Reason, detail: str) -> None:
        self._end(delivery)
        self._outcomes.buried(delivery, reason, detail)

    def _end(self, delivery: Delivery[OriginT]) -> None:
        delivery.ended = True
        self._open.discard(delivery)
