"""The observers of attempts and outcomes."""

from typing import Final, Protocol

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.retry_policy import Decision, Outcome
from consumer.metrics import status_label


class AttemptDetails:
    """One attempt, its result and what follows from it. Slotted: built for each on the hot path."""

    __slots__ = ("at", "decision", "delivery", "number", "result")

    def __init__(
        self,
        delivery: Delivery,
        number: int,
        result: AttemptResult,
        at: float,
        decision: Decision | None,
    ) -> None:
        self.delivery = delivery
        self.number = number
        """1, 2, 3...: several attempts have the same one if the earlier were not counted."""
        self.result = result
        self.at = at
        """Monotonic seconds at which the result came."""
        self.decision = decision
        """None if the delivery had its outcome before, or is another replica's now."""

    def __repr__(self) -> str:
        result = self.result.error or self.result.status
        return f"AttemptDetails({self.delivery!r}, {result}, {self.decision!r})"


class AttemptObserver(Protocol):
    """Is told of each attempt with what follows from it, and of each outcome without one.

    The calls are made on the event loop's thread, before the outcome is carried out: an observer
    must neither block nor raise (invariant 7).
    """

    def attempted(self, attempt: AttemptDetails) -> None:
        """An attempt has its result."""
        ...

    def ended_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """A delivery has its outcome, and no attempt led to it."""
        ...


class MetricsObserver:
    """Counts attempts in the metrics of their hook.

    Outcomes are counted when they are durable: by the acknowledgement of the broker.
    """

    def attempted(self, attempt: AttemptDetails) -> None:
        """See `AttemptObserver.attempted`."""
        result = attempt.result
        attempt.delivery.endpoint.metrics.attempt(
            status_label(result.status, result.error), result.duration
        )

    def ended_unsent(self, delivery: Delivery, outcome: Outcome) -> None:
        """See `AttemptObserver.ended_unsent`."""


METRICS_OBSERVER: Final = MetricsObserver()
