"""The running side of a hook: the deliveries to it, under way and waiting, and what bounds them."""

from collections import deque
from enum import Enum
from math import exp, inf
from typing import Generic, Protocol, TypeVar

from consumer.delivery.http.request import RequestBuilder
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.deferred_forecast import DeferredForecast
from consumer.delivery.scheduling.token_bucket import TokenBucket
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.metrics import HookMetrics


class SourceRecord(Protocol):
    """The stream's handle on the record that a delivery came from."""

    @property
    def revoked(self) -> bool:
        """True once the record belongs to another member of the group: nothing is owed any more."""
        ...


SourceRecordT = TypeVar("SourceRecordT", bound=SourceRecord)


EWMA_TIME_CONSTANT_SECONDS = 10.0
"""Seconds after which what was measured of the pace counts a third: longer than an attempt, since
an endpoint that takes many at once also answers them at once."""


CIRCUIT_OPEN = "circuit_open"
REFUSING = "refusing"
RETRY_AFTER = "retry_after"
"""Causes of a deferral without an attempt: failures; rejections of what was taken a moment ago; a
pause that the receiver asked for."""
_SHORT_PAUSE = 5.0
"""Seconds that deliveries may wait in the queue because of `Retry-After`: less than any default
retry lane, and no longer than in-process retries may take."""


class QueueState(Enum):
    """Where an endpoint with waiting deliveries stands; it stands in one place at a time."""

    IDLE = "idle"
    """Nowhere: nothing waits, or its own bound is reached and its next answer moves it on."""
    READY = "ready"
    BLOCKED_ON_HOST = "host"
    """Its host's bound or rate limit is reached."""
    BLOCKED_ON_RATE = "timer"
    """Its own rate limit is reached."""


class HostState(Generic[SourceRecordT]):
    """What all hooks to one `host:port` share."""

    __slots__ = ("blocked", "bucket", "in_flight", "timed")

    def __init__(self, bucket: TokenBucket | None) -> None:
        self.bucket = bucket
        self.in_flight = 0
        self.blocked: deque[Endpoint[SourceRecordT]] = deque()
        """Who waits for a place or for the rate, in turn."""
        self.timed = False
        """Whether a timer will wake the first of them."""

    def unblock(self, per_host: int) -> "Endpoint[SourceRecordT] | None":
        """Take out the first endpoint that may take one of the places that are free."""
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


class Delivery(Generic[SourceRecordT]):
    """One (event, hook) pair on its way. Mutable and slotted: built for each on the hot path."""

    __slots__ = (
        "attempts",
        "began",
        "ended",
        "endpoint",
        "event",
        "excused",
        "first_failed_at",
        "id",
        "last_status",
        "queued_at",
        "source_record",
    )  # fmt: skip

    def __init__(
        self,
        *,
        id: str,
        event: Event,
        endpoint: "Endpoint[SourceRecordT]",
        source_record: SourceRecordT,
        attempts: int = 0,
        first_failed_at: float | None = None,
        last_status: str = "",
    ) -> None:
        self.id = id
        self.event = event
        self.endpoint = endpoint
        self.source_record = source_record
        self.attempts = attempts
        """Attempts so far, those before a restart included."""
        self.first_failed_at = first_failed_at
        """Epoch seconds at which it first could not be delivered; None until then."""
        self.last_status = last_status
        """The last attempt's HTTP status or kind of error."""
        self.queued_at = 0.0
        """Monotonic seconds at which it began to wait for a free place."""
        self.began: float | None = None
        """Monotonic seconds of this pass's first attempt."""
        self.excused = False
        """True once an attempt was not counted, because this process stood still over it."""
        self.ended = False
        """True once its outcome was told; an answer that comes later changes nothing."""


