"""Chooses partitions as Java's client does, as long as the chosen partition accepts records."""

from collections import defaultdict
from collections.abc import Sequence
from typing import Final, Protocol, TypeVar

KEYLESS_RUN_RECORDS: Final = 32
"""Number of consecutive records without a key that go to one partition."""
_MURMUR_SEED: Final = 0x9747B28C
_MULTIPLIER_HIGH: Final = 0x5BD1
_MULTIPLIER_LOW: Final = 0xE995
_UINT32_MASK: Final = 0xFFFFFFFF
_INT31_MASK: Final = 0x7FFFFFFF


class Keyed(Protocol):
    """A record to be assigned to a partition."""

    @property
    def key(self) -> bytes | None:
        """Records with the same key go to the same partition."""
        ...

    @property
    def spread(self) -> bool:
        """Whether to ignore the key for the choice of the partition."""
        ...

    @property
    def partition(self) -> int | None:
        """The partition to prefer; None if there is no preference."""
        ...

    @property
    def is_ordered(self) -> bool:
        """Whether the preferred partition is the only one that will do."""
        ...


KeyedT = TypeVar("KeyedT", bound=Keyed)


def by_partition(
    records: Sequence[KeyedT],
    partitions: Sequence[int],
    usable: Sequence[int],
    *,
    round_robin: int,
    may_move: bool,
) -> dict[int, list[KeyedT]]:
    """Divide `records` by partition, in order.

    `partitions` are all of the topic, ascending; `usable` those that accept records now. Runs of
    `KEYLESS_RUN_RECORDS` records without a key go to the usable partitions (all, if none is usable)
    in turn, from the index `round_robin` on: few records make one batch, many are spread (KIP-480).
    Records with a key go to its partition, or to a usable one instead if they `may_move`. All this
    is for records that prefer no partition, and for those whose preferred partition is not usable,
    unless they are ordered.
    """
    targets = usable or partitions
    accepting = frozenset(targets)
    keyless = round_robin * KEYLESS_RUN_RECORDS
    found: defaultdict[int, list[KeyedT]] = defaultdict(list)
    for record in records:
        preferred = record.partition
        if preferred is not None and (preferred in accepting or record.is_ordered):
            found[preferred].append(record)
            continue
        key = record.key
        if key is None or record.spread:
            found[targets[keyless // KEYLESS_RUN_RECORDS % len(targets)]].append(record)
            keyless += 1
            continue
        number = murmur2(key) & _INT31_MASK
        home = partitions[number % len(partitions)]
        moves = may_move and home not in accepting
        found[targets[number % len(targets)] if moves else home].append(record)
    return found


def partition_of(key: bytes, partitions: int) -> int:
    """The partition of records with this key, of a topic with so many."""
    return (murmur2(key) & _INT31_MASK) % partitions


def murmur2(data: bytes) -> int:
    """Compute the 32-bit MurmurHash2 with the seed of Kafka's `Utils.murmur2`.

    aiokafka's version is not compiled: a key's hash would cost as much as the rest of publishing.
    """
    whole = len(data) & ~3
    found = _MURMUR_SEED ^ len(data)
    for at in range(0, whole, 4):
        word = data[at] | data[at + 1] << 8 | data[at + 2] << 16 | data[at + 3] << 24
        word = _multiply(word)
        word = _multiply(word ^ word >> 24)
        found = _multiply(found) ^ word
    if whole < len(data):
        for at in range(whole, len(data)):
            found ^= data[at] << 8 * (at - whole)
        found = _multiply(found)
    found = _multiply(found ^ found >> 13)
    return found ^ found >> 15


def _multiply(number: int) -> int:
    """The lower 32 bits of `number` times MurmurHash2's multiplier.

    In halves of 16 bits: compiled, a product of larger factors costs a long integer.
    """
    low, high = number & 0xFFFF, number >> 16
    cross = low * _MULTIPLIER_HIGH + high * _MULTIPLIER_LOW & 0xFFFF
    return (cross << 16) + low * _MULTIPLIER_LOW & _UINT32_MASK
