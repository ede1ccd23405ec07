"""What the endpoints wait for, and who is next."""

from collections import deque
from collections.abc import Callable
from functools import partial

from consumer.clock import Clock
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import Endpoint, HostState, QueueState
from consumer.delivery.scheduling.endpoint_table import EndpointTable
from consumer.delivery.scheduling.next_step import Wait

_MAX_TIMER_SECONDS = 1.0
"""An endpoint that waits for a time is looked at this often, so that a reload reaches it soon."""


class Waits:
    """The scheduler's: the line of ready endpoints, those that wait at their host, the timers."""

    def __init__(
        self,
        table: EndpointTable,
        clock: Clock,
        timer: Callable[[float, Callable[[], object]], object],
        *,
        wake: Callable[[Endpoint], None],
        wake_host: Callable[[HostState], None],
        submit: Callable[[Delivery], None],
    ) -> None:
        """`wake`, `wake_host`, `submit`: called when the time of an endpoint, of a host or of a
        delivery has come.
        """
        self.ready: deque[Endpoint] = deque()
        """The endpoints that may start a delivery, in turn."""
        self.retries = 0
        """Deliveries that wait for an in-process retry."""
        self._table = table
        self._clock = clock
        self._timer = timer
        self._wake = wake
        self._wake_host = wake_host
        self._submit = submit

    def make_ready(self, endpoint: Endpoint) -> None:
        """Let an endpoint wait for a free slot only."""
        endpoint.queue_state = QueueState.READY
        self.ready.append(endpoint)

    def offer(self, endpoint: Endpoint) -> bool:
        """Make an endpoint ready if it has deliveries and waits for nothing; return whether."""
        if endpoint.waiting and endpoint.queue_state is QueueState.IDLE:
            self.make_ready(endpoint)
            return True
        return False

    def wait(self, endpoint: Endpoint, wait: Wait) -> None:
        """Let an endpoint wait for what its next step says."""
        endpoint.queue_state = wait.on
        if wait.on is QueueState.BLOCKED_ON_HOST:
            endpoint.host.blocked.append(endpoint)
            if wait.seconds:
                self._await_rate(endpoint.host, wait.seconds)
        elif wait.on is QueueState.BLOCKED_ON_RATE:
            self._timer(min(wait.seconds, _MAX_TIMER_SECONDS), partial(self._wake, endpoint))

    def wake_blocked(self, host: HostState) -> None:
        """Make the first endpoint ready that may take a free slot at `host`, if its rate allows."""
        if not host.blocked:
            return
        if host.bucket and (wait := host.bucket.wait(self._clock.monotonic())):
            self._await_rate(host, wait)
        elif (endpoint := host.pop_unblocked(self._table.limits.per_host)) is not None:
            self.make_ready(endpoint)

    def retry(self, delivery: Delivery, delay: float) -> None:
        """Submit a delivery again after `delay` seconds."""
        if delay:
            self.retries += 1
            self._timer(delay, partial(self._retry_is_due, delivery))
        else:
            self._submit(delivery)

    def _retry_is_due(self, delivery: Delivery) -> None:
        self.retries -= 1
        if not delivery.ended:
            self._submit(delivery)

    def _await_rate(self, host: HostState, seconds: float) -> None:
        """Set one timer for all hooks that wait at `host`, so that they take turns."""
        if not host.timed:
            host.timed = True
            self._timer(min(seconds, _MAX_TIMER_SECONDS), partial(self._wake_host, host))
