"""The seam between the sources of definitions and the hooks in force."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol, Self

from consumer.hooks.table import Hook


@dataclass(frozen=True, slots=True)
class Upsert:
    """A hook that is new, or replaces the one of its id."""

    hook: Hook


@dataclass(frozen=True, slots=True)
class Delete:
    """The hook of this id is gone."""

    hook_id: str


Change = Upsert | Delete


def ids_of(changes: Iterable[Change]) -> list[str]:
    """The ids of the changed hooks."""
    return [change.hook_id if isinstance(change, Delete) else change.hook.id for change in changes]


class HookSource(Protocol):
    """The definitions of a folder at one moment: a snapshot, then changes."""

    @property
    def hooks(self) -> Mapping[str, Hook]:
        """The whole snapshot by id, enabled or not."""

    def changes(self, before: Self | None) -> Iterable[Change]:
        """The changes that lead from an earlier moment to this; without one, an `Upsert` of each
        hook.
        """
