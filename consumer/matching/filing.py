"""Makes the next tables of the hooks with conditions: shares what stays, as `store.py` does."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from consumer.events.path import Path
from consumer.hooks.conditions import AnyOf, Conditions, Key, Test
from consumer.hooks.table import Hook
from consumer.matching.conditional import (
    BucketKey,
    Candidate,
    ConditionTables,
    Group,
    GroupKey,
    Seen,
    Start,
)
from consumer.matching.layers import Layers

_MAX_ENTRIES: Final = 1_000
"""Entries of one hook: subjects times values. A hook with more is looked at for each event."""

_NO_TABLES: Final = ConditionTables(Layers({}), Layers({}), Layers({}), [])

Access = Sequence[AnyOf]
"""Tests one of which an event must pass, whatever else it must: a hook can be filed under their
values."""


def next_tables(
    base: ConditionTables | None, gone: Iterable[Hook], new: Iterable[Hook]
) -> ConditionTables | None:
    """The tables without some hooks and with others; None if no hook is left. Hooks without
    conditions are passed over.
    """
    tables = base or _NO_TABLES
    changes = _Changes(tables)
    for hook in gone:
        candidate = tables.candidates.get(hook.id)
        if candidate is not None:
            changes.take_out(candidate)
    for hook in new:
        if hook.when is not None:
            changes.put_in(Candidate(hook, hook.when))
    if not changes.candidates:
        return base
    found = changes.tables()
    return found if found.candidates else None


def group_keys(hook: Hook) -> Iterator[GroupKey]:
    """The groups that a hook belongs to: one for each subject that it selects."""
    for subject in (None,) if hook.select is None else hook.select:
        yield hook.trigger, subject, hook.app


@dataclass(slots=True)
class _GroupChange:
    """What differs in a group."""

    left: set[str] = field(default_factory=set)
    """Ids of the unfiled ones that left."""
    joined: list[Candidate] = field(default_factory=list)
    """The unfiled ones that joined."""
    paths: dict[str, int] = field(default_factory=dict)
    """How many more candidates are filed under each path; less than 0: fewer."""
    shares: tuple[Seen, Start] | None = None
    """Of the hooks filed by access that joined."""


class _Changes:
    """The changes of one set, collected so that each tuple is made anew once."""

    def __init__(self, tables: ConditionTables) -> None:
        self._base = tables
        self.candidates: dict[str, Candidate | None] = {}
        self._groups: dict[GroupKey, _GroupChange] = {}
        self._seen: dict[GroupKey, Seen] = {}
        self._left: dict[BucketKey, set[Candidate]] = {}
        self._joined: dict[BucketKey, list[Candidate]] = {}
        self._steps: dict[str, Path] = {}

    def take_out(self, candidate: Candidate) -> None:
        self.candidates[candidate.hook.id] = None
        paths = {path for path, _ in candidate.access}
        for key in group_keys(candidate.hook):
            change = self._group(key)
            for path in paths:
                change.paths[path] = change.paths.get(path, 0) - 1
            if not candidate.access:
                change.left.add(candidate.hook.id)
            for path, value in candidate.access:
                self._left.setdefault((key, path, value), set()).add(candidate)

    def put_in(self, candidate: Candidate) -> None:
        hook = candidate.hook
        self.candidates[hook.id] = candidate
        keys = list(group_keys(hook))
        access = self._choose(candidate, keys)
        candidate.access = tuple((test.path, key) for test in access for key in test.keys)
        self._steps.update({test.path: test.steps for test in access})
        paths = {test.path for test in access}
        for key in keys:
            change = self._group(key)
            if not access:
                change.joined.append(candidate)
                continue
            change.shares = change.shares or (self._seen_of(key), Start())
            candidate.shares.append(change.shares)
            for path in paths:
                change.paths[path] = change.paths.get(path, 0) + 1
            for path, value in dict.fromkeys(candidate.access):
                self._joined.setdefault((key, path, value), []).append(candidate)

    def tables(self) -> ConditionTables:
        """The tables with all changes."""
        base = self._base
        buckets = {key: self._next_bucket(key) for key in self._left.keys() | self._joined.keys()}
        groups = {key: self._next_group(key, change) for key, change in self._groups.items()}
        return ConditionTables(
            base.candidates.changed(self.candidates),
            base.groups.changed(groups),
            base.buckets.changed(buckets),
            [change.shares for change in self._groups.values() if change.shares is not None],
        )

    def _choose(self, candidate: Candidate, keys: Sequence[GroupKey]) -> Access:
        """The access tests whose fullest bucket is the emptiest: of `action_id: buy` and
        `tenant: t42` the second one. None of a hook that must be composed: of its group's events
        only those count that were composed with it, and these are found in the notification.
        """
        if candidate.hook.needs_composed:
            return ()
        best: Access = ()
        fewest = -1
        for access in _accesses(candidate.conditions):
            values = [(test.path, key) for test in access for key in test.keys]
            if len(values) * len(keys) > _MAX_ENTRIES:
                continue
            fullest = max(self._size((key, *value)) for key in keys for value in values)
            if fewest < 0 or fullest < fewest:
                best, fewest = access, fullest
        return best

    def _size(self, key: tuple[GroupKey, str, Key]) -> int:
        known = self._base.buckets.get(key)
        return len(known or ()) + len(self._joined.get(key, ()))

    def _group(self, key: GroupKey) -> _GroupChange:
        return self._groups.setdefault(key, _GroupChange())

    def _seen_of(self, key: GroupKey) -> Seen:
        known = self._base.groups.get(key)
        return known.seen if known is not None else self._seen.setdefault(key, Seen())

    def _next_bucket(self, key: BucketKey) -> tuple[Candidate, ...] | None:
        left = self._left.get(key, ())
        stay = [one for one in self._base.buckets.get(key, ()) if one not in left]
        return (*stay, *self._joined.get(key, ())) or None

    def _next_group(self, key: GroupKey, change: _GroupChange) -> Group | None:
        base = self._base.groups.get(key)
        before: tuple[Candidate, ...] = base.unfiled if base is not None else ()
        unfiled = before
        if change.left or change.joined:
            stay = [one for one in before if one.hook.id not in change.left]
            unfiled = (*stay, *change.joined)
        paths = dict(base.paths) if base is not None else {}
        for path, more in change.paths.items():
            steps, count = paths.get(path) or (self._steps.get(path, ()), 0)
            paths[path] = steps, count + more
            if count + more == 0:
                del paths[path]
        if not unfiled and not paths:
            return None
        return Group(self._seen_of(key), unfiled, paths)


def _accesses(conditions: Conditions) -> Iterator[Access]:
    """Everything that a hook can be filed by: an equality or list test, or one of each mapping of
    `any`.
    """
    for test in conditions.tests:
        if isinstance(test, AnyOf):
            yield [test]
    found = [_first_any_of(tests) for tests in conditions.alternatives]
    access = [test for test in found if test is not None]
    if access and len(access) == len(found):
        yield access


def _first_any_of(tests: tuple[Test, ...]) -> AnyOf | None:
    return next((test for test in tests if isinstance(test, AnyOf)), None)
