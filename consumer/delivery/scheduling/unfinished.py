"""The deliveries without an outcome, and the way each gets its one outcome."""

from collections.abc import Callable, Iterable

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.endpoint import Delivery, Endpoint
from consumer.delivery.scheduling.observers import AttemptDetails, AttemptObserver
from consumer.delivery.scheduling.outcomes import Outcomes
from consumer.delivery.scheduling.results import learn, log_given_up
from consumer.delivery.scheduling.retry_policy import (
    CROWDED,
    DELIVERED,
    STOPPED,
    AnswerKind,
    Decision,
    Defer,
    Delivered,
    Outcome,
    RetryNow,
    RetryPolicy,
    classify,
)
from consumer.reasons import ErrorKind
from consumer.records.tracker import InFlightRecord

Excuses = Callable[[AttemptResult, float], bool]
"""Whether this process stood still over a failed attempt whose result came at that time (monotonic
seconds), so that the result says nothing about the endpoint."""

MIN_DEFER_SECONDS = 1.0
"""No delivery is deferred for less."""
_BLOCKED = str(ErrorKind.BLOCKED)


def never_excuses(_result: AttemptResult, _now: float) -> bool:
    """An `Excuses` for a process that never stands still."""
    return False


class UnfinishedDeliveries:
    """Each delivery is added once and leaves with one outcome, or without if it was revoked."""

    def __init__(
        self,
        outcomes: Outcomes,
        observers: Iterable[AttemptObserver],
        policy: RetryPolicy,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self.policy = policy
        self.deliveries: set[Delivery] = set()
        self._outcomes = outcomes
        # Bound once: a call through the protocol would look the method up for each attempt.
        self._attempted = tuple(observer.attempted for observer in observers)
        self._ended = tuple(observer.ended for observer in observers)
        self._clock = clock
        self._random = random

    def follow_up(  # noqa: PLR0917  # keywords would cost each delivery more
        self,
        delivery: Delivery,
        circuit: Circuit,
        result: AttemptResult,
        now: float,
        probe: bool,  # noqa: FBT001
        excuses: Excuses,
        *,
        may_retry_now: bool,
    ) -> RetryNow | None:
        """Do what follows from `result`, which came `now` to an attempt that `circuit` allowed, for
        the endpoint and for the delivery. Returns the in-process retry that the delivery waits for.
        """
        endpoint = delivery.endpoint
        kind = classify(result, endpoint.hook.retry_on)
        if result.gave_up_connections:
            log_given_up(endpoint, now)
        decision: Decision | None
        if kind is AnswerKind.RETRY and not delivery.excused and excuses(result, now):
            decision = self._excuse(delivery, circuit, now, probe=probe)
        else:
            if circuit is endpoint.circuit:  # otherwise a reload made other requests of it
                learn(endpoint, kind, result, now, probe=probe, clock=self._clock)
            decision = self._decide(
                delivery, kind, circuit, result, now, may_retry_now=may_retry_now
            )
        details = AttemptDetails(delivery, result, decision)
        for attempted in self._attempted:
            attempted(details)
        if decision is None or isinstance(decision, RetryNow):
            return decision
        self.end(delivery, decision)
        return None

    def _excuse(
        self, delivery: Delivery, circuit: Circuit, now: float, *, probe: bool
    ) -> RetryNow | None:
        """Go on as if there had been no attempt; once only, in case all results are like this."""
        if probe:
            circuit.retract(now)
        delivery.excused = True
        if delivery.ended:
            return None
        delivery.attempts -= 1
        return RetryNow(0.0)

    def _decide(
        self,
        delivery: Delivery,
        kind: AnswerKind,
        circuit: Circuit,
        result: AttemptResult,
        now: float,
        *,
        may_retry_now: bool,
    ) -> Decision | None:
        """Decide on a delivery that has no outcome yet and is not another replica's now.

        While the receiver rejects everything, a delivery that it rejects has spent no attempt: it
        would be delivered in better times.
        """
        if delivery.source_record.revoked:
            self.deliveries.discard(delivery)
            return None
        if delivery.ended:
            return None
        if kind is AnswerKind.SUCCESS:
            return DELIVERED
        blocked_before = delivery.last_status == _BLOCKED
        delivery.last_status = str(result.error or result.status)
        refused_for = None
        if kind is AnswerKind.PERMANENT and circuit.refuses:
            refused_for = circuit.wait(now)
            delivery.attempts -= 1
        return self.policy.decide(
            kind,
            result,
            attempts=delivery.attempts,
            elapsed=now - (delivery.began or now),
            age=delivery.note_failure(self._clock.now()),
            random=self._random,
            pause=delivery.endpoint.paused_until - now,
            blocked_before=blocked_before,
            refused_for=refused_for,
            may_retry_now=may_retry_now,
            disabled=delivery.endpoint.disabled_by_410,
        )

    def end(self, delivery: Delivery, outcome: Outcome) -> None:
        """Give `delivery` its outcome: the one place where a delivery ends."""
        delivery.ended = True
        self.deliveries.discard(delivery)
        for ended in self._ended:
            ended(delivery, outcome)
        if isinstance(outcome, Delivered):
            self._outcomes.delivered(delivery)
        elif isinstance(outcome, Defer):
            due = self._clock.monotonic() + outcome.delay
            delivery.endpoint.deferred.add(self.policy.delays[outcome.topic_number], due)
            self._outcomes.deferred(delivery, outcome, outcome.cause)
        else:
            self._outcomes.dead_lettered(delivery, outcome.reason, outcome.detail)

    def set_aside(self, delivery: Delivery, delay: float, cause: str) -> None:
        """Defer `delivery` without an attempt, for about `delay` seconds."""
        self._defer(delivery, self.policy.set_aside(delay, self._random, cause))

    def defer_all(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Defer every delivery whose source record is `which`."""
        for delivery in [d for d in self.deliveries if which(d.source_record)]:
            self.set_aside(delivery, 0.0, STOPPED)

    def defer_until_needed(self, deliveries: Iterable[Delivery], endpoint: Endpoint) -> None:
        """Defer each until the endpoint is through with its queue and with what was deferred
        before.

        Only if a rate limit tells when that is may a delivery come back before the first retry
        topic's delay: an endpoint that hangs has no pace.
        """
        now, pace = self._clock.monotonic(), endpoint.seconds_per_delivery()
        least = MIN_DEFER_SECONDS if endpoint.rate_interval() else self.policy.delays[0]
        endpoint.deferred.remove_lost(now)
        seconds = endpoint.deferred.seconds_until_idle(now, len(endpoint.waiting), pace, least)
        for delivery in deliveries:
            if self._defer(delivery, self.policy.defer_until_needed(seconds, CROWDED)):
                seconds += pace if seconds > least else 0.0

    def _defer(self, delivery: Delivery, deferral: Defer) -> bool:
        """Defer without an attempt, or dead-letter what is over; returns whether it was deferred.
        Nothing happens to a delivery that has ended or was revoked.
        """
        if delivery.ended:
            return False
        if delivery.source_record.revoked:
            self.deliveries.discard(delivery)
            return False
        disabled = delivery.endpoint.disabled_by_410
        age = 0.0 if disabled else delivery.note_failure(self._clock.now())
        outcome = self.policy.unless_over(deferral, age=age, disabled=disabled)
        self.end(delivery, outcome)
        return outcome is deferral
