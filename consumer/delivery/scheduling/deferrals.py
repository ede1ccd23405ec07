"""Ends deliveries that are not delivered: to a retry lane, or to the dead letters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, assert_never

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.endpoint import REFUSING, Delivery, Endpoint, SourceRecordT
from consumer.delivery.scheduling.registry import Limits
from consumer.delivery.scheduling.retry_policy import (
    AnswerKind,
    DeadLetter,
    Defer,
    Delivered,
    RetryNow,
    RetryPolicy,
)
from consumer.reasons import ErrorKind, Reason

SLICE = 64
"""Deliveries that are taken out of a queue at a time, in a few milliseconds: the others' answers
wait meanwhile."""
_BLOCKED = str(ErrorKind.BLOCKED)
MIN_DEFER_SECONDS = 1.0
"""Seconds: no delivery is parked for less."""


class Outcomes(Protocol[SourceRecordT]):
    """Who hears how deliveries ended: each that was submitted ends in exactly one of these.

    Of those whose origin was revoked nothing is said.
    """

    def delivered(self, delivery: Delivery[SourceRecordT]) -> None:
        """The receiver answered 2xx."""
        ...

    def deferred(self, delivery: Delivery[SourceRecordT], deferral: Defer, cause: str) -> None:
        """To be handed over to a retry lane; `cause` in a word."""
        ...

    def dead_lettered(self, delivery: Delivery[SourceRecordT], reason: Reason, detail: str) -> None:
        """To be handed over to the dead-letter topic; `detail` is for people."""
        ...


class Deferrals(Generic[SourceRecordT]):
    """Takes deliveries out of their endpoint's queue, and says how they end.

    Each `shed...` takes a slice at most, and returns how many that were.
    """

    def __init__(
        self,
        outcomes: Outcomes[SourceRecordT],
        policy: RetryPolicy,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._outcomes = outcomes
        self.policy = policy
        self._clock = clock
        self._random = random
        self.unfinished: set[Delivery[SourceRecordT]] = set()
        """The deliveries without an outcome."""

    def shed_load(self, crowded: Sequence[Endpoint[SourceRecordT]], limits: Limits) -> int:
        """Park a slice of each endpoint's queue that holds up the others. Each keeps an equal share
        of half of the room.
        """
        now, number = self._clock.monotonic(), 0
        share = limits.waiting // 2 // max(1, len(crowded))
        for endpoint in crowded:
            if endpoint.is_slow(now, limits.stall_timeout, limits.max_queue_seconds):
                number += self.shed(endpoint, share)
        return number

    def shed(self, endpoint: Endpoint[SourceRecordT], keep: int) -> int:
        """Park all but the `keep` oldest deliveries until their turn."""
        waiting = endpoint.waiting
        number = max(0, min(SLICE, len(waiting) - keep))
        self._defer_until_needed([waiting.pop() for _ in range(number)], endpoint)
        return number

    def shed_stale(self, endpoint: Endpoint[SourceRecordT], since: float) -> int:
        """Park until their turn what has waited since before `since` (monotonic seconds)."""
        waiting, stale = endpoint.waiting, list[Delivery[SourceRecordT]]()
        while len(stale) < SLICE and waiting and waiting[0].queued_at < since:
            stale.append(waiting.popleft())
        self._defer_until_needed(stale, endpoint)
        return len(stale)

    def shed_all(self, endpoint: Endpoint[SourceRecordT], delay: float, cause: str) -> int:
        """Park everything for about `delay` seconds."""
        number = min(SLICE, len(endpoint.waiting))
        for _ in range(number):
            self.defer(endpoint.waiting.pop(), delay, cause)
        return number

    def defer(self, delivery: Delivery[SourceRecordT], delay: float, cause: str) -> None:
        """Set `delivery` aside without an attempt, for about `delay` seconds."""
        if self._is_owed(delivery, cause):
            self.publish(delivery, self.policy.set_aside(delay, self._random), cause)

    def conclude(
        self,
        delivery: Delivery[SourceRecordT],
        circuit: Circuit,
        what: AnswerKind,
        answer: AttemptResult,
    ) -> float | None:
        """End `delivery` after an attempt that failed, as the policy decides; or return the seconds
        after which it is to be tried again in this process.

        `circuit`: that of the attempt. While the receiver rejects everything, a delivery that it
        rejects is deferred and has spent no attempt: it would be delivered in better times.
        """
        endpoint, now = delivery.endpoint, self._clock.monotonic()
        blocked_before = delivery.last_status == _BLOCKED
        delivery.last_status = str(answer.error or answer.status)
        if what is AnswerKind.PERMANENT and circuit.refuses:
            delivery.attempts -= 1
            self.defer(delivery, circuit.wait(now), REFUSING)
            return None
        decision = self.policy.decide(
            what,
            answer,
            attempts=delivery.attempts,
            elapsed=now - (delivery.began or now),
            age=self.age(delivery),
            random=self._random,
            pause=endpoint.paused_until - now,
            blocked_before=blocked_before,
        )
        match decision:
            case DeadLetter(reason):
                detail = answer.detail or f"status {delivery.last_status}"
                self.dead_letter(delivery, reason, detail)
            case RetryNow(delay):
                return delay
            case Defer():
                if self._is_owed(delivery, delivery.last_status):
                    self.publish(delivery, decision, delivery.last_status)
            case Delivered():
                pass  # a success is not concluded here
            case _:
                assert_never(decision)
        return None

    def publish(self, delivery: Delivery[SourceRecordT], deferral: Defer, cause: str) -> None:
        """End `delivery` on a retry lane."""
        self._end(delivery)
        due = self._clock.monotonic() + deferral.delay
        delivery.endpoint.deferred.add(self.policy.delays[deferral.topic_number], due)
        self._outcomes.deferred(delivery, deferral, cause)

    def dead_letter(self, delivery: Delivery[SourceRecordT], reason: Reason, detail: str) -> None:
        """End `delivery` as a dead letter."""
        self._end(delivery)
        self._outcomes.dead_lettered(delivery, reason, detail)

    def age(self, delivery: Delivery[SourceRecordT]) -> float:
        """Seconds since it first could not be delivered; noted here the first time."""
        now = self._clock.now()
        if delivery.first_failed_at is None:
            delivery.first_failed_at = now
        return now - delivery.first_failed_at

    def _defer_until_needed(
        self, deliveries: Iterable[Delivery[SourceRecordT]], endpoint: Endpoint[SourceRecordT]
    ) -> None:
        """Park each until the endpoint has nothing else to do: neither what still waits, nor what
        was parked before it.

        Only where a rate limit tells when that is may it come back before the first lane's time:
        what hangs has no pace.
        """
        now, pace = self._clock.monotonic(), endpoint.seconds_per_delivery()
        least = MIN_DEFER_SECONDS if endpoint.rate_interval() else self.policy.delays[0]
        turn = endpoint.deferred.seconds_until_idle(now, len(endpoint.waiting), pace, least)
        for delivery in deliveries:
            if self._is_owed(delivery, "crowded"):
                self.publish(delivery, self.policy.defer_until_needed(turn), "crowded")
                turn += pace if turn > least else 0.0

    def _is_owed(self, delivery: Delivery[SourceRecordT], cause: str) -> bool:
        """Whether `delivery` is to be parked; where it is not, it has ended."""
        if delivery.ended:
            return False
        if delivery.source_record.revoked:
            self.unfinished.discard(delivery)
            return False
        if delivery.endpoint.disabled_by_410:
            self.dead_letter(
                delivery, Reason.DISABLED, "its receiver answered 410 several times in a row"
            )
            return False
        if self.age(delivery) >= self.policy.expire_after:
            self.dead_letter(delivery, Reason.EXPIRED, cause)
            return False
        return True

    def _end(self, delivery: Delivery[SourceRecordT]) -> None:
        delivery.ended = True
        self.unfinished.discard(delivery)
