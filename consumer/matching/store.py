"""The hooks in force: one immutable view, exchanged by each set of changes."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

from consumer.events.triggers import Trigger
from consumer.hooks.source import Change, Delete, Upsert
from consumer.hooks.table import Hook
from consumer.matching.conditional import ConditionalIndex
from consumer.matching.filing import next_tables
from consumer.matching.index import Index
from consumer.matching.layers import Layers

KeyT = TypeVar("KeyT")

EMPTY = Index(Layers({}), {}, Layers({}), None)


@dataclass(slots=True)
class Prepared:
    """A view that is not in force yet."""

    base: Index
    """The view that was changed."""
    changes: tuple[Change, ...]
    view: Index
    replaced: list[Hook]
    """Hooks of the base that the view no longer has."""

    def free(self) -> None:
        """Free the replaced hooks one by one, and the view that had them. Freed at once, a hundred
        thousand would keep the interpreter from deliveries for a tenth of a second.
        """
        self.base = self.view
        while self.replaced:
            self.replaced.pop()


class HookStore:
    """The hooks in force. A reader that takes `view` once for an event sees one state."""

    def __init__(self, changes: Iterable[Change] = ()) -> None:
        self.view = changed(EMPTY, tuple(changes))
        self._begin()

    def prepare(self, changes: Iterable[Change], base: Index | None = None) -> Prepared:
        """Make the next view, in any thread; the present one stays in force. `base`: the view that
        the changes were found out with, if it may have been replaced meanwhile.
        """
        base, changes = base or self.view, tuple(changes)
        replaced = [base.hooks[hook_id] for hook_id in _last(changes) if hook_id in base.hooks]
        return Prepared(base, changes, changed(base, changes), replaced)

    def apply(self, prepared: Prepared) -> Index:
        """Put a prepared view in force. If another one came into force since it was prepared, its
        changes are made to that one.
        """
        is_current = prepared.base is self.view
        self.view = prepared.view if is_current else changed(self.view, prepared.changes)
        self._begin()
        return self.view

    def _begin(self) -> None:
        if isinstance(self.view, ConditionalIndex):
            self.view.tables.begin()


def make_index(hooks: Mapping[str, Hook]) -> Index:
    """The index of a whole table."""
    return changed(EMPTY, tuple(map(Upsert, hooks.values())))


def changed(base: Index, changes: tuple[Change, ...]) -> Index:
    """A view with these changes to `base`, of which it shares all that is the same."""
    if not changes:
        return base
    last = _last(changes)
    gone = [old for hook_id in last if (old := base.hooks.get(hook_id)) is not None]
    new = [hook for hook in last.values() if hook is not None]
    off = {hook.id: replace(hook, enabled=True) for hook in new if not hook.enabled}
    everything = _regrouped(
        base.everything,
        _by_trigger(gone),
        _by_trigger(new),
    )
    hooks = base.hooks.changed(last)
    without_select = {
        trigger: group
        for trigger, group in {**base.everything, **everything}.items()
        if group is not None
    }
    selected = base.selected.changed(_regrouped(base.selected, _by_subject(gone), _by_subject(new)))
    disabled = _disabled(base.disabled or EMPTY, gone, off)
    tables = next_tables(
        base.tables if isinstance(base, ConditionalIndex) else None,
        (hook for hook in gone if hook.enabled),
        (hook for hook in new if hook.enabled),
    )
    if tables is None:
        return Index(hooks, without_select, selected, disabled)
    return ConditionalIndex(hooks, without_select, selected, disabled, tables)


def _disabled(base: Index, gone: list[Hook], off: dict[str, Hook]) -> Index | None:
    deleted = [Delete(hook.id) for hook in gone if hook.id in base.hooks and hook.id not in off]
    view = changed(base, (*deleted, *map(Upsert, off.values())))
    return view if view.hooks else None


def _by_trigger(hooks: Iterable[Hook]) -> Iterable[tuple[Trigger, Hook]]:
    for hook in hooks:
        if hook.enabled and hook.select is None and hook.when is None:
            yield hook.trigger, hook


def _by_subject(hooks: Iterable[Hook]) -> Iterable[tuple[tuple[Trigger, str], Hook]]:
    for hook in hooks:
        if hook.enabled and hook.select is not None and hook.when is None:
            for subject in hook.select:
                yield (hook.trigger, subject), hook


def _regrouped(
    groups: Mapping[KeyT, tuple[Hook, ...]],
    gone: Iterable[tuple[KeyT, Hook]],
    new: Iterable[tuple[KeyT, Hook]],
) -> dict[KeyT, tuple[Hook, ...] | None]:
    """The groups that differ without some members and with others; None: it has none left."""
    left: dict[KeyT, set[str]] = {}
    for key, hook in gone:
        left.setdefault(key, set()).add(hook.id)
    joined: dict[KeyT, list[Hook]] = {}
    for key, hook in new:
        joined.setdefault(key, []).append(hook)
    result: dict[KeyT, tuple[Hook, ...] | None] = {}
    for key in left.keys() | joined.keys():
        ids = left.get(key, ())
        stay = [hook for hook in groups.get(key, ()) if hook.id not in ids]
        result[key] = (*stay, *joined.get(key, ())) or None
    return result


def _last(changes: Iterable[Change]) -> dict[str, Hook | None]:
    """By id: the hook as the last change leaves it; None if that deletes it."""
    return {
        (change.hook.id if isinstance(change, Upsert) else change.hook_id): (
            change.hook if isinstance(change, Upsert) else None
        )
        for change in changes
    }
