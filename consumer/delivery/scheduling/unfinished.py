"""The deliveries without an outcome, and the way each gets its one outcome."""

from collections.abc import Callable, Iterable
from typing import Final

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.observers import AttemptDetails, AttemptObserver
from consumer.delivery.scheduling.outcomes import Outcomes
from consumer.delivery.scheduling.results import learn, log_given_up
from consumer.delivery.scheduling.retry_policy import (
    DELIVERED,
    AnswerKind,
    Decision,
    Defer,
    Delivered,
    Outcome,
    Overflow,
    Requeue,
    RetryNow,
    RetryPolicy,
    classify,
    is_limited,
)
from consumer.reasons import ErrorKind
from consumer.records.tracker import InFlightRecord

Excuses = Callable[[AttemptResult, float], bool]
"""Whether this process stood still over a failed attempt whose result came at that time (monotonic
seconds), so that the result says nothing about the endpoint."""

_BLOCKED = str(ErrorKind.BLOCKED)
_DELIVERED: Final = DELIVERED
"""Of this module: compiled, another module's name costs each delivery a look-up."""


def _queue_order(delivery: Delivery) -> tuple[float, int]:
    return delivery.queued_at, delivery.source_record.offset


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
        self._ended_unsent = tuple(observer.ended_unsent for observer in observers)
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
    ) -> RetryNow | Requeue | None:
        """Do what follows from `result`, which came `now` to an attempt that `circuit` allowed, for
        the endpoint and for the delivery. Returns what the delivery waits for if it has not ended.
        """
        endpoint, number = delivery.endpoint, delivery.attempts
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
        if decision is not _DELIVERED and isinstance(decision, Defer | Overflow):
            decision = self._outcomes.amend(delivery, decision)
        details = AttemptDetails(delivery, number, result, now, decision)
        for attempted in self._attempted:
            attempted(details)
        if decision is not _DELIVERED and (
            decision is None or isinstance(decision, RetryNow | Requeue)
        ):
            return decision
        self._end(delivery, decision)
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
        would be delivered in better times. So would one that comes too soon (429).
        """
        if delivery.source_record.revoked:
            self.deliveries.discard(delivery)
            return None
        if delivery.ended:
            return None
        if kind is AnswerKind.SUCCESS:
            return _DELIVERED
        blocked_before = delivery.last_status == _BLOCKED
        delivery.last_status = str(result.error or result.status)
        refused = kind is AnswerKind.PERMANENT and circuit.refuses
        if refused or is_limited(result):
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
            refused=refused,
            may_retry_now=may_retry_now,
            disabled=delivery.endpoint.disabled_by_410,
        )

    def end_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """Give `delivery` its outcome, without an attempt that led to it."""
        for ended_unsent in self._ended_unsent:
            ended_unsent(delivery, outcome)
        self._end(delivery, outcome)

    def _end(self, delivery: Delivery, outcome: Outcome) -> None:
        """Give `delivery` its outcome: the one place where a delivery ends."""
        delivery.ended = True
        self.deliveries.discard(delivery)
        if isinstance(outcome, Delivered):
            self._outcomes.delivered(delivery)
        elif isinstance(outcome, Overflow):
            self._outcomes.overflowed(delivery, outcome.cause)
        elif isinstance(outcome, Defer):
            self._outcomes.deferred(delivery, outcome, outcome.cause)
        else:
            self._outcomes.dead_lettered(delivery, outcome.reason, outcome.detail)

    def overflow(self, deliveries: Iterable[Delivery], cause: str) -> None:
        """Let `deliveries`, oldest first, wait in the overflow topic."""
        for delivery in deliveries:
            self._set_aside(delivery, Overflow(cause))

    def defer_all(self, which: Callable[[InFlightRecord], bool]) -> None:
        """Defer every delivery whose source record is `which`, in the order of their queues."""
        deferred = [d for d in self.deliveries if which(d.source_record)]
        for delivery in sorted(deferred, key=_queue_order):
            self.defer(delivery)

    def defer(self, delivery: Delivery) -> None:
        """Defer one delivery."""
        self._set_aside(delivery, self.policy.stop(self._random))

    def _set_aside(self, delivery: Delivery, deferral: Defer | Overflow) -> None:
        """End without an attempt, or dead-letter what is over. Nothing happens to a delivery that
        has ended or was revoked.
        """
        if delivery.ended:
            return
        if delivery.source_record.revoked:
            self.deliveries.discard(delivery)
            return
        disabled = delivery.endpoint.disabled_by_410
        age = 0.0 if disabled else delivery.note_failure(self._clock.now())
        outcome = self.policy.unless_over(deferral, age=age, disabled=disabled)
        if isinstance(outcome, Defer | Overflow):
            outcome = self._outcomes.amend(delivery, outcome)
        self.end_unsent(delivery, outcome)
