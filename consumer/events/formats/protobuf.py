"""Protobuf, by Google's library. docs/reference/events.md#protobuf says what values become.

Their own `MessageToDict` takes some twenty times as long.
"""

from base64 import b64encode
from collections.abc import Callable, Mapping, Sequence
from operator import attrgetter
from typing import Any, Final

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message_factory import GetMessageClass

from consumer.events.formats.floats import double, single
from consumer.events.formats.message_indexes import read_indexes
from consumer.events.formats.protobuf_files import DECIMAL, pool_of
from consumer.events.formats.schemas import SchemaKind, WrittenSchema
from consumer.events.formats.times import moment_text
from consumer.events.numbers import decimal_number
from consumer.records.record import UndecodableError

MAX_COST: Final = 300_000
"""Fields that are looked at for one value: they take less than a tenth of a second."""
_MAX_DECIMAL_BYTES: Final = 400
_MAX_SCALE: Final = 400

Convert = Callable[[Any], Any]


class ProtobufReader:
    """Reads messages of one file."""

    kind: SchemaKind = "PROTOBUF"

    def __init__(self, written: WrittenSchema) -> None:
        """Raises `UndecodableError`: it is no file, or cannot be used."""
        self._types: dict[tuple[int, ...], tuple[Callable[[bytes], Any], Convert]]
        self._pool, self._file = pool_of(written.text, dict(written.references))
        self._trees = _Trees()
        # All now, in a thread: the plans of many types take long.
        self._types = {(i,): self._type((i,)) for i in range(len(self._file.message_type))}

    def __call__(self, value: bytes, start: int, suffix: bytes | None) -> dict[str, Any]:
        """See `SchemaReader`. The indexes of the message follow the schema's id."""
        indexes, end = read_indexes(value, start) if suffix is None else read_indexes(suffix, 0)
        known = self._types.get(indexes)
        if known is None:
            known = self._types[indexes] = self._type(indexes)
        parse, convert = known
        try:
            message = parse(value[end if suffix is None else 0 :])
        except Exception:  # noqa: BLE001  # of many kinds
            raise UndecodableError("the value does not fit its Protobuf schema") from None
        self._trees.left = MAX_COST
        tree = convert(message)
        if type(tree) is not dict:
            raise UndecodableError("the Protobuf message is no object in JSON")
        return tree

    def _type(self, indexes: Sequence[int]) -> tuple[Callable[[bytes], Any], Convert]:
        """How a message is parsed, and becomes a tree."""
        names, messages = (
            [self._file.package] if self._file.package else [],
            self._file.message_type,
        )
        for index in indexes:
            if not 0 <= index < len(messages):
                raise UndecodableError("the value names a message that its schema does not have")
            names.append(messages[index].name)
            messages = messages[index].nested_type
        descriptor = self._pool.FindMessageTypeByName(".".join(names))
        return GetMessageClass(descriptor).FromString, self._trees.of(descriptor)


class _Trees:
    """Makes trees of messages, by a plan for each type."""

    def __init__(self) -> None:
        self.left = 0
        """Of `MAX_COST`; nothing else is read meanwhile."""
        self._plans: dict[str, _Plan] = {}

    def of(self, descriptor: Descriptor) -> Convert:
        """What makes a tree of a message."""
        name = descriptor.full_name
        special = _SPECIAL.get(name)
        if special is not None:
            return self._counted(special)
        if name == "google.protobuf.Struct":
            return self._struct
        if name == "google.protobuf.ListValue":
            return self._list
        if name == "google.protobuf.Value":
            return self._value
        plan = self._plans.get(name)
        if plan is None:
            plan = self._plans[name] = _Plan(self)
            plan.fill(descriptor)
        return plan

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
            return list

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
            return _base64
        if field.type == FieldDescriptor.TYPE_FLOAT:
            return single
        return double if field.type == FieldDescriptor.TYPE_DOUBLE else None

    def _map(self, entry: Descriptor) -> Convert:
        convert = self._single(entry.fields_by_name["value"])
        if convert is None and entry.fields_by_name["key"].type == FieldDescriptor.TYPE_STRING:
            return lambda values: dict(values.items())

        def mapped(values: Mapping[Any, Any]) -> dict[str, Any]:
            self.spend(len(values))
            return {
                _key(key): value if convert is None else convert(value)
                for key, value in values.items()
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
                return getattr(message, name)


class _Plan:
    """Makes the trees of one type of messages."""

    def __init__(self, trees: _Trees) -> None:
        self._trees = trees
        self._names: tuple[str, ...] = ()
        self._values: Callable[[Any], Any] = tuple
        self._others: list[tuple[str, bool, Convert | None]] = []
        self._cost = 1

    def fill(self, descriptor: Descriptor) -> None:
        """Plan the fields of a type, which may hold itself."""
        plain = []
        for field in descriptor.fields:
            convert = self._trees.field(field)
            if convert is None and not field.has_presence:
                plain.append(field.name)
            else:
                self._others.append((field.name, field.has_presence, convert))
        self._cost += len(descriptor.fields)
        if plain:
            getter: Callable[[Any], Any] = attrgetter(*plain)
            self._names = tuple(plain)
            self._values = getter if len(plain) > 1 else lambda message: (getter(message),)

    def __call__(self, message: Any) -> dict[str, Any]:
        trees = self._trees
        trees.left -= self._cost
        if trees.left < 0:
            trees.spend(0)
        tree = dict(zip(self._names, self._values(message), strict=True)) if self._names else {}
        for name, has_presence, convert in self._others:
            if has_presence and not message.HasField(name):
                continue
            value = getattr(message, name)
            tree[name] = value if convert is None else convert(value)
        return tree


def _base64(value: bytes) -> str:
    return b64encode(value).decode()


def _key(key: Any) -> str:
    """A map's key, as JSON has it."""
    if type(key) is bool:
        return "true" if key else "false"
    return str(key)


def _timestamp(message: Any) -> str | int:
    try:
        return moment_text(message.seconds, message.nanos, 9, "Z")
    except (OverflowError, ValueError):
        return int(message.seconds)


def _duration(message: Any) -> str:
    """Seconds with a sign and as few of nine digits as it needs (JSON mapping)."""
    nanos = message.seconds * 1_000_000_000 + message.nanos
    seconds, fraction = divmod(abs(nanos), 1_000_000_000)
    digits = f".{fraction:09d}" if fraction else ""
    while digits.endswith("000"):
        digits = digits[:-3]
    return f"{'-' if nanos < 0 else ''}{seconds}{digits}s"


def _decimal(message: Any) -> Any:
    if len(message.value) > _MAX_DECIMAL_BYTES or not 0 <= message.scale <= _MAX_SCALE:
        raise UndecodableError(f"a decimal has more than {_MAX_DECIMAL_BYTES} bytes")
    return decimal_number(int.from_bytes(message.value, "big", signed=True), message.scale)


def _wrapped(convert: Convert | None) -> Convert:
    return lambda message: message.value if convert is None else convert(message.value)


_SPECIAL: Final[Mapping[str, Convert]] = {
    "google.protobuf.Timestamp": _timestamp,
    "google.protobuf.Duration": _duration,
    "google.protobuf.DoubleValue": _wrapped(double),
    "google.protobuf.FloatValue": _wrapped(single),
    "google.protobuf.BytesValue": _wrapped(_base64),
    **{
        f"google.protobuf.{name}Value": _wrapped(None)
        for name in ("Int64", "UInt64", "Int32", "UInt32", "Bool", "String")
    },
    DECIMAL: _decimal,
}
"""The types that have a JSON form of their own."""
