"""The decision what an endpoint does next. It is pure: the scheduler carries it out."""

from typing import Final

from consumer.delivery.scheduling.circuit import CircuitState
from consumer.delivery.scheduling.endpoint import Endpoint, QueueState
from consumer.delivery.scheduling.limits import Limits
from consumer.delivery.scheduling.retry_policy import (
    CIRCUIT_OPEN,
    CROWDED,
    REFUSING,
    RETRY_AFTER,
    Overflow,
)

_MAX_QUEUED_PAUSE_SECONDS: Final = 5.0
"""During a longer `Retry-After` the queue waits in the overflow topic, during a shorter one here.
"""
_CLOSED: Final = CircuitState.CLOSED


class Start:
    """The oldest delivery starts."""

    __slots__ = ()

    def __repr__(self) -> str:
        return "Start()"


class Wait:
    """Nothing starts until something happens."""

    __slots__ = ("on", "seconds")

    def __init__(self, on: QueueState, seconds: float = 0.0) -> None:
        self.on = on
        """The state that the endpoint waits in, which says what ends the wait."""
        self.seconds = seconds
        """Seconds until a rate limit or a pause allows an attempt; 0.0: a slot ends the wait."""

    def __repr__(self) -> str:
        return f"Wait({self.on.name}, {self.seconds:.3f})"


Step = Start | Wait | Overflow
"""`Overflow`: waiting deliveries leave for the overflow topic."""

# Made once: a delivery that nothing holds back costs no object here.
START: Final = Start()
IDLE: Final = Wait(QueueState.IDLE)
AWAIT_SLOT: Final = Wait(QueueState.READY)
AWAIT_HOST_SLOT: Final = Wait(QueueState.BLOCKED_ON_HOST)
STALE: Final = Overflow(CROWDED)
"""Only those leave that have waited for too long."""


def next_step(  # noqa: C901, PLR0911  # one return for each case of the list
    endpoint: Endpoint, now: float, limits: Limits, free_slots: int
) -> Step:
    """Decide what `endpoint` does `now` (monotonic seconds).

    `free_slots`: attempts that may start in all; 0 while this process may start none.
    """
    # The first case that applies decides:
    # 1. Nothing waits: the next submission ends the wait.
    # 2. The oldest delivery has waited for too long: it overflows.
    # 3. The hook's own slots are taken: its next result ends the wait.
    # 4. The hook holds as many slots as are free in all (dynamic threshold): the next free slot.
    # 5. The hook holds as many slots as are free at its host: the host's next free slot.
    # 6. The receiver asked for a pause: a short one is waited for; else the queue overflows.
    # 7. The circuit is open and no probe is due: the queue overflows.
    # 8. The hook's rate limit is used up: a timer.
    # 9. The rate is used up that the receiver is known to take (429): a timer.
    # 10. The host's rate limit is used up: the host's timer, which its hooks share.
    # 11. Otherwise the oldest delivery starts.
    waiting, mine = endpoint.waiting, endpoint.in_flight
    if not waiting:
        return IDLE
    if waiting[0].queued_at < now - limits.max_wait:
        return STALE
    if mine >= limits.per_hook:
        return IDLE
    if mine >= free_slots:
        return AWAIT_SLOT
    host = endpoint.host
    if mine >= limits.per_host - host.in_flight:
        return AWAIT_HOST_SLOT
    pause = endpoint.paused_until - now
    if pause > _MAX_QUEUED_PAUSE_SECONDS:
        return Overflow(RETRY_AFTER)
    if pause > 0.0:
        return Wait(QueueState.BLOCKED_ON_RATE, pause)
    circuit = endpoint.circuit
    if circuit.state is not _CLOSED and circuit.wait(now):
        return Overflow(REFUSING if circuit.refuses else CIRCUIT_OPEN)
    if endpoint.bucket and (wait := endpoint.bucket.wait(now)):
        return Wait(QueueState.BLOCKED_ON_RATE, wait)
    learned = endpoint.learned_rate
    if learned is not None and (wait := learned.wait(now)):
        return Wait(QueueState.BLOCKED_ON_RATE, wait)
    if host.bucket and (wait := host.bucket.wait(now)):
        return Wait(QueueState.BLOCKED_ON_HOST, wait)
    return START
