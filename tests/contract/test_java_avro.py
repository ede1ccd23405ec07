"""Avro as Apache's library for Java writes it: `support/java_avro` says how the bytes were made."""

from typing import Any

import pytest

from consumer.events.formats.compiled import compile_schema
from consumer.events.formats.schemas import WrittenSchema
from support.project import ROOT

SCHEMA = (ROOT / "tests/support/java_avro/event.avsc").read_text()
HEAD = (
    "046531f6a182e0d8c0b006dac4024830303030303030302d303030302d303030302d303030302d303030303030"
    "3030303030350400ffcdcccc3d02"
)
PLAIN = (
    "0610c3bc72c3bc6e20300430d40210c3bc72c3bc6e20310430de0010c3bc72c3bc6e20310430de0010c3bc72c3"
    "bc6e20320430e800000602610202026204027802630000"
)
BLOCKS = (
    "0210c3bc72c3bc6e20300430d40210c3bc72c3bc6e20310430de00033410c3bc72c3bc6e20310430de0010c3bc"
    "72c3bc6e20320430e80000051802610202026204027802630000"
)


def _item(number: int, following: Any = None) -> dict[str, Any]:
    return {"name": f"ürün {number}", "price": 12.5 + number / 100, "next": following}


@pytest.mark.parametrize("rest", [PLAIN, BLOCKS], ids=["in one block", "in blocks with sizes"])
def test_an_event_of_java(rest: str) -> None:
    """An event that Java's encoders wrote, of which one writes arrays and maps in blocks with their
    sizes, is decoded with all its types.
    """
    reader = compile_schema(WrittenSchema("AVRO", SCHEMA))
    assert reader(bytes.fromhex(HEAD + rest), 0, None) == {
        "id": "e1",
        "at": "2026-11-24T10:00:00.000123Z",
        "day": "2026-11-24",
        "uuid": "00000000-0000-0000-0000-000000000005",
        "raw": "AP8=",
        "rating": 0.1,
        "channel": "PUSH",
        "items": [_item(0, _item(1)), _item(1), _item(2)],
        "tags": {"a": 1, "b": "x", "c": None},
    }
