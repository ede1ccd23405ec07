"""Our hash of a key is the one that aiokafka and Java's client have."""

import pytest
from aiokafka.partitioner import murmur2 as aiokafkas
from hypothesis import given
from hypothesis import strategies as st

from consumer.stream.partitioner import murmur2


@given(st.binary(max_size=70))
def test_as_aiokafkas(key: bytes) -> None:
    """Our murmur2 equals aiokafka's for any bytes."""
    assert murmur2(key) == aiokafkas(key)


@pytest.mark.parametrize(
    ("key", "signed"),
    [
        (b"21", -973932308),
        (b"foobar", -790332482),
        (b"a-little-bit-long-string", -985981536),
        (b"a-little-bit-longer-string", -1486304829),
        (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971),
        (b"abc", 479470107),
    ],
)
def test_as_java(key: bytes, signed: int) -> None:
    """Our murmur2 equals Java's for the values of Kafka's `UtilsTest.testMurmur2`, signs
    included.
    """
    assert murmur2(key) == signed & 0xFFFFFFFF