class Endpoint(Generic[SourceRecordT]):
    """Outlives reloads: the counts stay, the definition is exchanged."""

    __slots__ = (
        "_answers",
        "_busy",
        "_measured_to",
        "bucket",
        "builder",
        "circuit",
        "consecutive_410",
        "deferred",
        "disabled_by_410",
        "given_up_told_at",
        "hook",
        "host",
        "in_flight",
        "metrics",
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
        host: HostState[SourceRecordT],
        bucket: TokenBucket | None,
        circuit: Circuit,
        metrics: HookMetrics,
    ) -> None:
        self.hook = hook
        self.builder = builder
        self.host = host
        self.circuit = circuit
        self.metrics = metrics
        self.bucket = bucket
        self.in_flight = 0
        self.waiting: deque[Delivery[SourceRecordT]] = deque()
        self.queue_state = QueueState.IDLE
        self.deferred = DeferredForecast()
        self.paused_until = -inf
        """Monotonic seconds before which the receiver asked for no request (`Retry-After`)."""
        self.pause_told_at = -inf
        """Monotonic seconds at which the log told of a pause last."""
        self.given_up_told_at = -inf
        """Monotonic seconds at which the log told last that connections were given up."""
        self.consecutive_410 = 0
        """410 since the last other answer."""
        self.disabled_by_410 = False
        """True after several 410 in a row, until the next reload; then `paused_until` is `inf`."""
        self._busy = 0.0
        self._answers = 0.0
        self._measured_to = 0.0

    def adopt(
        self,
        hook: Hook,
        builder: RequestBuilder,
        host: HostState[SourceRecordT],
        metrics: HookMetrics,
    ) -> None:
        """Take over a reloaded definition, all but its rate limit."""
        if self.queue_state is QueueState.BLOCKED_ON_HOST and host is not self.host:
            self.host.blocked.remove(self)
            self.queue_state = QueueState.IDLE
        self.hook, self.builder, self.host, self.metrics = hook, builder, host, metrics

    def reset_answers(self, circuit: Circuit) -> None:
        """Begin with a closed `circuit`: requests are other ones from now on, and what was answered
        to the earlier ones says nothing about them.
        """
        self.circuit = circuit
        self.metrics.circuit(open=False)
        self.enable()
        self.paused_until, self.metrics.paused_until = -inf, 0.0

    def enable(self) -> None:
        """Take back what 410 did."""
        self.consecutive_410 = 0
        if self.disabled_by_410:
            self.disabled_by_410 = self.metrics.disabled = False
            self.paused_until = -inf

    def join(self, delivery: Delivery[SourceRecordT], now: float) -> None:
        """Let `delivery` wait for its turn."""
        if not self.waiting and not self.in_flight:
            self._measured_to = now  # it had nothing to do: that says nothing about its pace
        delivery.queued_at = now
        self.waiting.append(delivery)

    def take_returned(self, retry_topic: float, cause: str) -> None:
        """A delivery comes back out of the retry lane with the delay `lane`; `cause`: see above."""
        self.deferred.remove(retry_topic)
        if cause == REFUSING:
            self.circuit.trust()

    def note_answer(self, now: float) -> None:
        """Learn the pace from the time that answers take while others wait."""
        if self.waiting:
            passed = now - self._measured_to
            fade = exp(-passed / EWMA_TIME_CONSTANT_SECONDS)
            self._busy = self._busy * fade + passed
            self._answers = self._answers * fade + 1.0
        self._measured_to = now

    def reset_pace(self, now: float) -> None:
        """Learn the pace anew: the time until `now` was not the endpoint's."""
        self._busy = self._answers = 0.0
        self._measured_to = now

    def seconds_per_delivery(self) -> float:
        """Seconds that the endpoint needs per delivery: by its rate limit, else as measured."""
        return max(self.rate_interval(), self._busy / self._answers if self._answers else 0.0)

    def is_slow(self, now: float, patience: float, backlog: float) -> bool:
        """Whether what waits here waits for the endpoint, not for us.

        It does where nothing was answered for `patience` seconds or the rate limit makes the queue
        longer than that, and where the queue needs more than `backlog` seconds at the endpoint's
        pace. A delivery's own wait tells less, and the pace is given more time: both suffer when
        this process is short of CPU, and parking would only add to that.
        """
        if not self.waiting:
            return False
        number, silent_since = len(self.waiting), max(self._measured_to, self.waiting[0].queued_at)
        if max(now - silent_since, number * self.rate_interval()) > patience:
            return True
        return number * self.seconds_per_delivery() > backlog

    def held_back(self, now: float) -> tuple[float, str]:
        """Seconds for which the receiver is to get nothing, and as what deliveries are deferred
        meanwhile; without a cause they are not.
        """
        pause, circuit = self.paused_until - now, self.circuit
        if pause > 0.0:
            return pause, RETRY_AFTER if pause > _SHORT_PAUSE else ""
        wait = circuit.wait(now)
        if not wait:
            return 0.0, ""
        return wait, REFUSING if circuit.refuses else CIRCUIT_OPEN

    def rate_interval(self) -> float:
        """Seconds between two requests that the hook's and the host's rate allow; 0.0: no limit."""
        own = self.bucket.interval if self.bucket else 0.0
        return max(own, self.host.bucket.interval) if self.host.bucket else own
