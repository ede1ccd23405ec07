"""From the services' errors to answers: the one map of both."""

from collections.abc import Mapping
from http import HTTPStatus

from consumer.control.changes import ConflictError, NotWrittenError, UnknownOutcomeError
from consumer.errors import ConfigError, HookstreamError, InvalidValue
from consumer.panel.problems import Problem, invalid, of_diagnostics
from consumer.services.dead_letters import ReplayedMeanwhileError, ReplayRunningError
from consumer.services.hook_reader import NotFoundError
from consumer.services.hooks import ExistsError, ReadOnlyError
from consumer.services.samples import NoRequestError
from consumer.services.topic_view import BusyError

_RETRY_SECONDS = "5"


_KINDS: Mapping[type[HookstreamError], tuple[HTTPStatus, str]] = {
    NoRequestError: (HTTPStatus.UNPROCESSABLE_ENTITY, "invalid"),
    NotFoundError: (HTTPStatus.NOT_FOUND, "not-found"),
    ExistsError: (HTTPStatus.CONFLICT, "exists"),
    ReplayRunningError: (HTTPStatus.CONFLICT, "replaying"),
    ReplayedMeanwhileError: (HTTPStatus.CONFLICT, "replayed"),
    ReadOnlyError: (HTTPStatus.CONFLICT, "read-only"),
}
_UNAVAILABLE: Mapping[type[HookstreamError], str] = {
    UnknownOutcomeError: "outcome-unknown",
    NotWrittenError: "not-written",
    BusyError: "busy",
}


def problem_of(error: HookstreamError) -> Problem:
    """The answer to an error."""
    if isinstance(error, ConfigError):
        problems, number = of_diagnostics(error.diagnostics), len(error.diagnostics)
        return invalid(f"it has {number} problem{'s' * (number != 1)}", problems)
    if isinstance(error, ConflictError):
        return _conflict(error)
    if isinstance(error.__cause__, InvalidValue):
        return invalid(str(error))
    if (found := _KINDS.get(type(error))) is not None:
        return Problem(*found, str(error))
    return Problem(
        HTTPStatus.SERVICE_UNAVAILABLE,
        _UNAVAILABLE.get(type(error), "unavailable"),
        str(error),
        headers={"Retry-After": _RETRY_SECONDS},
    )


def _conflict(error: ConflictError) -> Problem:
    newest = error.conflicts[0].newest
    return Problem(
        HTTPStatus.PRECONDITION_FAILED,
        "newer-revision",
        str(error),
        revision=newest,
        headers={"ETag": f'"{newest}"'},
    )
