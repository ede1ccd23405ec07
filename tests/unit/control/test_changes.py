"""Conflicts between writers of live definitions: what a person is told."""

import pytest

from consumer.control.changes import Conflict, ConflictError


@pytest.mark.parametrize(
    ("conflict", "told"),
    [
        (
            Conflict("a", 2, 3, by="ayse", at="2030-01-02T03:04:05Z"),
            "hook a: revision 3 was written by ayse at 2030-01-02T03:04:05Z; you saw revision 2",
        ),
        (Conflict("a", 0, 1), "hook a: revision 1 was written; you saw none"),
        (Conflict("a", 2, 0), "hook a: revision 2 was deleted"),
    ],
)
def test_a_conflict_says_which_revision_is_newer(conflict: Conflict, told: str) -> None:
    """A conflict names the newer revision, who wrote it and when, and the one that was seen."""
    assert str(conflict) == told


def test_all_conflicts_of_a_write_are_told() -> None:
    """The error of a write has a line for each definition that has changed."""
    conflicts = [Conflict("a", 2, 3), Conflict("b", 1, 0)]
    error = ConflictError(conflicts)
    assert str(error).splitlines() == list(map(str, conflicts))
    assert error.conflicts == tuple(conflicts)
