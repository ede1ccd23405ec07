"""Errors for users: each names the location and a hint."""

from collections.abc import Sequence
from dataclasses import dataclass


class HookstreamError(Exception):
    """An error that ends a command with a message instead of a traceback."""


def first_error(errors: BaseExceptionGroup[HookstreamError]) -> HookstreamError:
    """The first error of a group, which may hold groups."""
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, HookstreamError)  # noqa: S101  # a group of these holds no others
    return error


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One problem of a settings file or a hook definition."""

    message: str
    """What is wrong, without secret values."""
    hint: str
    """What to do, in one sentence."""
    file: str = ""
    line: int = 0
    """1-based; 0 if no line is known (an environment variable)."""
    hook: str = ""
    field: str = ""
    """Dotted path of the field, as written in the file."""

    def __str__(self) -> str:
        path = f"{self.file}:{self.line}" if self.line else self.file
        parts = [path, f"hook {self.hook}" if self.hook else "", self.field, self.message]
        return ": ".join(part for part in parts if part) + f" ({self.hint})"


class ConfigError(HookstreamError):
    """Settings or hooks that cannot be used, with all their problems."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__()
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class InvalidValue(ValueError):  # noqa: N818  # becomes a Diagnostic once its location is known
    """An invalid value and a hint, before its location is known.

    It is a ValueError, so that pydantic collects it with the other problems of the document.
    """

    def __init__(
        self, message: str, hint: str, *, path: tuple[str | int, ...] = (), line: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        """What is wrong, without secret values."""
        self.hint = hint
        self.path = path
        """Keys and indexes from the checked value to the faulty one inside it."""
        self.line = line
        """1-based, within the text that was read; 0 if the value has no line of its own."""


class InvalidValues(ValueError):  # noqa: N818  # each becomes a Diagnostic
    """Several invalid values in one field, each with its path in it."""

    def __init__(self, problems: Sequence[InvalidValue]) -> None:
        super().__init__()
        self.problems = tuple(problems)
