"""Hooks with conditions (`when`): found by look-ups of the event's values where that can be.

A hook whose conditions have an equality or list test is filed under the values of one such test,
its access test; a match looks up the event's value of each path that is an access path, and runs
all tests of the hooks that it finds. Others are looked at one by one. (Access predicates: Fabret et
al., "Filtering algorithms and implementation for very fast publish/subscribe systems", 2001.)

What is not looked at is not counted one by one either. Hooks of a group differ in nothing but their
conditions, so a hook's events are those that its groups have seen since it came, and those that it
did not pass were stopped by its conditions.
"""

from collections.abc import Iterator
from itertools import islice
from typing import Any

from consumer.events.model import Event
from consumer.events.path import Path, walk
from consumer.events.triggers import Trigger
from consumer.hooks.conditions import MAX_ELEMENTS, Conditions, Key, key_of
from consumer.hooks.table import Hook
from consumer.matching.index import Everything, Index, Selected, composed_values, is_silenced
from consumer.matching.layers import Layers

GroupKey = tuple[Trigger, str | None, str | None]
"""Trigger, subject (None: without `select`) and app (None: of every app)."""
BucketKey = tuple[GroupKey, str, Key]
"""A group, a path as it is written, and a value there."""


class Seen:
    """The events of a group, counted over all views that have the group."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Start:
    """What a group had seen when hooks joined it."""

    __slots__ = ("count",)

    def __init__(self) -> None:
        self.count = 0


class Candidate:
    """A hook with conditions, kept as long as the hook is in force."""

    __slots__ = ("access", "conditions", "hook", "shares", "tally")

    def __init__(self, hook: Hook, conditions: Conditions) -> None:
        self.hook = hook
        self.conditions = conditions
        self.access: tuple[tuple[str, Key], ...] = ()
        """Paths and values under which it is filed; empty: it is looked at for each event."""
        self.shares: list[tuple[Seen, Start]] = []
        """Of each of its groups, if it is filed by access."""
        self.tally = 0
        """Events that its conditions stopped; if it is filed by access, minus those that passed."""

    @property
    def filtered(self) -> int:
        """Events that it would have fired for, but for its conditions."""
        found = self.tally
        for seen, start in self.shares:
            found += seen.count - start.count
        return found


class Group:
    """The hooks with conditions that one kind of event may fire."""

    __slots__ = ("paths", "seen", "unfiled")

    def __init__(
        self,
        seen: Seen,
        unfiled: tuple[Candidate, ...],
        paths: dict[str, tuple[Path, int]],
    ) -> None:
        self.seen = seen
        self.unfiled = unfiled
        """Candidates that are looked at for each event."""
        self.paths = paths
        """The access paths, each with the number of candidates that are filed under it."""


class ConditionTables:
    """The hooks with conditions of one view; `filing.py` makes the next ones."""

    __slots__ = ("buckets", "candidates", "groups", "joined")

    def __init__(
        self,
        candidates: "Layers[str, Candidate]",
        groups: "Layers[GroupKey, Group]",
        buckets: "Layers[BucketKey, tuple[Candidate, ...]]",
        joined: list[tuple[Seen, Start]],
    ) -> None:
        self.candidates = candidates
        self.groups = groups
        self.buckets = buckets
        self.joined = joined
        """The groups that hooks joined, until the view comes into force."""

    def begin(self) -> None:
        """Count from here on for the hooks that joined. The view was made earlier, in another
        thread, and meanwhile the one before it has counted.
        """
        for seen, start in self.joined:
            start.count = seen.count
        self.joined = []


class ConditionalIndex(Index):
    """The index of hooks of which some have conditions. It is a class of its own, so that matching
    costs no more where no hook has any.
    """

    def __init__(
        self,
        hooks: Layers[str, Hook],
        everything: Everything,
        selected: Selected,
        disabled: Index | None,
        tables: ConditionTables,
    ) -> None:
        super().__init__(hooks, everything, selected, disabled)
        self.tables = tables

    def match(self, event: Event) -> tuple[Hook, ...]:
        """See `Index.match`; the event is counted for each hook whose conditions it fails."""
        found = super().match(event)
        if is_silenced(event):
            return found
        passed: list[Hook] = []
        trigger, subject, app = event.trigger, event.subject, event.app
        self._match_group((trigger, None, None), event, passed)
        if app is not None:
            self._match_group((trigger, None, app), event, passed)
        if subject is not None:
            self._match_group((trigger, subject, None), event, passed)
            if app is not None:
                self._match_group((trigger, subject, app), event, passed)
        return (*found, *passed) if passed else found

    def filtered(self) -> Iterator[tuple[str, int]]:
        """See `Index.filtered`."""
        return iter([(hook_id, one.filtered) for hook_id, one in self.tables.candidates.items()])

    def _match_group(self, key: GroupKey, event: Event, passed: list[Hook]) -> None:
        group: Group | None = self.tables.groups.get(key)
        if group is None:
            return
        group.seen.count += 1
        document = event.document
        for candidate in group.unfiled:
            hook = candidate.hook
            if hook.needs_composed and type(composed_values(event).get(hook.id)) is not dict:
                continue
            if candidate.conditions.hold(document):
                passed.append(hook)
            else:
                candidate.tally += 1
        if group.paths:
            for candidate in self._looked_up(key, group, document):
                if candidate.conditions.hold(document):
                    passed.append(candidate.hook)
                    candidate.tally -= 1

    def _looked_up(
        self, key: GroupKey, group: Group, document: dict[str, Any]
    ) -> dict[Candidate, None]:
        """The candidates that are filed under one of the event's values, each once."""
        found: dict[Candidate, None] = {}
        for name, (steps, _) in group.paths.items():
            value = walk(document, steps)
            if type(value) is list:
                for element in islice(value, MAX_ELEMENTS):
                    self._add(key, name, element, found)
            else:
                self._add(key, name, value, found)
        return found

    def _add(self, key: GroupKey, name: str, value: Any, found: dict[Candidate, None]) -> None:
        of_value = key_of(value)
        if of_value is None:
            return
        bucket: tuple[Candidate, ...] | None = self.tables.buckets.get((key, name, of_value))
        if bucket is not None:
            for candidate in bucket:
                found[candidate] = None
