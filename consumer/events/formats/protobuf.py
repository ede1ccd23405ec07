"""Protobuf, by Google's library. docs/reference/events.md#protobuf says what values become.

Their own `MessageToDict` takes some twenty times as long.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.descriptor_pb2 import DescriptorProto, FileDescriptorProto
from google.protobuf.empty_pb2 import Empty
from google.protobuf.message_factory import GetMessageClass

from consumer.events.formats.floats import double, single
from consumer.events.formats.message_indexes import read_indexes
from consumer.events.formats.protobuf_files import pool_of
from consumer.events.formats.protobuf_sizes import MAX_MEMORY_BYTES, memory_per_byte
from consumer.events.formats.protobuf_values import (
    SPECIAL,
    Convert,
    base64_text,
    checked_text,
    key_text,
)
from consumer.events.formats.protobuf_well_known import is_well_known
from consumer.events.formats.schemas import SchemaKind, WrittenSchema
from consumer.records.record import UndecodableError

MAX_COST: Final = 300_000
"""Fields that are looked at for one value: they take less than a tenth of a second."""

_COPIED: Final = itemgetter(slice(None))
"""Makes a list of a repeated field in half of the time that `list` takes. Maps are read by their
keys, since their `items` is a generator in Python.
"""
_TAKEN: Final = frozenset(dir(Empty))
"""Names of which a message gives something else than the field."""


class ProtobufReader:
    """Reads messages of one file."""

    kind: SchemaKind = "PROTOBUF"

    def __init__(self, written: WrittenSchema) -> None:
        """Raises `UndecodableError`: it is no file, or cannot be used."""
        self._types: dict[tuple[int, ...], tuple[Callable[[bytes], Any], Convert]] = {}
        self._trees = _Trees()
        self._pool, file = pool_of(written.text, dict(written.references))
        # All now, in a thread: the plans of many types take long.
        try:
            self._add_types(file.message_type, f"{file.package}." if file.package else "", ())
            self._trees.plan()
        except RecursionError:  # the library goes from type to type
            raise UndecodableError("its schema's types are too deep in each other") from None
        rate = self._trees.memory_per_byte
        self._most_bytes = MAX_MEMORY_BYTES / rate if rate else float("inf")

    def __call__(self, value: bytes, start: int, suffix: bytes | None) -> dict[str, Any]:
        """See `SchemaReader`. The indexes of the message follow the schema's id."""
        indexes, end = read_indexes(value, start) if suffix is None else read_indexes(suffix, 0)
        known = self._types.get(indexes)
        if known is None:
            raise UndecodableError("the value names a message that its schema does not have")
        data = value[end if suffix is None else 0 :]
        if len(data) > self._most_bytes:
            raise UndecodableError(
                "the value is too long: by its schema it may take more memory than a value gets"
            )
        parse, convert = known
        self._trees.left = MAX_COST
        try:
            tree = convert(parse(data))
        except UndecodableError:
            raise
        except Exception:  # noqa: BLE001  # of many kinds
            raise UndecodableError("the value does not fit its Protobuf schema") from None
        if type(tree) is not dict:
            raise UndecodableError("the Protobuf message is no object in JSON")
        return tree

    def _add_types(
        self, messages: Sequence[DescriptorProto], scope: str, above: tuple[int, ...]
    ) -> None:
        """Say how each type is parsed, and becomes a tree."""
        for index, message in enumerate(messages):
            if message.options.map_entry:
                continue
            name, indexes = scope + message.name, (*above, index)
            descriptor = self._pool.FindMessageTypeByName(name)
            parse = GetMessageClass(descriptor).FromString
            self._types[indexes] = parse, self._trees.of(descriptor)
            self._add_types(message.nested_type, f"{name}.", indexes)


