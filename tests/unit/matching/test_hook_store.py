"""The hooks in force change as a whole, and share what stays."""

import pytest

from consumer.events.model import Event
from consumer.hooks.source import Change, Delete, Upsert
from consumer.hooks.table import Hook
from consumer.matching import layers
from consumer.matching.store import HookStore
from support.fakes import make_event, make_hook

EVENT = make_event({"id": "e", "notification": {"id": "sale"}}, "push_click")


def hook(id: str, target: str = "/", *, enabled: bool = True, select: str = "sale") -> Hook:
    """One that selects a subject; "": every event."""
    subjects = frozenset({select}) if select else None
    return make_hook(
        id, uri=f"https://a.example{target}", trigger="push_click", select=subjects, enabled=enabled
    )


def apply(store: HookStore, *changes: Change) -> None:
    """Prepare and put in force."""
    store.apply(store.prepare(changes))


def fired(store: HookStore, event: Event = EVENT) -> list[Hook]:
    """The hooks that fire, by id."""
    return sorted(store.view.match(event), key=lambda hook: hook.id)


@pytest.fixture(params=["copied", "layered"], autouse=True)
def tables(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How a change makes the next tables: small ones are copied, large ones are shared."""
    monkeypatch.setattr(layers, "_SMALL", 0 if request.param == "layered" else 1_000)


@pytest.mark.parametrize("select", ["sale", ""])
def test_changes_add_replace_and_delete(select: str) -> None:
    """An upsert adds a hook or replaces the one of its id, and a delete takes it out."""
    store = HookStore([Upsert(hook("a", select=select)), Upsert(hook("b", select=select))])
    new = hook("a", "/new", select=select)
    apply(store, Upsert(new), Delete("b"), Upsert(hook("c", select=select)), Delete("unknown"))
    assert [found.id for found in fired(store)] == ["a", "c"]
    assert fired(store)[0] is new
    assert set(store.view.hooks) == {"a", "c"}


def test_a_view_that_was_taken_stays_as_it_is() -> None:
    """A reader sees one consistent state, whatever is applied meanwhile."""
    old = hook("a")
    store = HookStore([Upsert(old)])
    view = store.view
    apply(store, Upsert(hook("a", "/new")), Upsert(hook("b")))
    assert view.match(EVENT) == (old,)
    assert dict(view.hooks) == {"a": old}
    assert view is not store.view


def test_what_is_prepared_is_not_in_force() -> None:
    """A reload that is refused after its hooks were read has changed nothing."""
    store = HookStore([Upsert(hook("a"))])
    view = store.view
    prepared = store.prepare([Delete("a")])
    assert store.view is view
    assert store.apply(prepared) is store.view
    assert not store.view.hooks


def test_changes_that_came_meanwhile_are_not_lost() -> None:
    """A reload that was prepared before another source's change was applied keeps that change."""
    store = HookStore([Upsert(hook("a"))])
    prepared = store.prepare([Upsert(hook("b"))])
    apply(store, Upsert(hook("c")), Delete("a"))
    store.apply(prepared)
    assert [found.id for found in fired(store)] == ["b", "c"]


def test_the_last_of_several_changes_of_one_hook_counts() -> None:
    """A topic may bring several changes of a hook at once."""
    store = HookStore()
    apply(store, Upsert(hook("a")), Delete("a"), Upsert(hook("b")), Upsert(hook("b", "/new")))
    assert fired(store) == [hook("b", "/new")]
    apply(store, Upsert(hook("b")), Delete("b"))
    assert fired(store) == []


def test_a_hook_can_be_switched_off_and_on() -> None:
    """Its events are counted while it is off, by the view of the disabled hooks."""
    store = HookStore([Upsert(hook("a"))])
    apply(store, Upsert(hook("a", enabled=False)))
    assert fired(store) == []
    assert store.view.disabled is not None
    assert [found.id for found in store.view.disabled.match(EVENT)] == ["a"]
    apply(store, Upsert(hook("a")))
    assert [found.id for found in fired(store)] == ["a"]
    assert store.view.disabled is None
    apply(store, Upsert(hook("a", enabled=False)))
    apply(store, Delete("a"))
    assert store.view.disabled is None


def test_no_changes_leave_the_view() -> None:
    """A reload of unchanged files makes no new view."""
    store = HookStore([Upsert(hook("a"))])
    view = store.view
    apply(store)
    assert store.view is view


def test_replaced_hooks_are_freed_one_by_one() -> None:
    """The list of the replaced hooks is emptied after the view is in force."""
    store = HookStore([Upsert(hook("a")), Upsert(hook("b"))])
    prepared = store.prepare([Upsert(hook("a", "/new")), Delete("b"), Upsert(hook("c"))])
    assert sorted(old.id for old in prepared.replaced) == ["a", "b"]
    store.apply(prepared)
    prepared.free()
    assert prepared.replaced == []
