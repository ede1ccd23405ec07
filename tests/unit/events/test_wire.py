"""The ids of schemas in Confluent's wire format."""

import pytest

from consumer.events.formats.wire import read_schema_id
from consumer.records.record import UndecodableError


def test_the_largest_id() -> None:
    """An id is a number of 31 bits. Registries read it as Java's `Integer`, and answer a larger one
    as they answer a wrong URL: one such record would hold its partition for ever.
    """
    assert read_schema_id(b"\0\x7f\xff\xff\xff!") == (2**31 - 1, 5)
    for digits in (b"\x80\0\0\0", b"\xff\xff\xff\xff"):
        with pytest.raises(UndecodableError, match="no schema's id"):
            read_schema_id(b"\0" + digits + b"!")
