"""The interface to what carries out the outcomes of deliveries."""

from typing import Protocol

from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.retry_policy import DeadLetter, Defer, Overflow
from consumer.reasons import Reason


class Outcomes(Protocol):
    """Carries out how deliveries end: each that was submitted ends in exactly one call.

    There is no call for a delivery whose source record was revoked.
    """

    def amend(
        self, delivery: Delivery, deferral: Defer | Overflow
    ) -> Defer | Overflow | DeadLetter:
        """`deferral`, or a dead letter in its place: the hook may be switched off by now. The
        observers are told of the result.
        """
        ...

    def delivered(self, delivery: Delivery) -> None:
        """The receiver answered 2xx."""
        ...

    def deferred(self, delivery: Delivery, deferral: Defer, cause: str) -> None:
        """Publish to a retry topic; `cause` is one word."""
        ...

    def overflowed(self, delivery: Delivery, cause: str) -> None:
        """Let it wait until its endpoint can take more; `cause` is one word."""
        ...

    def dead_lettered(self, delivery: Delivery, reason: Reason, detail: str) -> None:
        """Publish to the dead-letter topic; `detail` is for people."""
        ...
