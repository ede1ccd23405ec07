"""Progress of a replay against a plain set of offsets."""

from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.progress import Progress

OFFSETS = st.integers(0, 60)
STEPS = st.lists(st.tuples(OFFSETS, OFFSETS, st.integers(0, 9)), max_size=12)


def _after(steps: list[tuple[int, int, int]]) -> tuple[Progress, set[int]]:
    progress, model = Progress(), set[int]()
    for first, end, sent in steps:
        if first < end:
            progress = progress.extended(first, end, sent)
            model |= set(range(first, end))
    return progress, model


@given(STEPS, OFFSETS)
def test_progress_is_a_set_of_offsets(steps: list[tuple[int, int, int]], start: int) -> None:
    """Replay progress covers exactly the offsets that were gone through; reading begins at the
    first gap, and the committed offset lies behind all of them.
    """
    progress, model = _after(steps)
    assert {offset for offset in range(70) if progress.covers(offset)} == model
    gap = next(offset for offset in range(start, 70) if offset not in model)
    assert progress.first_unsent(start) == gap
    assert progress.offset == max(model, default=-1) + 1
    assert progress.sent == sum(sent for first, end, sent in steps if first < end)


@given(STEPS)
def test_progress_survives_being_kept(steps: list[tuple[int, int, int]]) -> None:
    """Replay progress is the same after it was committed and read back."""
    progress, _ = _after(steps)
    assert Progress.parse(progress.offset, str(progress)) == progress


@given(st.text(max_size=40), st.integers(0, 2**62))
def test_any_text_beside_an_offset_is_read(text: str, offset: int) -> None:
    """Any metadata text beside a committed offset is read, and nothing before that offset is sent
    again.
    """
    progress = Progress.parse(offset, text)
    assert progress.offset == offset
    assert progress.first_unsent(0) == offset


@given(st.lists(st.integers(0, 2**62), min_size=60, max_size=80, unique=True))
def test_progress_fits_beside_an_offset(offsets: list[int]) -> None:
    """Replay progress stays below the 4,096 bytes that Kafka takes and forgets the oldest first, so
    a dead letter may be sent twice but none is skipped.
    """
    progress = Progress()
    for offset in offsets:
        progress = progress.extended(offset, offset + 1, 1)
    assert len(str(progress)) < 4_096
    assert progress.offset == max(offsets) + 1
    assert Progress.parse(progress.offset, str(progress)) == progress
    assert all(any(first <= o < end for o in offsets) for first, end in progress.done)
