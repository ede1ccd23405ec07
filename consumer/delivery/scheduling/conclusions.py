"""What follows from an answer: for the endpoint, and for the delivery."""

from collections.abc import Callable
from functools import partial
from typing import Generic

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.answers import learn, tell_given_up
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.deferrals import Deferrals, Outcomes
from consumer.delivery.scheduling.endpoint import Delivery, SourceRecordT
from consumer.delivery.scheduling.registry import Registry
from consumer.delivery.scheduling.retry_policy import AnswerKind, classify

Timer = Callable[[float, Callable[[], object]], object]
"""`loop.call_later`: seconds, what to call."""


def _no_excuse(_answer: AttemptResult, _now: float) -> bool:
    return False


class Conclusions(Generic[SourceRecordT]):
    """Ends deliveries by their answers, or has them tried again."""

    def __init__(
        self,
        *,
        deferrals: Deferrals[SourceRecordT],
        outcomes: Outcomes[SourceRecordT],
        registry: Registry[SourceRecordT],
        clock: Clock,
        timer: Timer,
        submit: Callable[[Delivery[SourceRecordT]], None],
    ) -> None:
        """`submit` takes a delivery on for another attempt."""
        self._deferrals = deferrals
        self._outcomes = outcomes
        self._registry = registry
        self._clock = clock
        self._timer = timer
        self._submit = submit
        self._retries = 0
        """Deliveries that wait for another attempt in this process."""
        self.excuses: Callable[[AttemptResult, float], bool] = _no_excuse
        """Whether this process stood still over a failed attempt that was answered at that time
        (monotonic seconds), so that it says nothing about the endpoint."""

    def draw(
        self,
        delivery: Delivery[SourceRecordT],
        circuit: Circuit,
        answer: AttemptResult,
        now: float,
        *,
        probe: bool,
    ) -> None:
        """Do what follows from `answer`, which came `now`, to an attempt that `circuit` allowed."""
        endpoint = delivery.endpoint
        what = classify(answer, endpoint.hook.retry_on)
        if answer.gave_up_connections:
            tell_given_up(endpoint, now)
        if what is AnswerKind.RETRY and not delivery.excused and self.excuses(answer, now):
            self._excuse(delivery, circuit, now, probe=probe)
            return
        if circuit is endpoint.circuit:  # else a reload made other requests of it
            if what is AnswerKind.SUCCESS:
                circuit.accepted(probe=probe, now=now)
                endpoint.consecutive_410 = 0
            else:
                learn(endpoint, what, answer, probe=probe, clock=self._clock)
        if delivery.source_record.revoked:
            self._deferrals.unfinished.discard(delivery)
        elif not delivery.ended:
            if what is AnswerKind.SUCCESS:
                delivery.ended = True
                self._deferrals.unfinished.discard(delivery)
                self._outcomes.delivered(delivery)
            else:
                self._conclude(delivery, circuit, what, answer)

    def _excuse(
        self, delivery: Delivery[SourceRecordT], circuit: Circuit, now: float, *, probe: bool
    ) -> None:
        """Go on as if there had been no attempt; once only, should every one be like this."""
        if probe:
            circuit.retract(now)
        delivery.excused = True
        if not delivery.ended:
            delivery.attempts -= 1
            self._submit(delivery)

    def _conclude(
        self,
        delivery: Delivery[SourceRecordT],
        circuit: Circuit,
        what: AnswerKind,
        answer: AttemptResult,
    ) -> None:
        """Do what the policy decides on a failure. In-process retries are bounded in number."""
        delay = self._deferrals.conclude(delivery, circuit, what, answer)
        if delay is None:
            return
        if self._retries < self._registry.limits.waiting:
            self._retries += 1
            self._timer(delay, partial(self._retry, delivery))
        else:
            self._deferrals.defer(delivery, delay, delivery.last_status)

    def _retry(self, delivery: Delivery[SourceRecordT]) -> None:
        self._retries -= 1
        if not delivery.ended:
            self._submit(delivery)
