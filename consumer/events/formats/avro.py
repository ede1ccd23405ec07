"""Avro, by fastavro: the door to it. docs/reference/events.md#avro says what values become."""

from io import BytesIO
from typing import Any, Final

import fastavro
from fastavro.read import LOGICAL_READERS

from consumer.events.formats.avro_schema import bounded
from consumer.events.formats.avro_values import MAX_CONVERSIONS, READERS, conversions
from consumer.events.formats.schemas import SchemaKind, WrittenSchema
from consumer.records.record import UndecodableError

MAX_COST: Final = 1_400_000
"""Of a value by its schema, as `avro_schema` counts it: a tenth of a second. An array of numbers
that is as long as a record may be is within it.
"""

LOGICAL_READERS.update(READERS)


class AvroReader:
    """Reads values of one schema, that they were written with; another one is not needed."""

    kind: SchemaKind = "AVRO"

    def __init__(self, written: WrittenSchema) -> None:
        """Raises `UndecodableError`: it is no schema, or beyond the bounds."""
        found = bounded(written.text, dict(written.references))
        try:
            self._schema = fastavro.parse_schema(found.schema)
        except Exception:  # noqa: BLE001  # of many kinds
            raise UndecodableError("its schema is no Avro schema") from None
        rate = found.cost_per_byte
        self._most_bytes = (MAX_COST - found.own) / rate if rate else float("inf")

    def __call__(self, value: bytes, start: int, suffix: bytes | None) -> dict[str, Any]:
        """See `SchemaReader`."""
        del suffix
        if len(value) - start > self._most_bytes:
            raise UndecodableError(
                "the value is too long: by its schema it may have more parts than are decoded"
            )
        conversions.left = MAX_CONVERSIONS
        read = BytesIO(value)
        read.seek(start)
        try:
            tree = fastavro.schemaless_reader(read, self._schema, None)
        except UndecodableError:
            raise
        except Exception:  # noqa: BLE001  # of many kinds
            raise UndecodableError("the value does not fit its Avro schema") from None
        if read.tell() != len(value):
            raise UndecodableError("the value does not end where its Avro schema says")
        if type(tree) is not dict:
            raise UndecodableError("the Avro value is neither a record nor a map")
        return tree
