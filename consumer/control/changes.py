"""A change that somebody wants to make to live definitions, and why it may be refused."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from consumer.errors import HookstreamError


@dataclass(frozen=True, slots=True)
class WantedChange:
    """One definition as it is to be."""

    hook_id: str
    definition: Mapping[str, Any] | None
    """As its author wrote it; None: to be deleted."""
    seen: int | None
    """The revision that its author saw, 0 for none; None: whatever it is."""
    restored: bool = False
    """Whether it brings back an earlier revision."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """A definition that has changed since its author saw it."""

    hook_id: str
    seen: int
    newest: int
    """0: it was deleted, or never existed."""
    by: str = ""
    at: str = ""

    def __str__(self) -> str:
        if not self.newest:
            return f"hook {self.hook_id}: revision {self.seen} was deleted"
        by = f" by {self.by}" if self.by else ""
        at = f" at {self.at}" if self.at else ""
        return f"hook {self.hook_id}: revision {self.newest} was written{by}{at}; you saw " + (
            f"revision {self.seen}" if self.seen else "none"
        )


class ConflictError(HookstreamError):
    """Definitions have changed meanwhile: nothing was written."""

    def __init__(self, conflicts: Sequence[Conflict]) -> None:
        super().__init__("\n".join(map(str, conflicts)))
        self.conflicts = tuple(conflicts)


class NotWrittenError(HookstreamError):
    """Kafka did not take the change, and it is certain that nothing was written."""


class UnknownOutcomeError(HookstreamError):
    """Kafka did not say whether it took the change, and could not be asked afterwards."""
