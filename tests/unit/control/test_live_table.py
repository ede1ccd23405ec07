"""The table of live definitions: the newest record of each hook."""

from consumer.control.live_table import LiveTable, UnreadableRecord
from consumer.control.records import HookRecord
from support.definition_topics import TopicRecord, definition, record_of


def _table(*records: TopicRecord) -> LiveTable:
    table = LiveTable()
    for record in records:
        table.take(record)
    return table


def _poisoned(offset: int, key: bytes | None = b"a") -> TopicRecord:
    return TopicRecord(offset, key, b"not JSON")


def test_the_newest_record_of_a_hook_counts() -> None:
    """A later record of a hook replaces the one before it, and other hooks stay as they are."""
    table = _table(
        record_of(0, HookRecord("a", 1, definition("a"))),
        record_of(1, HookRecord("b", 1, definition("b"))),
        record_of(4, HookRecord("a", 2, definition("a", name="new"))),
    )
    assert {name: (r.revision, r.definition) for name, r in table.records.items()} == {
        "a": (2, definition("a", name="new")),
        "b": (1, definition("b")),
    }
    assert table.next_offset == 5


def test_a_deleted_hook_keeps_its_revision() -> None:
    """A deleted hook has no revision, and the next one of its id goes on behind the deletion."""
    table = _table(
        record_of(0, HookRecord("a", 3, definition("a"))), record_of(1, HookRecord("a", 4, None))
    )
    assert table.revision("a") == 0
    assert table.next_revision("a") == 5


def test_a_deletion_may_come_first() -> None:
    """A deletion of a hook that the topic says nothing else about, as compaction leaves it, is
    read.
    """
    table = _table(record_of(0, HookRecord("a", 4, None)))
    assert table.revision("a") == 0
    assert table.next_revision("a") == 5
    assert table.unreadable == {}


def test_an_unknown_hook_has_no_revision() -> None:
    """A hook that the topic says nothing about has revision 0, and its first one will be 1."""
    table = LiveTable()
    assert (table.revision("a"), table.next_revision("a")) == (0, 1)


def test_a_poisoned_record_leaves_the_last_good_revision() -> None:
    """An unreadable record leaves its hook's last good revision in the table, and says why it is
    no record.
    """
    table = _table(
        record_of(0, HookRecord("a", 1, definition("a"))),
        record_of(1, HookRecord("b", 1, definition("b"))),
    )
    found = table.take(_poisoned(2))
    assert isinstance(found, UnreadableRecord)
    assert (found.hook_id, found.offset, found.message) == ("a", 2, "is no JSON object")
    assert found.hint
    assert table.revision("a") == 1
    assert set(table.unreadable) == {"a"}


def test_a_good_record_heals_a_poisoned_hook() -> None:
    """The next good record of a hook takes its poisoned one out of the table, a deletion too."""
    for newer in (HookRecord("a", 2, definition("a")), HookRecord("a", 2, None)):
        table = _table(_poisoned(0), record_of(1, newer))
        assert table.unreadable == {}


def test_a_key_that_is_no_text_is_shown() -> None:
    """A record whose key is no text, or that has none, is kept under a readable name."""
    table = _table(_poisoned(0, key=b"\xff"), _poisoned(1, key=None))
    assert set(table.unreadable) == {r"\xff", ""}


def test_a_cleared_table_is_new() -> None:
    """A table that was cleared knows nothing of what it held."""
    table = _table(record_of(0, HookRecord("a", 1, definition("a"))), _poisoned(1, key=b"b"))
    table.clear()
    assert (table.records, table.unreadable, table.next_offset) == ({}, {}, 0)
