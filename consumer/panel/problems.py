"""Errors of the API as problem details (RFC 9457)."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, ConfigDict

from consumer.errors import Diagnostic

CONTENT_TYPE: Final = "application/problem+json"
MAX_PROBLEMS: Final = 100
"""Problems of one definition or query that an answer names."""


class FieldProblem(BaseModel):
    """What is wrong with one field."""

    model_config = ConfigDict(extra="forbid")

    field: str
    """Its path as people write it; empty: the whole."""
    message: str
    hint: str


class ProblemDetails(BaseModel):
    """An error (RFC 9457)."""

    model_config = ConfigDict(extra="forbid")

    type: str
    """`urn:hookstream:problem:` and a word that does not change."""
    title: str
    status: int
    detail: str
    problems: list[FieldProblem]
    revision: int | None = None
    """Of a conflict: the newest revision; 0: it was deleted."""
    count: int | None = None
    """Of a replay whose count differs: the count now."""


class Problem(Exception):  # noqa: N818  # an answer, not a fault of the program
    """An answer that is an error."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        problems: Iterable[FieldProblem] = (),
        headers: Mapping[str, str] | None = None,
        revision: int | None = None,
        count: int | None = None,
    ) -> None:
        super().__init__(kind)
        self.status = status
        self.headers = dict(headers or {})
        self.details = ProblemDetails(
            type=f"urn:hookstream:problem:{kind}",
            title=status.phrase,
            status=int(status),
            detail=detail,
            problems=list(problems)[:MAX_PROBLEMS],
            revision=revision,
            count=count,
        )

    @property
    def body(self) -> bytes:
        """The answer's body."""
        return self.details.model_dump_json(exclude_none=True).encode(errors="backslashreplace")


def of_diagnostics(diagnostics: Iterable[Diagnostic]) -> list[FieldProblem]:
    """The problems of a definition."""
    return [
        FieldProblem(field=one.field, message=one.message, hint=one.hint) for one in diagnostics
    ]


def invalid(detail: str, problems: Iterable[FieldProblem] = ()) -> Problem:
    """An answer to input that is not valid."""
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid", detail, problems=problems)


def invalid_field(field: str, message: str, hint: str) -> Problem:
    """An answer to one field that is not valid."""
    problem = FieldProblem(field=field, message=message, hint=hint)
    return invalid(f"{field} {message}", [problem])
