"""Errors that a person reads: each names the place and the mend."""

from collections.abc import Sequence
from dataclasses import dataclass


class HookstreamError(Exception):
    """Anything that ends a command with one clear sentence instead of a traceback."""


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One thing that is wrong with a settings file or a hook definition."""

    message: str
    """What is wrong, without the value of anything secret."""
    hint: str
    """One sentence that says what to do."""
    file: str = ""
    line: int = 0
    """1-based; 0 where no line is known (an environment variable)."""
    hook: str = ""
    field: str = ""
    """Dotted path of the field, as written by its author."""

    def __str__(self) -> str:
        path = f"{self.file}:{self.line}" if self.line else self.file
        parts = [path, f"hook {self.hook}" if self.hook else "", self.field, self.message]
        return ": ".join(part for part in parts if part) + f" ({self.hint})"


class ConfigError(HookstreamError):
    """Settings or hooks that cannot be used; carries every problem, not only the first."""

    def __init__(self, diagnostics: Sequence[Diagnostic]) -> None:
        super().__init__()
        self.diagnostics = tuple(diagnostics)

    def __str__(self) -> str:
        return "\n".join(map(str, self.diagnostics))


class InvalidValue(ValueError):  # noqa: N818  # not an error yet: a Problem that still lacks its place
    """What is wrong with one written value and how to mend it, before the place is known.

    A ValueError, so that pydantic collects it with the other problems of the same document.
    """

    def __init__(
        self, message: str, hint: str, *, path: tuple[str | int, ...] = (), line: int = 0
    ) -> None:
        super().__init__(message)
        self.message = message
        """What is wrong, without the value of anything secret."""
        self.hint = hint
        self.path = path
        """Keys and indexes from the value that was judged to the one at fault inside it."""
        self.line = line
        """1-based, within the text that was read; 0 where the value has no line of its own."""
