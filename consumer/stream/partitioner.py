"""Which partition a record goes to: as Java's client decides, so that it is the same for both, as
long as that partition takes records.
"""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

RUN: Final = 32
"""Records without a key that go to one partition in a row."""
_SEED: Final = 0x9747B28C
_MIX: Final = 0x5BD1E995
_BITS: Final = 0xFFFFFFFF


class Keyed(Protocol):
    """What goes to a partition."""

    @property
    def key(self) -> bytes | None:
        """Records of one key go to one partition."""
        ...

    @property
    def spread(self) -> bool:
        """Whether the record goes to any partition, as if it had no key."""
        ...


KeyedT = TypeVar("KeyedT", bound=Keyed)


def by_partition(
    records: Sequence[KeyedT],
    partitions: Sequence[int],
    usable: Sequence[int],
    *,
    turn: int,
    may_move: bool,
) -> dict[int, list[KeyedT]]:
    """They in their order, for each partition.

    `partitions` of the topic in the order of their numbers; `usable`: those that take records now.
    Records without a key take turns at the usable ones, or at all if there is none: `RUN` after
    `RUN` of them, from the `turn`th one on. So few records make one batch, and many are spread (as
    KIP-480 has it). Records of one key go together: to the key's partition, or to a usable one in
    its place if they `may_move`.
    """
    turns = usable or partitions
    takes = frozenset(turns)
    keyless = turn * RUN
    found: defaultdict[int, list[KeyedT]] = defaultdict(list)
    for record in records:
        key = record.key
        if key is None or record.spread:
            found[turns[keyless // RUN % len(turns)]].append(record)
            keyless += 1
            continue
        number = murmur2(key) & 0x7FFFFFFF
        home = partitions[number % len(partitions)]
        moves = may_move and home not in takes
        found[turns[number % len(turns)] if moves else home].append(record)
    return found


def murmur2(data: bytes) -> int:
    """MurmurHash2 of 32 bits with the seed of Kafka's `Utils.murmur2`.

    aiokafka has it too; interpreted, a key's hash would cost as much as the rest of a hand-over.
    """
    whole = len(data) & ~3
    found = _SEED ^ len(data)
    for at in range(0, whole, 4):
        word = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
        word = word * _MIX & _BITS
        word = (word ^ word >> 24) * _MIX & _BITS
        found = found * _MIX & _BITS ^ word
    if whole < len(data):
        for at in range(whole, len(data)):
            found ^= data[at] << 8 * (at - whole)
        found = found * _MIX & _BITS
    found = (found ^ found >> 13) * _MIX & _BITS
    return found ^ found >> 15
