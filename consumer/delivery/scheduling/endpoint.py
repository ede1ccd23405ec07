"""The state of one hook's deliveries, and of one host's: what the scheduler decides upon."""

from collections import deque
from collections.abc import Callable
from enum import Enum
from math import exp, inf

from consumer.delivery.http.request import RequestBuilder
from consumer.delivery.scheduling.circuit import Circuit, CircuitState
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.learned_rate import LearnedRate
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.hooks.table import Hook
from consumer.metrics import HookMetrics

_MIN_QUEUED = 64
"""So many deliveries may wait here however slowly the receiver takes them."""
_MAX_QUEUED_SECONDS = 1.0
"""By its rate limit, the time that an endpoint's queue may take; later deliveries overflow."""
_FEW_QUEUED = 2
_MAX_SLOW_SECONDS = 30.0
"""The same for a queue of a few: less than `Limits.max_wait`, or its head would overflow behind
its tail."""
EWMA_TIME_CONSTANT_SECONDS = 10.0
"""Time constant of the exponential moving average of an endpoint's pace. It is longer than an
attempt, since an endpoint that takes many at once also answers them at once."""


class QueueState(Enum):
    """What an endpoint with waiting deliveries waits for."""

    IDLE = "idle"
    """A submission, or its own next result."""
    READY = "ready"
    """A free slot."""
    BLOCKED_ON_HOST = "host"
    """A slot or the rate limit of its host."""
    BLOCKED_ON_RATE = "timer"
    """Its own rate limit, or the end of a pause."""


class HostState:
    """The state that all hooks to one `host:port` share."""

    __slots__ = ("blocked", "bucket", "in_flight", "timed")

    def __init__(self, bucket: TokenBucket | None) -> None:
        self.bucket = bucket
        self.in_flight = 0
        self.blocked: deque[Endpoint] = deque()
        """The endpoints that wait for a slot or for the rate limit, in turn."""
        self.timed = False
        """Whether a timer will wake the first of them."""

    def __repr__(self) -> str:
        blocked = [endpoint.hook.id for endpoint in self.blocked]
        return f"HostState(in_flight={self.in_flight}, blocked={blocked}, {self.bucket!r})"

    def pop_unblocked(self, per_host: int) -> "Endpoint | None":
        """Remove and return the first endpoint that may take one of the free slots. Those before
        it go to the end, and those for which nothing waits any more leave.
        """
        free = per_host - self.in_flight
        for _ in range(len(self.blocked) if free > 0 else 0):
            endpoint = self.blocked.popleft()
            if endpoint.waiting and endpoint.in_flight < free:
                return endpoint
            if endpoint.waiting:
                self.blocked.append(endpoint)
            else:
                endpoint.queue_state = QueueState.IDLE
        return None


