"""What a write puts into the topics."""

from typing import Any

import pytest

from consumer.control.changes import ConflictError, NotWrittenError, WantedChange
from consumer.control.live_table import LiveTable
from consumer.control.records import Action, HookRecord
from consumer.control.write_plan import Author, WritePlan, plan_write
from support.definition_topics import TopicRecord, definition, record_of

AUTHOR = Author("ayse", "a sale", "2030-01-02T03:04:05.000Z", "change-1")


def _table(*records: HookRecord) -> LiveTable:
    table = LiveTable()
    for offset, record in enumerate(records):
        table.take(record_of(offset, record))
    return table


def _plan(table: LiveTable, *changes: WantedChange) -> WritePlan:
    return plan_write(table, changes, AUTHOR)


def test_a_new_definition_is_revision_one() -> None:
    """A definition of a new id becomes revision 1, with its author and an audit record."""
    plan = _plan(LiveTable(), WantedChange("a", definition("a"), 0))
    [record] = plan.written
    expected = HookRecord("a", 1, definition("a"), AUTHOR.at, "ayse", "a sale", "change-1")
    assert record == expected
    assert plan.results == [expected]
    [audit] = plan.audits
    assert (audit.action, audit.revision, audit.before, audit.after) == (
        Action.CREATED,
        1,
        None,
        definition("a"),
    )
    assert (audit.by, audit.comment, audit.at, audit.change) == (
        "ayse",
        "a sale",
        AUTHOR.at,
        "change-1",
    )


@pytest.mark.parametrize(
    ("change", "action", "after"),
    [
        (
            WantedChange("a", definition("a", name="new"), 3),
            Action.CHANGED,
            definition("a", name="new"),
        ),
        (
            WantedChange("a", definition("a", name="new"), 3, restored=True),
            Action.RESTORED,
            definition("a", name="new"),
        ),
        (WantedChange("a", None, 3), Action.DELETED, None),
        (WantedChange("a", None, None), Action.DELETED, None),
    ],
)
def test_a_change_is_the_next_revision(
    change: WantedChange, action: Action, after: dict[str, Any] | None
) -> None:
    """A change, a deletion and a restored definition are the next revision, and the audit record
    has what was before.
    """
    plan = _plan(_table(HookRecord("a", 3, definition("a"))), change)
    [record], [audit] = plan.written, plan.audits
    assert (record.revision, record.definition) == (4, after)
    assert (audit.action, audit.before, audit.after) == (action, definition("a"), after)


def test_a_definition_after_a_deletion_is_created_behind_it() -> None:
    """A definition of an id that was deleted is created with the revision behind the deletion."""
    table = _table(HookRecord("a", 3, definition("a")), HookRecord("a", 4, None))
    [audit] = _plan(table, WantedChange("a", definition("a"), 0)).audits
    assert (audit.action, audit.revision, audit.before) == (Action.CREATED, 5, None)


def test_all_conflicts_are_told_and_nothing_is_planned() -> None:
    """If any definition has changed since it was seen, the write is refused with every conflict,
    who wrote the newer revision and when.
    """
    table = _table(
        HookRecord("a", 3, definition("a"), at="then", by="bora"),
        HookRecord("b", 1, definition("b")),
        HookRecord("c", 2, None),
    )
    with pytest.raises(ConflictError) as refused:
        _plan(
            table,
            WantedChange("a", definition("a"), 2),
            WantedChange("b", definition("b", name="x"), 1),
            WantedChange("c", definition("c"), 1),
            WantedChange("d", definition("d"), 1),
        )
    told = [(c.hook_id, c.seen, c.newest, c.by, c.at) for c in refused.value.conflicts]
    assert told == [("a", 2, 3, "bora", "then"), ("c", 1, 0, "", ""), ("d", 1, 0, "", "")]


@pytest.mark.parametrize("seen", [None, 3])
def test_a_change_that_changes_nothing_writes_nothing(seen: int | None) -> None:
    """A definition that is the same already, whatever the order of its fields, is not written, and
    the result is the revision in force.
    """
    before = HookRecord("a", 3, definition("a"))
    same = dict(reversed(definition("a").items()))
    plan = _plan(_table(before), WantedChange("a", same, seen))
    assert (plan.written, plan.audits, plan.results) == ([], [], [before])


def test_the_deletion_of_nothing_writes_nothing() -> None:
    """The deletion of a hook that does not exist, or no longer, is not written."""
    deleted = HookRecord("a", 4, None)
    plan = _plan(_table(deleted), WantedChange("a", None, 0), WantedChange("b", None, None))
    assert plan.written == []
    assert plan.results == [deleted, HookRecord("b", 0, None)]


@pytest.mark.parametrize(("one", "other"), [(1, True), (1, 1.0), (0, False)])
def test_values_of_another_kind_are_a_change(one: object, other: object) -> None:
    """A value that Python takes for equal and JSON does not is a change."""
    table = _table(HookRecord("a", 1, definition("a", x=one)))
    plan = _plan(table, WantedChange("a", definition("a", x=other), 1))
    assert [record.revision for record in plan.written] == [2]


@pytest.mark.parametrize("wanted", [definition("a"), None])
def test_a_poisoned_hook_is_always_written(wanted: dict[str, Any] | None) -> None:
    """A hook with an unreadable record is written also if its last good revision is the same, so
    that the topic is readable again.
    """
    table = _table(HookRecord("a", 1, definition("a")))
    table.take(TopicRecord(1, b"a", b"not JSON"))
    [record] = _plan(table, WantedChange("a", wanted, 1)).written
    assert (record.revision, record.definition) == (2, wanted)


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ([WantedChange("a", None, 0), WantedChange("a", definition("a"), 0)], "changed twice"),
        ([WantedChange("a", definition("b"), 0)], "its definition has another id"),
        ([WantedChange("a", definition("a", x=2**70), 0)], "cannot be kept as JSON"),
        ([WantedChange("a", definition("a", x="\ud800"), 0)], "cannot be kept as JSON"),
    ],
)
def test_changes_that_no_reader_would_understand_are_refused(
    changes: list[WantedChange], told: str
) -> None:
    """Changes that contradict themselves or cannot be kept are refused before anything is
    written.
    """
    with pytest.raises(NotWrittenError, match=told):
        _plan(LiveTable(), *changes)


def test_a_definition_that_is_too_large_is_refused_by_name() -> None:
    """A definition that no record can hold is refused with its hook and a hint."""
    plan = _plan(LiveTable(), WantedChange("a", definition("a", name="x" * 1_000_000), 0))
    with pytest.raises(NotWrittenError, match=r"hook a: takes .*shorten the definition"):
        plan.hook_records()
