"""The notes of commits, and the rules that the state machine in tests/properties does not cover."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.positions import (
    EARLIEST,
    LATEST,
    Beginning,
    CommitNote,
    Committed,
    Log,
    Position,
    TopicState,
    Why,
    begin_at,
    first_time,
    next_note,
)

TOPIC = TopicState("c", "t", 3)
NOTE = CommitNote("c", "t", since=1_000, partitions=2)
OTHER = CommitNote("c", "before", since=500, partitions=2)


@given(st.builds(CommitNote, st.text(), st.text(), st.integers(0, 2**53), st.integers(1, 100_000)))
def test_a_note_is_read_as_it_was_written(note: CommitNote) -> None:
    """A commit's note is read as it was written, whatever the names of cluster and topic are."""
    assert CommitNote.read(note.text()) == note


@pytest.mark.parametrize("text", [None, "", "x", "[]", "1", "{}", '{"cluster": 1, "topic_id": 2}'])
def test_another_tools_metadata_is_no_note(text: str | None) -> None:
    """Another tool's commit metadata is no note, and its offset counts all the same."""
    assert CommitNote.read(text) is None


@given(st.text())
def test_no_metadata_raises(text: str) -> None:
    """No commit metadata raises an error."""
    CommitNote.read(text)


@pytest.mark.parametrize(
    ("note", "same"),
    [
        (NOTE, True),
        (OTHER, False),
        (CommitNote("c", "", 0, 1), True),
        (CommitNote("elsewhere", "before", 0, 1), True),
    ],
)
def test_a_topic_is_another_one_only_if_that_is_sure(note: CommitNote, *, same: bool) -> None:
    """A topic counts as made again only in the same cluster and with another known id."""
    assert note.is_of(TOPIC) is same
    assert note.is_of(TopicState("c", "", 3))


@pytest.mark.parametrize(
    ("reached", "expected"),
    [
        (None, Beginning(7, Why.NO_COMMIT)),
        (Position(5), Beginning(5, Why.GOES_ON)),
        (Position(10), Beginning(10, Why.GOES_ON)),
        (Position(20), Beginning(20, Why.GOES_ON)),
        (Position(4), Beginning(5, Why.LOG_BEGINS_LATER, 1)),
        (Position(21), Beginning(5, Why.LOG_ENDS_EARLIER, 1)),
        (Position(10, OTHER), Beginning(5, Why.REMADE, 5)),
        (Position(10, OTHER, end=12), Beginning(5, Why.REMADE, 7)),
    ],
)
def test_the_beginning_follows_from_position_and_log(
    reached: Position | None, expected: Beginning
) -> None:
    """A position at either end of the log is valid, and one outside is set to the log's begin."""
    assert begin_at(reached, TOPIC, Log(5, 20), first=7) == expected


@pytest.mark.parametrize(
    ("start", "siblings", "time"),
    [
        (EARLIEST, [], EARLIEST),
        (LATEST, [], LATEST),
        (5_000, [], 5_000),
        (LATEST, [Committed(1, NOTE)], 1_000),
        (5_000, [Committed(1, NOTE)], 5_000),
        (EARLIEST, [Committed(1, NOTE)], EARLIEST),
        (LATEST, [Committed(1, None)], EARLIEST),
        (LATEST, [Committed(1, OTHER)], LATEST),
        (LATEST, [Committed(1, OTHER), Committed(1, NOTE)], 1_000),
    ],
)
def test_a_partition_without_a_commit_begins_by_what_is_known_of_its_group(
    start: int, siblings: list[Committed], time: int
) -> None:
    """A partition without a commit begins by what its group's other commits say, and commits of an
    earlier topic of that name say nothing.
    """
    assert first_time(start, 1, TOPIC, siblings) == time


@pytest.mark.parametrize("start", [EARLIEST, LATEST, 5_000])
def test_a_partition_that_was_added_is_read_from_its_first_record(start: int) -> None:
    """A partition that was added after the group began is read from its first record."""
    assert first_time(start, 2, TOPIC, [Committed(1, NOTE)]) == EARLIEST


def test_a_note_keeps_when_the_group_began() -> None:
    """A note keeps when the group began as long as the topic is the same, and takes the ids of
    another cluster.
    """
    new = CommitNote("c", "t", since=9_000, partitions=3)
    assert next_note(None, TOPIC, [], now=9.0) == new
    assert next_note(None, TOPIC, [Committed(1, NOTE)], now=9.0) == NOTE
    assert next_note(Position(1, NOTE), TOPIC, [], now=9.0) == NOTE
    assert next_note(Position(1, OTHER), TOPIC, [], now=9.0) == new
    moved = next_note(Position(1, NOTE), TopicState("d", "u", 3), [], now=9.0)
    assert moved == CommitNote("d", "u", since=1_000, partitions=2)
