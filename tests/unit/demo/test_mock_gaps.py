"""Transaction markers of the demo's embedded broker get the checksum that it leaves out."""

import struct

from aiokafka.record.memory_records import MemoryRecords

from consumer.demo.mock_gaps import with_checksums
from support.raw_batches import make_batch, seal

_CHECKSUM = slice(17, 21)
_CONTROL = 0x30
"""The attributes of a marker: of a transaction, and a control batch."""


def _marker() -> bytearray:
    batch = make_batch((struct.pack(">hh", 0, 1), bytes(6), ()))
    struct.pack_into(">h", batch, 21, _CONTROL)
    return bytearray(seal(batch))


def test_a_marker_without_a_checksum_gets_it() -> None:
    """In a fetch of records and markers each marker without a checksum becomes valid, and all other
    bytes stay, those of a batch with a wrong checksum and of one that is cut off too.
    """
    good, complete = bytes(make_batch((b"k", b"v", ()))), bytes(_marker())
    bare = bytearray(complete)
    bare[_CHECKSUM] = bytes(4)
    damaged = bytearray(good)
    damaged[_CHECKSUM] = bytes(4)
    cut = bytes(bare[:-1])
    read = with_checksums(good + bytes(bare) + bytes(damaged) + complete + cut)
    assert read == good + complete + bytes(damaged) + complete + cut
    batches = MemoryRecords(complete)
    assert batches.next_batch().validate_crc()


def test_bytes_that_are_no_batch_stay() -> None:
    """A fetch of a few bytes, or of none, stays as it is."""
    for data in (b"", b"\0" * 22, b"\xff" * 40):
        assert with_checksums(data) == data
