"""Partitions that are read backwards and merged give what sorting everything would give."""

from collections.abc import Mapping, Sequence
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.backward_merge import (
    BackwardMerge,
    Chunk,
    Item,
    Place,
    Reached,
    Span,
    next_chunk_offsets,
)

Log = Sequence[tuple[int, int, bool]]
"""Offset, timestamp, and whether it is wanted; by offset, with gaps."""


@st.composite
def logs(draw: st.DrawFn, *, ordered: bool) -> Log:
    """One partition's log; `ordered`: no timestamp is older than the one before it."""
    offsets = sorted(draw(st.sets(st.integers(0, 60), max_size=20)))
    times = draw(st.lists(st.integers(0, 9), min_size=len(offsets), max_size=len(offsets)))
    wanted = draw(st.lists(st.booleans(), min_size=len(offsets), max_size=len(offsets)))
    return list(zip(offsets, sorted(times) if ordered else times, wanted, strict=True))


def _chunk(place: Place, log: Log, low: int, high: int, kept: int) -> Chunk[int]:
    """What a reader would read of it, that may keep so many items."""
    read = [one for one in log if low <= one[0] < high]
    wanted = [one for one in read if one[2]]
    if len(wanted) > kept:
        wanted = wanted[-kept:]
        low = wanted[0][0]
        read = [one for one in read if one[0] >= low]
    return Chunk(
        low,
        [Item(place, offset, timestamp, 1, offset) for offset, timestamp, _ in wanted],
        min((timestamp for _, timestamp, _ in read), default=inf),
        len(read),
    )


def _read(
    partitions: Mapping[Place, Log], merge: BackwardMerge[int], kept: int, most: int | None = None
) -> list[tuple[int, Place, int]]:
    found: list[tuple[int, Place, int]] = []
    while most is None or len(found) < most:
        while (wanted := merge.wanted()) is not None:
            place, low, high = wanted
            assert low < high
            merge.add(place, _chunk(place, partitions[place], low, high, kept))
        item = merge.pop()
        if item is None:
            break
        found.append((item.timestamp, item.place, item.offset))
    return found


def _merge(
    partitions: Mapping[Place, Log], first: int, ends: Mapping[Place, int] | None = None
) -> BackwardMerge[int]:
    spans = {place: Span(0, (ends or {}).get(place, 61), Reached.BEGINNING) for place in partitions}
    return BackwardMerge(spans, first)


def _partitions(found: Sequence[Log]) -> dict[Place, Log]:
    return {("t", number): log for number, log in enumerate(found)}


@given(
    found=st.lists(logs(ordered=True), max_size=4), first=st.integers(1, 20), kept=st.integers(1, 9)
)
def test_the_merge_equals_sorting_everything(found: list[Log], first: int, kept: int) -> None:
    """The items of several partitions whose timestamps rise come out sorted by timestamp, place and
    offset, the newest first, each once, whatever the sizes of the chunks and the bound of memory.
    """
    partitions = _partitions(found)
    expected = sorted(
        (
            (timestamp, place, offset)
            for place, log in partitions.items()
            for offset, timestamp, wanted in log
            if wanted
        ),
        reverse=True,
    )
    merge = _merge(partitions, first)
    assert _read(partitions, merge, kept) == expected
    assert not merge.has_more


@given(
    found=st.lists(logs(ordered=False), max_size=3),
    first=st.integers(1, 20),
    kept=st.integers(1, 9),
)
def test_disorder_loses_nothing(found: list[Log], first: int, kept: int) -> None:
    """Records whose timestamps do not rise come out each once, those of a partition in the order of
    their offsets.
    """
    partitions = _partitions(found)
    read = _read(partitions, _merge(partitions, first), kept)
    for place, log in partitions.items():
        offsets = [offset for _, its, offset in read if its == place]
        assert offsets == [offset for offset, _, wanted in reversed(log) if wanted]


@given(
    found=st.lists(logs(ordered=True), min_size=1, max_size=3),
    first=st.integers(1, 20),
    pages=st.lists(st.integers(1, 5), max_size=30),
)
def test_pages_make_up_the_whole(found: list[Log], first: int, pages: list[int]) -> None:
    """A reading that goes on at the offsets where an earlier one stopped gives what one reading
    gives, and what is newer than the time that it names was given out.
    """
    partitions = _partitions(found)
    whole = _read(partitions, _merge(partitions, first), 9)
    read: list[tuple[int, Place, int]] = []
    ends: dict[Place, int] = {}
    for most in pages:
        merge = _merge(partitions, first, ends)
        read += _read(partitions, merge, 9, most)
        ends = merge.next_offsets()
        if merge.has_more:
            assert [one for one in whole if one[0] > merge.searched_to()] == [
                one for one in read if one[0] > merge.searched_to()
            ]
    read += _read(partitions, _merge(partitions, first, ends), 9)
    assert read == whole


@given(offsets=st.integers(1, 10**6), size=st.integers(0, 10**9), most=st.integers(0, 10**8))
def test_chunks_grow_and_shrink(offsets: int, size: int, most: int) -> None:
    """The next chunk is at least one offset and at most four times the one before, and would have
    no more bytes than a chunk may if its records are as large.
    """
    following = next_chunk_offsets(offsets, size, most)
    assert 1 <= following <= 4 * offsets
    assert following == 1 or following * size / offsets <= most
