"""What an endpoint's answers change at the endpoint: its circuit, a pause, its end after 410."""

from math import inf
from typing import assert_never

from consumer.clock import Clock
from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.circuit import Circuit
from consumer.delivery.scheduling.endpoint import Endpoint, SourceRecordT
from consumer.delivery.scheduling.retry_policy import AnswerKind
from consumer.logs import get_logger

log = get_logger(__name__)

MAX_CONSECUTIVE_410 = 5
"""410 in a row that disable a hook (docs/operations.md#hooks)."""
_TOO_MANY = 429
_PAUSING_STATUSES = frozenset({_TOO_MANY, 503})
_TOLD_PAUSE = 1.0
"""Seconds: no line tells of a shorter pause."""
_TELL_INTERVAL = 60.0
"""Seconds between two lines about pauses of one endpoint, or about its connections."""


def learn(
    endpoint: Endpoint[SourceRecordT],
    what: AnswerKind,
    answer: AttemptResult,
    *,
    probe: bool,
    clock: Clock,
) -> None:
    """Take over what `answer`, which is no 2xx, says about the next ones of `endpoint`."""
    now, circuit = clock.monotonic(), endpoint.circuit
    names_time = answer.retry_after is not None and answer.status in _PAUSING_STATUSES
    if names_time:
        _pause(endpoint, answer, clock)
    match what:
        case AnswerKind.PERMANENT:
            _reject(endpoint.hook.id, circuit, answer, probe=probe, now=now)
        case AnswerKind.RETRY if not (names_time and answer.status == _TOO_MANY):
            circuit.failed(probe=probe, now=now)
        case AnswerKind.SUCCESS | AnswerKind.RETRY | AnswerKind.GONE | AnswerKind.BLOCKED:
            # It answers and says when it goes on; or nothing was asked; or 410 has its own rule.
            circuit.answered(probe=probe, now=now)
        case _:
            assert_never(what)
    if what is AnswerKind.GONE:
        _count_410(endpoint)
    elif answer.status:
        endpoint.consecutive_410 = 0


def tell_given_up(endpoint: Endpoint[SourceRecordT], now: float) -> None:
    """Count that the connections to a receiver were given up, and tell it, at most once a minute:
    the HTTP client itself would go on in silence.
    """
    endpoint.metrics.connections_given_up += 1
    if now >= endpoint.given_up_told_at + _TELL_INTERVAL:
        endpoint.given_up_told_at = now
        log.warning(
            "kept connections to a receiver were given up: an attempt on one of them timed out; "
            "something between may drop connections without closing them",
            hook=endpoint.hook.id,
            times=endpoint.metrics.connections_given_up,
        )


def _reject(
    hook_id: str, circuit: Circuit, answer: AttemptResult, *, probe: bool, now: float
) -> None:
    refused_before = circuit.refuses
    circuit.rejected(probe=probe, now=now)
    if circuit.refuses and not refused_before:
        log.warning(
            "a receiver that answered 2xx rejects everything; its deliveries are deferred until it "
            "answers 2xx again",
            hook=hook_id,
            status=answer.status,
        )


def _pause(endpoint: Endpoint[SourceRecordT], answer: AttemptResult, clock: Clock) -> None:
    """Send nothing more before the time that `answer` names.

    Of several times the latest counts: each asks for no request before it (RFC 9110 section
    10.2.3), so only the latest keeps them all. A 2xx of a request that was under way says nothing
    about the next one, and changes nothing.
    """
    now, seconds = clock.monotonic(), answer.retry_after or 0.0
    if now + seconds <= endpoint.paused_until:
        return
    endpoint.paused_until = now + seconds
    endpoint.metrics.paused_until = clock.now() + seconds
    if seconds > _TOLD_PAUSE and now >= endpoint.pause_told_at + _TELL_INTERVAL:
        endpoint.pause_told_at = now
        log.info(
            "a receiver asks for a pause (Retry-After); its deliveries wait",
            hook=endpoint.hook.id,
            status=answer.status,
            seconds=round(seconds, 1),
        )


def _count_410(endpoint: Endpoint[SourceRecordT]) -> None:
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
