"""Ends deliveries that are not delivered: to a retry lane, or to the dead letters."""

from collections.abc import Callable, Iterable, Sequence
from typing import Generic, Protocol, assert_never

from consumer.clock import Clock
from consumer.delivery.circuit import Circuit
from consumer.delivery.endpoint import REFUSING, Delivery, Endpoint, OriginT
from consumer.delivery.outcome import Bury, Delivered, Meaning, Park, Repeat, RetryPolicy
from consumer.delivery.registry import Limits
from consumer.delivery.transport import Answer
from consumer.reasons import ErrorKind, Reason

SLICE = 64
"""Deliveries that are taken out of a queue at a time, in a few milliseconds: the others' answers
wait meanwhile."""
_BLOCKED = str(ErrorKind.BLOCKED)
_SOON = 1.0
"""Seconds: no delivery is parked for less."""


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


class Parking(Generic[OriginT]):
    """Takes deliveries out of their endpoint's queue, and says how they end.

    Each `shed...` takes a slice at most, and returns how many that were.
    """

    def __init__(
        self,
        outcomes: Outcomes[OriginT],
        policy: RetryPolicy,
        clock: Clock,
        random: Callable[[], float],
    ) -> None:
        self._outcomes = outcomes
        self.policy = policy
        self._clock = clock
        self._random = random
        self.open: set[Delivery[OriginT]] = set()
        """The deliveries without an outcome."""

    def relieve(self, crowded: Sequence[Endpoint[OriginT]], limits: Limits) -> int:
        """Park a slice of each endpoint's queue that holds up the others. Each keeps an equal share
        of half of the room.
        """
        now, number = self._clock.monotonic(), 0
        share = limits.waiting // 2 // max(1, len(crowded))
        for endpoint in crowded:
            if endpoint.holds_up(now, limits.patience, limits.backlog):
                number += self.shed(endpoint, share)
        return number

    def shed(self, endpoint: Endpoint[OriginT], keep: int) -> int:
        """Park all but the `keep` oldest deliveries until their turn."""
        waiting = endpoint.waiting
        number = max(0, min(SLICE, len(waiting) - keep))
        self._await_turns([waiting.pop() for _ in range(number)], endpoint)
        return number

    def shed_stale(self, endpoint: Endpoint[OriginT], since: float) -> int:
        """Park until their turn what has waited since before `since` (monotonic seconds)."""
        waiting, stale = endpoint.waiting, list[Delivery[OriginT]]()
        while len(stale) < SLICE and waiting and waiting[0].queued_at < since:
            stale.append(waiting.popleft())
        self._await_turns(stale, endpoint)
        return len(stale)

    def shed_all(self, endpoint: Endpoint[OriginT], delay: float, cause: str) -> int:
        """Park everything for about `delay` seconds."""
        number = min(SLICE, len(endpoint.waiting))
        for _ in range(number):
            self.park(endpoint.waiting.pop(), delay, cause)
        return number

    def park(self, delivery: Delivery[OriginT], delay: float, cause: str) -> None:
        """Set `delivery` aside without an attempt, for about `delay` seconds."""
        if self._is_owed(delivery, cause):
            self.hand_over(delivery, self.policy.set_aside(delay, self._random), cause)

    def conclude(
        self, delivery: Delivery[OriginT], circuit: Circuit, what: Meaning, answer: Answer
    ) -> float | None:
        """End `delivery` after an attempt that failed, as the policy decides; or return the seconds
        after which it is to be tried again in this process.

        `circuit`: that of the attempt. While the receiver rejects everything, a delivery that it
        rejects is deferred and has spent no attempt: it would be delivered in better times.
        """
        endpoint, now = delivery.endpoint, self._clock.monotonic()
        blocked_before = delivery.last_status == _BLOCKED
        delivery.last_status = str(answer.error or answer.status)
        if what is Meaning.PERMANENT and circuit.refuses:
            delivery.attempts -= 1
            self.park(delivery, circuit.wait(now), REFUSING)
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
            case Bury(reason):
                detail = answer.detail or f"status {delivery.last_status}"
                self.bury(delivery, reason, detail)
            case Repeat(delay):
                return delay
            case Park():
                if self._is_owed(delivery, delivery.last_status):
                    self.hand_over(delivery, decision, delivery.last_status)
            case Delivered():
                pass  # a success is not concluded here
            case _:
                assert_never(decision)
        return None

    def hand_over(self, delivery: Delivery[OriginT], park: Park, cause: str) -> None:
        """End `delivery` on a retry lane."""
        self._end(delivery)
        due = self._clock.monotonic() + park.delay
        delivery.endpoint.backlog.parked(self.policy.lanes[park.lane], due)
        self._outcomes.parked(delivery, park, cause)

    def bury(self, delivery: Delivery[OriginT], reason: Reason, detail: str) -> None:
        """End `delivery` as a dead letter."""
        self._end(delivery)
        self._outcomes.buried(delivery, reason, detail)

    def age(self, delivery: Delivery[OriginT]) -> float:
        """Seconds since it first could not be delivered; noted here the first time."""
        now = self._clock.now()
        if delivery.first_failed_at is None:
            delivery.first_failed_at = now
        return now - delivery.first_failed_at

    def _await_turns(
        self, deliveries: Iterable[Delivery[OriginT]], endpoint: Endpoint[OriginT]
    ) -> None:
        """Park each until the endpoint has nothing else to do: neither what still waits, nor what
        was parked before it.

        Only where a rate limit tells when that is may it come back before the first lane's time:
        what hangs has no pace.
        """
        now, pace = self._clock.monotonic(), endpoint.pace()
        least = _SOON if endpoint.interval() else self.policy.lanes[0]
        turn = endpoint.backlog.turn(now, len(endpoint.waiting), pace, least)
        for delivery in deliveries:
            if self._is_owed(delivery, "crowded"):
                self.hand_over(delivery, self.policy.wait_turn(turn), "crowded")
                turn += pace if turn > least else 0.0

    def _is_owed(self, delivery: Delivery[OriginT], cause: str) -> bool:
        """Whether `delivery` is to be parked; where it is not, it has ended."""
        if delivery.ended:
            return False
        if delivery.origin.revoked:
            self.open.discard(delivery)
            return False
        if delivery.endpoint.disabled_by_410:
            self.bury(delivery, Reason.DISABLED, "its receiver answered 410 several times in a row")
            return False
        if self.age(delivery) >= self.policy.expire_after:
            self.bury(delivery, Reason.EXPIRED, cause)
            return False
        return True

    def _end(self, delivery: Delivery[OriginT]) -> None:
        delivery.ended = True
        self.open.discard(delivery)
