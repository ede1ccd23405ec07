"""The decision which slots count as work that another replica would take over. It is pure."""

from collections.abc import Iterable

from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.limits import Limits


def slots_at_work(endpoints: Iterable[Endpoint], now: float, limits: Limits) -> float:
    """The share of all slots, in [0, 1], that `endpoints` hold which could take more than they get
    at `now` (monotonic seconds).

    Slots of an endpoint that hangs, fails, is limited or has more in its queue than it takes soon
    do not count: with more replicas it would take no more.
    """
    held = sum(
        endpoint.in_flight
        for endpoint in endpoints
        if endpoint.in_flight
        and endpoint.is_open(now)
        and not endpoint.is_silent(now, limits.stall_timeout)
        and not endpoint.is_slow(now, limits.stall_timeout, limits.max_queue_seconds)
    )
    return min(1.0, held / limits.concurrency)
