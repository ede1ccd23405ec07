"""Makes of a schema as a registry holds it one that a hostile value can do no harm with.

The result has the same binary form. Logical types become our own (`avro_values`), names are ours,
and a type that contains itself is written out to `MAX_LEVELS` levels, since fastavro reads one
level in another on the C stack. Fields that take no bytes are left out: a few bytes could hold
billions of them. `Bounded.cost_per_byte` bounds the time that a value can take.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from consumer.events.formats.avro_values import (
    BASE64,
    DECIMAL,
    FINITE,
    LOGICAL_TYPES,
    SCALE,
    TOO_DEEP,
)
from consumer.records.record import UndecodableError

MAX_LEVELS: Final = 32
"""Of a type in itself."""
MAX_DEPTH: Final = 400
"""Types in each other, with those levels written out."""
MAX_TYPES: Final = 50_000
_MAX_SCALE: Final = 400
_PRIMITIVES: Final = {
    "boolean": (1, 1.0), "int": (1, 1.0), "long": (1, 1.0), "float": (4, 6.0), "double": (8, 6.0),
    "bytes": (1, 3.0), "string": (1, 3.0),
}  # fmt: skip
"""With the least number of bytes, and the cost, its release included (measured, in units of an
integer: some 70 ns)."""
_RECORD_COST: Final = 9.0
_UNION_COST: Final = 3.0
_LIST_COST: Final = 2.0
_KEY_COST: Final = 2.5
_NAMED: Final = ("record", "error", "enum", "fixed")


@dataclass(frozen=True, slots=True)
class Bounded:
    """A type, and bounds of its values."""

    schema: Any
    """For fastavro."""
    depth: int
    bytes: int
    """The least that a value takes; 0: none takes any."""
    cost_per_byte: float
    """The most that the bytes of a value cost, beside `own`."""
    own: float
    """The most that a value costs outside of arrays and maps. Both without the conversions of
    `avro_values`, which are counted.
    """


_NOTHING: Final = Bounded("null", 1, 0, 0.0, 0.0)


def bounded(text: str, references: Mapping[str, str]) -> Bounded:
    """The schema in `text`; `references`: the texts of others by the full names of their types.

    Raises:
        UndecodableError: it is no Avro schema, or beyond the bounds.
    """
    try:
        return _Builder(references).build(orjson.loads(text), "")
    except (KeyError, TypeError, AttributeError, RecursionError, ValueError):
        raise UndecodableError("its schema is no Avro schema") from None


class _Builder:
    """Builds one schema."""

    def __init__(self, references: Mapping[str, str]) -> None:
        self._references = references
        self._declared: dict[str, Any] = {}
        """By full name: the definition and its namespace."""
        self._done: dict[tuple[str, int], Bounded] = {}
        self._open: dict[str, int] = {}
        """The types that are being built, from the outermost, with their levels."""
        self._level = 0
        self._types = 0

    def build(self, schema: Any, namespace: str) -> Bounded:
        self._types += 1
        if self._types > MAX_TYPES:
            raise UndecodableError(f"its schema has more than {MAX_TYPES} types")
        if isinstance(schema, str):
            return self._by_name(schema, {}, namespace)
        if isinstance(schema, list):
            return self._union(schema, namespace)
        match schema["type"]:
            case "record" | "error" | "enum" | "fixed":
                return self._named(self._declare(schema, namespace))
            case "array":
                return self._many("array", "items", self.build(schema["items"], namespace))
            case "map":
                return self._many("map", "values", self.build(schema["values"], namespace))
            case name:
                return self._by_name(name, schema, namespace)

    def _by_name(self, name: Any, schema: Any, namespace: str) -> Bounded:
        if not isinstance(name, str):  # {"type": {"type": ...}}
            return self.build(name, namespace)
        if name == "null":
            return _NOTHING
        if name in _PRIMITIVES:
            return _primitive(name, schema)
        full = name if "." in name or not namespace else f"{namespace}.{name}"
        for known in (full, name):
            if known not in self._declared and known in self._references:
                self._declare_all(orjson.loads(self._references[known]))
            if known in self._declared:
                return self._named(known)
        raise UndecodableError("its schema names a type that neither it nor a reference defines")

    def _declare_all(self, schema: Any) -> None:
        """Declare the type of a reference; those in it are when it is built."""
        for one in schema if isinstance(schema, list) else [schema]:
            if isinstance(one, dict) and one.get("type") in _NAMED:
                self._declare(one, "")

    def _declare(self, schema: Any, namespace: str) -> str:
        name: str = schema["name"]
        space = schema.get("namespace")
        if "." in name:
            space, _, name = name.rpartition(".")
        elif space is None:
            space = namespace
        full = f"{space}.{name}" if space else name
        self._declared[full] = schema, space
        return full

    def _named(self, name: str) -> Bounded:
        schema, namespace = self._declared[name]
        outer = self._level
        if name in self._open:
            self._level = self._open[name] + 1
        try:
            if self._level >= MAX_LEVELS:
                return Bounded({"type": "null", "logicalType": TOO_DEEP}, 1, 1, 0.0, 1.0)
            key = name, self._level
            if key not in self._done:
                own_name = f"t{len(self._done)}_{self._level}_{self._types}"
                before = self._open.get(name)
                self._open[name] = self._level
                built = self._definition(schema, namespace, own_name)
                if before is None:
                    del self._open[name]
                else:
                    self._open[name] = before
                # What takes no bytes has no name.
                again = own_name if built.bytes else built.schema
                self._done[key] = replace(built, schema=again)
                return built
            return self._done[key]
        finally:
            self._level = outer

    def _definition(self, schema: Any, namespace: str, name: str) -> Bounded:
        match schema["type"]:
            case "enum":
                made = {"type": "enum", "name": name, "symbols": [*map(str, schema["symbols"])]}
                return Bounded(made, 1, 1, 0.0, 1.0)
            case "fixed":
                return _fixed(schema, name)
            case _:
                return self._record(schema["fields"], namespace, name)

    def _record(self, fields: Any, namespace: str, name: str) -> Bounded:
        made, parts = [], []
        for field in fields:
            part = self.build(field["type"], namespace)
            if part.bytes:
                made.append({"name": str(field["name"]), "type": part.schema})
                parts.append(part)
        least = sum(part.bytes for part in parts)
        if not least:
            return _NOTHING
        rate = max(part.cost_per_byte for part in parts)
        own = _RECORD_COST + sum(part.own for part in parts)
        schema = {"type": "record", "name": name, "fields": made}
        return Bounded(schema, _deeper(*parts), least, rate, own)

    def _union(self, branches: list[Any], namespace: str) -> Bounded:
        parts = [self.build(branch, namespace) for branch in branches]
        rate = max(part.cost_per_byte for part in parts)
        own = _UNION_COST + max(part.own for part in parts)
        least = 1 + min(part.bytes for part in parts)
        return Bounded([part.schema for part in parts], _deeper(*parts), least, rate, own)

    def _many(self, kind: str, of: str, item: Bounded) -> Bounded:
        is_map = kind == "map"
        least = item.bytes + is_map
        if not least:
            raise UndecodableError("its schema has an array of what takes no bytes")
        rate = (item.own + is_map * _KEY_COST) / least + item.cost_per_byte
        return Bounded({"type": kind, of: item.schema}, _deeper(item), 1, rate, _LIST_COST)


def _primitive(name: str, schema: Any) -> Bounded:
    least, cost = _PRIMITIVES[name]
    if name == "bytes":
        return _binary({"type": "bytes"}, schema, 1)
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    ours = FINITE if name in {"float", "double"} else LOGICAL_TYPES.get((name, str(logical)))
    made = name if ours is None else {"type": name, "logicalType": ours}
    return Bounded(made, 1, least, 0.0, cost)


def _fixed(schema: Any, name: str) -> Bounded:
    size = schema["size"]
    if type(size) is not int or size < 0:
        raise TypeError
    if not size:
        return _NOTHING
    made = {"type": "fixed", "name": name, "size": size}
    ours = LOGICAL_TYPES.get(("fixed", str(schema.get("logicalType"))))
    if ours is None or size != 16:  # noqa: PLR2004  # of a UUID
        return _binary(made, schema, size)
    return Bounded({**made, "logicalType": ours}, 1, size, 0.0, 2.0)


def _binary(made: dict[str, Any], schema: Any, least: int) -> Bounded:
    """Bytes: base64, or a number if they are a decimal."""
    logical = schema.get("logicalType") if isinstance(schema, dict) else None
    scale = schema.get("scale", 0) if logical == "decimal" else None
    if type(scale) is int and 0 <= scale <= _MAX_SCALE:
        made = {**made, "logicalType": DECIMAL, SCALE: scale}
    else:
        made = {**made, "logicalType": BASE64}
    return Bounded(made, 1, least, 0.0, 2.0)


def _deeper(*parts: Bounded) -> int:
    depth = 1 + max(part.depth for part in parts)
    if depth > MAX_DEPTH:
        raise UndecodableError(f"its schema is nested deeper than {MAX_DEPTH} types")
    return depth