class _Trees:
    """Makes trees of messages, by a plan for each type."""

    def __init__(self) -> None:
        self.left = 0
        """Of `MAX_COST`; nothing else is read meanwhile."""
        self.memory_per_byte = 0.0
        """The most that a byte of a value may take, in bytes."""
        self._plans: dict[str, _Plan] = {}
        self._checked: dict[str, bool] = {}
        self._unfilled: list[tuple[_Plan, Descriptor]] = []

    def plan(self) -> None:
        """Plan all types that can be reached: not one within another, of which a schema may have
        thousands.
        """
        while self._unfilled:
            plan, descriptor = self._unfilled.pop()
            plan.fill(descriptor)
            self.memory_per_byte = max(self.memory_per_byte, memory_per_byte(descriptor))

    def of(self, descriptor: Descriptor) -> Convert:
        """What makes a tree of a message."""
        name = descriptor.full_name
        if is_well_known(descriptor):
            return self._well_known(name)
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _Plan(self)
            self._unfilled.append((plan, descriptor))
        return plan

    def _well_known(self, name: str) -> Convert:
        match name:
            case "google.protobuf.Struct":
                return self._struct
            case "google.protobuf.ListValue":
                return self._list
            case "google.protobuf.Value":
                return self._value
            case _:
                return self._counted(SPECIAL[name])

    def spend(self, cost: int) -> None:
        """Count fields. Raises `UndecodableError` for too many."""
        self.left -= cost
        if self.left < 0:
            raise UndecodableError(f"the value has more than {MAX_COST} parts")

    def field(self, field: FieldDescriptor) -> Convert | None:
        """What makes a field's value; None: it is as it should be."""
        if not field.is_repeated:
            return self._single(field)
        entry = field.message_type
        if entry is not None and entry.GetOptions().map_entry:
            return self._map(entry)
        convert = self._single(field)
        if convert is None:
            return _COPIED

        def each(values: Any) -> list[Any]:
            self.spend(len(values))
            return [convert(value) for value in values]

        return each

    def _single(self, field: FieldDescriptor) -> Convert | None:
        if field.message_type is not None:
            return self.of(field.message_type)
        if field.enum_type is not None:
            names = {number: one.name for number, one in field.enum_type.values_by_number.items()}
            return lambda number: names.get(number, number)
        if field.type == FieldDescriptor.TYPE_BYTES:
            return base64_text
        if field.type == FieldDescriptor.TYPE_STRING and not self._is_checked(
            field.containing_type
        ):
            return checked_text
        if field.type == FieldDescriptor.TYPE_FLOAT:
            return single
        return double if field.type == FieldDescriptor.TYPE_DOUBLE else None

    def _is_checked(self, message: Descriptor | None) -> bool:
        """Whether the library refuses a text of this type that is no UTF-8: it does in proto3."""
        if message is None:
            return False
        file = message.file
        known = self._checked.get(file.name)
        if known is None:
            copy = FileDescriptorProto()
            file.CopyToProto(copy)
            known = self._checked[file.name] = copy.syntax == "proto3"
        return known

    def _map(self, entry: Descriptor) -> Convert:
        key = entry.fields_by_name["key"]
        convert = self._single(entry.fields_by_name["value"])
        is_text = key.type == FieldDescriptor.TYPE_STRING
        if convert is None and is_text and self._is_checked(entry):
            return lambda values: {key: values[key] for key in values}

        def mapped(values: Mapping[Any, Any]) -> dict[str, Any]:
            self.spend(len(values))
            return {
                key_text(key): values[key] if convert is None else convert(values[key])
                for key in values
            }

        return mapped

    def _counted(self, convert: Convert) -> Convert:
        def counted(message: Any) -> Any:
            self.spend(3)
            return convert(message)

        return counted

    def _struct(self, message: Any) -> dict[str, Any]:
        self.spend(1 + len(message.fields))
        return {name: self._value(value) for name, value in message.fields.items()}

    def _list(self, message: Any) -> list[Any]:
        self.spend(1 + len(message.values))
        return [self._value(value) for value in message.values]

    def _value(self, message: Any) -> Any:
        match message.WhichOneof("kind"):
            case "struct_value":
                return self._struct(message.struct_value)
            case "list_value":
                return self._list(message.list_value)
            case "number_value":
                return double(message.number_value)
            case None | "null_value":
                return None
            case name:
                return checked_text(getattr(message, name))


class _Plan:
    """Makes the trees of one type of messages."""

    def __init__(self, trees: _Trees) -> None:
        self._trees = trees
        self._fields: list[tuple[str, bool, Convert | None]] = []
        """Name, whether it has presence, and what makes its value, if it is not as it should be."""
        self._has_field: Callable[[Any, str], bool]
        """The method: the library looks for a field of that name if a message is asked for it."""
        self._cost = 1

    def fill(self, descriptor: Descriptor) -> None:
        """Plan the fields of a type, which may hold itself."""
        for field in descriptor.fields:
            if field.name in _TAKEN:
                raise UndecodableError(
                    f"its schema's field {field.name} has a name of Protobuf's library"
                )
            self._fields.append((field.name, field.has_presence, self._trees.field(field)))
        self._cost += len(descriptor.fields)
        self._has_field = GetMessageClass(descriptor).HasField

    def __call__(self, message: Any) -> dict[str, Any]:
        trees = self._trees
        trees.left -= self._cost
        if trees.left < 0:
            trees.spend(0)
        has_field, tree = self._has_field, {}
        for name, has_presence, convert in self._fields:
            if has_presence and not has_field(message, name):
                continue
            value = getattr(message, name)
            tree[name] = value if convert is None else convert(value)
        return tree
