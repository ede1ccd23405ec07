"""The effects of a result on its endpoint: circuit breaker, pause, and the end after 410."""

from math import inf
from typing import assert_never

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.endpoint import Endpoint
from consumer.delivery.scheduling.learned_rate import FIRST_REQUESTS_PER_SECOND, LearnedRate
from consumer.delivery.scheduling.retry_policy import AnswerKind
from consumer.logs import get_logger

log = get_logger(__name__)

MAX_CONSECUTIVE_410 = 5
"""410 in a row that disable a hook (docs/operations.md#hooks)."""
_TOO_MANY_REQUESTS = 429
_PAUSING_STATUSES = frozenset({_TOO_MANY_REQUESTS, 503})
_MIN_LOGGED_PAUSE_SECONDS = 1.0
_LOG_INTERVAL_SECONDS = 60.0
"""Seconds between two lines about pauses of one endpoint, or about its connections."""


def learn(
    endpoint: Endpoint,
    kind: AnswerKind,
    result: AttemptResult,
    now: float,
    *,
    probe: bool,
    clock: Clock,
) -> None:
    """Note what `result`, which came `now`, says about the next attempts of `endpoint`."""
    circuit = endpoint.circuit
    if kind is AnswerKind.SUCCESS:
        circuit.accepted(probe=probe, now=now)
        endpoint.consecutive_410 = 0
        _count_taken(endpoint)
        return
    names_time = result.retry_after is not None and result.status in _PAUSING_STATUSES
    if names_time:
        _pause(endpoint, result, now, clock)
    if names_time or result.status == _TOO_MANY_REQUESTS:
        _lower_rate(endpoint, result, now)
    elif kind is not AnswerKind.RETRY and result.status:
        _count_taken(endpoint)
    match kind:
        case AnswerKind.PERMANENT:
            _reject(endpoint.hook.id, circuit, result, probe=probe, now=now)
        case AnswerKind.RETRY if not (names_time and result.status == _TOO_MANY_REQUESTS):
            circuit.failed(probe=probe, now=now)
        case AnswerKind.RETRY | AnswerKind.GONE | AnswerKind.BLOCKED:
            # The receiver says when it goes on; or 410 has its own rule; or nothing was sent.
            circuit.answered(probe=probe, now=now)
        case _:
            assert_never(kind)
    if kind is AnswerKind.GONE:
        _count_410(endpoint)
    elif result.status:
        endpoint.consecutive_410 = 0


def log_given_up(endpoint: Endpoint, now: float) -> None:
    """Count that the connections to a receiver were given up, and log it at most once a minute: the
    HTTP client is silent about it.
    """
    endpoint.metrics.connections_given_up += 1
    if now >= endpoint.given_up_told_at + _LOG_INTERVAL_SECONDS:
        endpoint.given_up_told_at = now
        log.warning(
            "kept connections to a receiver were given up: an attempt on one of them timed out; "
            "something between may drop connections without closing them",
            hook=endpoint.hook.id,
            times=endpoint.metrics.connections_given_up,
        )


def _reject(
    hook_id: str, circuit: Circuit, result: AttemptResult, *, probe: bool, now: float
) -> None:
    refused_before = circuit.refuses
    circuit.rejected(probe=probe, now=now)
    if circuit.refuses and not refused_before:
        log.warning(
            "a receiver that answered 2xx rejects everything; its deliveries are deferred until it "
            "answers 2xx again",
            hook=hook_id,
            status=result.status,
        )


def _pause(endpoint: Endpoint, result: AttemptResult, now: float, clock: Clock) -> None:
    """Send nothing more before the time that `result` names.

    Of several times the latest counts: each asks for no request before it (RFC 9110 section
    10.2.3), so only the latest keeps them all. A 2xx of a request that was under way says nothing
    about the next one, and changes nothing.
    """
    seconds = result.retry_after or 0.0
    if now + seconds <= endpoint.paused_until:
        return
    endpoint.paused_until = now + seconds
    endpoint.metrics.paused_until = clock.now() + seconds
    is_logged = seconds > _MIN_LOGGED_PAUSE_SECONDS
    if is_logged and now >= endpoint.pause_told_at + _LOG_INTERVAL_SECONDS:
        endpoint.pause_told_at = now
        log.info(
            "a receiver asks for a pause (Retry-After); its deliveries wait",
            hook=endpoint.hook.id,
            status=result.status,
            seconds=round(seconds, 1),
        )


def _count_taken(endpoint: Endpoint) -> None:
    learned = endpoint.learned_rate
    if learned is not None:
        learned.accepted()
        endpoint.metrics.learned_rate = learned.per_second


def _lower_rate(endpoint: Endpoint, result: AttemptResult, now: float) -> None:
    """Learn from an answer that says that there are too many requests.

    The first one says only that there is a limit, above the rate that went well until then.
    """
    learned = endpoint.learned_rate
    if learned is None:
        first = max(FIRST_REQUESTS_PER_SECOND, endpoint.circuit.answers_per_second(now))
        learned = endpoint.learned_rate = LearnedRate(now, first)
    learned.refused(now - result.duration, now, result.retry_after or 0.0)
    endpoint.metrics.learned_rate = learned.per_second


def _count_410(endpoint: Endpoint) -> None:
    """Disable the hook after `MAX_CONSECUTIVE_410` 410 in a row, if all its requests are for one
    resource: with URI variables each value may have been a resource of its own.
    """
    endpoint.consecutive_410 += 1
    if (
        endpoint.disabled_by_410
        or endpoint.consecutive_410 < MAX_CONSECUTIVE_410
        or endpoint.hook.uri_variables
    ):
        return
    endpoint.disabled_by_410 = True
    endpoint.paused_until = inf
    endpoint.metrics.disabled = True
    log.warning(
        "hook disabled until a reload or a change of it: its receiver answers 410 (Gone)",
        hook=endpoint.hook.id,
        answers=endpoint.consecutive_410,
    )
