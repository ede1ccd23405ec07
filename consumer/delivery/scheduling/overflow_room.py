"""The decision how many deliveries an endpoint takes out of the overflow topic. It is pure."""

from typing import Final

from consumer.delivery.scheduling.circuit import CircuitState
from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.limits import Limits

_LOOK_SECONDS: Final = 0.05
"""Shortest time between two looks at one endpoint: the rest of a queue takes longer."""
_FAST_LOOK_SECONDS: Final = 0.01
"""The same for an endpoint that takes what it gets: a queue of a few dozen is soon empty."""
_MAX_LOOK_SECONDS: Final = 1.0
"""Longest time, so that a reload or a late answer is noticed soon."""
_MOST: Final = 256
"""Deliveries that a limited endpoint takes at most."""
_UNLIMITED_SHARE: Final = 8
"""An unlimited one takes this part of all queues: while the half of it lasts more is read."""
_BUSY: Final = 32
"""Deliveries that an endpoint takes while the queues are half full."""
_SLICE: Final = 64
"""Deliveries that are over and leave at a time: each becomes a dead letter without an attempt."""


Room = tuple[int, float]
"""How many more deliveries an endpoint takes; and seconds until this is to be asked again, at the
earliest once so many were taken."""


def overflow_room(
    endpoint: Endpoint, now: float, limits: Limits, *, is_busy: bool, is_over: bool
) -> Room:
    """Decide how many deliveries `endpoint` takes `now` (monotonic seconds): about as many as it
    will start within a second, if that is soon.

    `is_busy`: the queues of all endpoints are half full. `is_over`: the oldest delivery may have
    waited for longer than `expire_after`.
    """
    # The first case that applies decides:
    # 1. The hook is disabled (410), or the oldest may be over while nothing is sent: a slice, to
    #    become dead letters; what is not over is put back.
    # 2. The receiver asked for a pause: none until its end.
    # 3. The circuit is open: none until a probe is due, then one.
    # 4. Its attempts get no answers and some wait: none; at capacity these would overflow again.
    # 5. The queue holds half of a second's work: none.
    # 6. Otherwise as many as a second's work lacks; a few if the queues of all are half full, or
    #    what is taken would overflow again.
    waiting = len(endpoint.waiting)
    if endpoint.disabled_by_410:
        return (_SLICE, _LOOK_SECONDS)
    closed = endpoint.circuit.state is CircuitState.CLOSED
    wait = max(endpoint.paused_until - now, 0.0 if closed else endpoint.circuit.wait(now))
    if wait > 0.0:
        half_open = endpoint.circuit.state is CircuitState.HALF_OPEN
        again_in = _LOOK_SECONDS if half_open else min(max(wait, _LOOK_SECONDS), _MAX_LOOK_SECONDS)
        return (_SLICE if is_over else 0, again_in)
    if not closed:
        return (max(0, 1 - waiting), _LOOK_SECONDS)
    if waiting and endpoint.is_silent(now, limits.stall_timeout):
        return (0, _LOOK_SECONDS)
    interval = endpoint.rate_interval()
    if interval:
        wanted = max(1, min(_MOST, int(1 / interval)))
    else:
        wanted = max(limits.per_hook, limits.waiting // _UNLIMITED_SHARE)
    if is_busy:
        wanted = min(wanted, _BUSY)
    look = _LOOK_SECONDS if interval else _FAST_LOOK_SECONDS
    return (wanted - waiting if 2 * waiting <= wanted else 0, look)
