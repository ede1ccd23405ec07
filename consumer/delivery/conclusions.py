"""What follows from an answer: for the endpoint, and for the delivery."""

from collections.abc import Callable
from functools import partial
from typing import Generic

from consumer.clock import Clock
from consumer.delivery.answers import learn, tell_given_up
from consumer.delivery.circuit import Circuit
from consumer.delivery.endpoint import Delivery, OriginT
from consumer.delivery.outcome import Meaning, meaning
from consumer.delivery.parking import Outcomes, Parking
from consumer.delivery.registry import Registry
from consumer.delivery.transport import Answer

Timer = Callable[[float, Callable[[], object]], object]
"""`loop.call_later`: seconds, what to call."""


def _no_excuse(_answer: Answer, _now: float) -> bool:
    return False


class Conclusions(Generic[OriginT]):
    """Ends deliveries by their answers, or has them tried again."""

    def __init__(
        self,
        *,
        parking: Parking[OriginT],
        outcomes: Outcomes[OriginT],
        registry: Registry[OriginT],
        clock: Clock,
        timer: Timer,
        submit: Callable[[Delivery[OriginT]], None],
    ) -> None:
        """`submit` takes a delivery on for another attempt."""
        self._parking = parking
        self._outcomes = outcomes
        self._registry = registry
        self._clock = clock
        self._timer = timer
        self._submit = submit
        self._retries = 0
        """Deliveries that wait for another attempt in this process."""
        self.excuses: Callable[[Answer, float], bool] = _no_excuse
        """Whether this process stood still over a failed attempt that was answered at that time
        (monotonic seconds), so that it says nothing about the endpoint."""

    def draw(
        self,
        delivery: Delivery[OriginT],
        circuit: Circuit,
        answer: Answer,
        now: float,
        *,
        probe: bool,
    ) -> None:
        """Do what follows from `answer`, which came `now`, to an attempt that `circuit` allowed."""
        endpoint = delivery.endpoint
        what = meaning(answer, endpoint.hook.retry_on)
        if answer.gave_up_connections:
            tell_given_up(endpoint, now)
        if what is Meaning.RETRY and not delivery.excused and self.excuses(answer, now):
            self._excuse(delivery, circuit, now, probe=probe)
            return
        if circuit is endpoint.circuit:  # else a reload made other requests of it
            if what is Meaning.SUCCESS:
                circuit.accepted(probe=probe, now=now)
                endpoint.gone_in_a_row = 0
            else:
                learn(endpoint, what, answer, probe=probe, clock=self._clock)
        if delivery.origin.revoked:
            self._parking.open.discard(delivery)
        elif not delivery.ended:
            if what is Meaning.SUCCESS:
                delivery.ended = True
                self._parking.open.discard(delivery)
                self._outcomes.delivered(delivery)
            else:
                self._conclude(delivery, circuit, what, answer)

    def _excuse(
        self, delivery: Delivery[OriginT], circuit: Circuit, now: float, *, probe: bool
    ) -> None:
        """Go on as if there had been no attempt; once only, should every one be like this."""
        if probe:
            circuit.retract(now)
        delivery.excused = True
        if not delivery.ended:
            delivery.attempts -= 1
            self._submit(delivery)

    def _conclude(
        self, delivery: Delivery[OriginT], circuit: Circuit, what: Meaning, answer: Answer
    ) -> None:
        """Do what the policy decides on a failure. In-process retries are bounded in number."""
        delay = self._parking.conclude(delivery, circuit, what, answer)
        if delay is None:
            return
        if self._retries < self._registry.limits.waiting:
            self._retries += 1
            self._timer(delay, partial(self._retry, delivery))
        else:
            self._parking.park(delivery, delay, delivery.last_status)

    def _retry(self, delivery: Delivery[OriginT]) -> None:
        self._retries -= 1
        if not delivery.ended:
            self._submit(delivery)