class Endpoint:
    """The state of one hook. It outlives reloads: the counts stay, the definition changes."""

    __slots__ = (
        "_busy",
        "_measured_to",
        "_results",
        "bucket",
        "builder",
        "circuit",
        "consecutive_410",
        "disabled_by_410",
        "given_up_told_at",
        "hook",
        "host",
        "in_flight",
        "learned_rate",
        "metrics",
        "ordered",
        "pause_told_at",
        "paused_until",
        "queue_state",
        "waiting",
    )  # fmt: skip

    def __init__(
        self,
        *,
        hook: Hook,
        builder: RequestBuilder,
        host: HostState,
        bucket: TokenBucket | None,
        circuit: Circuit,
        metrics: HookMetrics,
    ) -> None:
        self.hook = hook
        self.ordered = hook.order is not None
        """Whether the deliveries of each user keep an order."""
        self.builder = builder
        self.host = host
        self.circuit = circuit
        self.metrics = metrics
        self.bucket = bucket
        self.learned_rate: LearnedRate | None = None
        """The rate that the receiver takes; None before its first 429."""
        self.in_flight = 0
        self.waiting: deque[Delivery] = deque()
        self.queue_state = QueueState.IDLE
        self.paused_until = -inf
        """Monotonic seconds before which the receiver asked for no request (`Retry-After`)."""
        self.pause_told_at = -inf
        """Monotonic seconds at which the log told of a pause last."""
        self.given_up_told_at = -inf
        """Monotonic seconds at which the log told last that connections were given up."""
        self.consecutive_410 = 0
        """410 since the last other status."""
        self.disabled_by_410 = False
        """True after several 410 in a row, until the next reload; then `paused_until` is `inf`."""
        self._busy = 0.0
        self._results = 0.0
        self._measured_to = 0.0

    def __repr__(self) -> str:
        return (
            f"Endpoint({self.hook.id!r}, {self.queue_state.name}, in_flight={self.in_flight}, "
            f"waiting={len(self.waiting)}, {self.circuit!r}, "
            f"paused_until={self.paused_until:.3f}, {self.bucket!r}, {self.learned_rate!r}, "
            f"{self.host!r})"
        )

    def adopt(
        self, hook: Hook, builder: RequestBuilder, host: HostState, metrics: HookMetrics
    ) -> None:
        """Use a reloaded definition, all but its rate limit."""
        if self.queue_state is QueueState.BLOCKED_ON_HOST and host is not self.host:
            self.host.blocked.remove(self)
            self.queue_state = QueueState.IDLE
        self.hook, self.builder, self.host, self.metrics = hook, builder, host, metrics
        self.ordered = hook.order is not None

    def reset_results(self, circuit: Circuit) -> None:
        """Begin with a closed `circuit`: requests are other ones from now on, and the results of
        the earlier ones say nothing about them.
        """
        self.circuit = circuit
        self.metrics.circuit(open=False)
        self.enable()
        self.paused_until, self.metrics.paused_until = -inf, 0.0
        self.forget_rate()

    def forget_rate(self) -> None:
        """Send as if the receiver had no limit that is not configured."""
        self.learned_rate, self.metrics.learned_rate = None, 0.0

    def enable(self) -> None:
        """Undo what 410 did."""
        self.consecutive_410 = 0
        if self.disabled_by_410:
            self.disabled_by_410 = self.metrics.disabled = False
            self.paused_until = -inf

    def join(self, delivery: Delivery, now: float) -> None:
        """Queue `delivery`."""
        if not self.waiting and not self.in_flight:
            self._measured_to = now  # idle time says nothing about the pace
        delivery.queued_at = now
        self.waiting.append(delivery)

    def rejoin(self, delivery: Delivery) -> None:
        """Queue `delivery` once more, where it was: behind those that were queued before it."""
        ahead = 0
        while ahead < len(self.waiting) and self.waiting[ahead].queued_at < delivery.queued_at:
            ahead += 1
        self.waiting.insert(ahead, delivery)

    def pop_newest(self, number: int) -> list[Delivery]:
        """Take the newest `number` deliveries out of the queue, in order."""
        newest = [self.waiting.pop() for _ in range(min(number, len(self.waiting)))]
        newest.reverse()
        return newest

    def pop_stale(self, queued_before: float) -> list[Delivery]:
        """Take the oldest deliveries out of the queue that were queued before that (monotonic
        seconds).
        """
        waiting, stale = self.waiting, list[Delivery]()
        while waiting and waiting[0].queued_at < queued_before:
            stale.append(waiting.popleft())
        return stale

    def pop_matching(self, which: Callable[[Delivery], bool]) -> list[Delivery]:
        """Take the deliveries that are `which` out of the queue, in order."""
        found = [delivery for delivery in self.waiting if which(delivery)]
        if found:
            self.waiting = deque(delivery for delivery in self.waiting if not which(delivery))
        return found

    def note_result(self, now: float) -> None:
        """Learn the pace from the time between results while deliveries wait."""
        if self.waiting:
            passed = now - self._measured_to
            fade = exp(-passed / EWMA_TIME_CONSTANT_SECONDS)
            self._busy = self._busy * fade + passed
            self._results = self._results * fade + 1.0
        self._measured_to = now

    def reset_pace(self, now: float) -> None:
        """Learn the pace anew: the time until `now` was not the endpoint's."""
        self._busy = self._results = 0.0
        self._measured_to = now

    def seconds_per_delivery(self) -> float:
        """Seconds that the endpoint needs for a delivery, as measured and by its rate limit."""
        return max(self.rate_interval(), self._busy / self._results if self._results else 0.0)

    def rate_interval(self) -> float:
        """Seconds between two requests that the hook's, the learnt and the host's rate allow; 0.0:
        no limit.
        """
        own = self.bucket.interval if self.bucket else 0.0
        if self.learned_rate is not None:
            own = max(own, self.learned_rate.interval)
        return max(own, self.host.bucket.interval) if self.host.bucket else own

    def take_tokens(self, now: float) -> None:
        """Use up one request of each rate: the hook's, the learnt and the host's."""
        if self.bucket:
            self.bucket.take(now)
        learned = self.learned_rate
        if learned is not None:
            learned.take(now)
            if learned.is_over(now):
                self.forget_rate()
        if self.host.bucket:
            self.host.bucket.take(now)

    def is_open(self, now: float) -> bool:
        """Whether neither the circuit nor a pause nor a rate keeps a delivery from starting."""
        if self.paused_until > now or self.circuit.state is not CircuitState.CLOSED:
            return False
        learned = self.learned_rate
        is_limited = (self.bucket and self.bucket.wait(now)) or (learned and learned.wait(now))
        return not is_limited

    def is_silent(self, now: float, stall_timeout: float) -> bool:
        """Whether attempts are under way and none has got an answer for `stall_timeout` seconds."""
        return self.in_flight > 0 and now - self._measured_to > stall_timeout

    def is_full(self, now: float) -> bool:
        """Whether the queue is as long as a rate limit or a pause allows."""
        number = len(self.waiting)
        seconds = number * self.rate_interval()
        if number <= _MIN_QUEUED:
            return number > _FEW_QUEUED and seconds > _MAX_SLOW_SECONDS
        return self.paused_until > now or seconds > _MAX_QUEUED_SECONDS

    def is_slow(self, now: float, stall_timeout: float, max_queue_seconds: float) -> bool:
        """Whether the queue waits for the endpoint, not for this process.

        It does if there was no result for `stall_timeout` seconds, if the rate limit makes the
        queue longer than that, or if the queue needs more than `max_queue_seconds` at the
        endpoint's pace. A delivery's own wait tells less, and the pace is given more time: both
        suffer when this process is short of CPU, and deferrals would only add to that.
        """
        if not self.waiting:
            return False
        number, silent_since = len(self.waiting), max(self._measured_to, self.waiting[0].queued_at)
        if max(now - silent_since, number * self.rate_interval()) > stall_timeout:
            return True
        return number * self.seconds_per_delivery() > max_queue_seconds
