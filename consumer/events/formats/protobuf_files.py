"""Protobuf's files as a registry holds them, in a pool of their own."""

from base64 import b64decode
from collections.abc import Mapping
from importlib import import_module
from typing import Final

from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)
from google.protobuf.descriptor_pool import DescriptorPool

from consumer.records.record import UndecodableError

DECIMAL: Final = "confluent.type.Decimal"
_DECIMAL_FILE: Final = "confluent/type/decimal.proto"
"""Confluent's, which no registry has a reference for."""
_LIBRARIES: Final = ("google/protobuf/", "google/type/")
_MAIN: Final = "hookstream/main.proto"


def pool_of(text: str, references: Mapping[str, str]) -> tuple[DescriptorPool, FileDescriptorProto]:
    """The types of a serialized file, and of all that it imports: of `references`, by their names,
    or of the libraries here.

    Raises:
        UndecodableError: it is no such file, or imports what is not here.
    """
    main = _parsed(text)
    main.name = _MAIN
    files = {name: _parsed(each) for name, each in references.items()}
    pool = DescriptorPool()
    added: set[str] = set()
    for name, file in files.items():
        file.name = name
    for file in (*files.values(), main):
        _add(pool, file, files, added)
    return pool, main


def _parsed(text: str) -> FileDescriptorProto:
    try:
        return FileDescriptorProto.FromString(b64decode(text, validate=True))
    except Exception:  # noqa: BLE001  # of many kinds
        raise UndecodableError(
            "its schema is no serialized file of Protobuf: the registry has to answer "
            "format=serialized"
        ) from None


def _add(
    pool: DescriptorPool,
    file: FileDescriptorProto,
    files: Mapping[str, FileDescriptorProto],
    added: set[str],
) -> None:
    if file.name in added:
        return
    added.add(file.name)
    there, missing = [], []
    for name in file.dependency:
        imported = files.get(name) or _library_file(name)
        if imported is None:
            missing.append(name)
            continue
        _add(pool, imported, files, added)
        there.append(name)
    if missing:  # its options are the only thing that most import Confluent's own files for
        file = _without(file, there)
    try:
        pool.AddSerializedFile(file.SerializeToString())
    except Exception:  # noqa: BLE001  # of many kinds
        why = f"it imports {missing[0]}, which is not there" if missing else "it has a mistake"
        raise UndecodableError(f"its schema's file cannot be used: {why}") from None


def _without(file: FileDescriptorProto, dependencies: list[str]) -> FileDescriptorProto:
    """A copy with these dependencies only."""
    copy = FileDescriptorProto()
    copy.CopyFrom(file)
    public = {file.dependency[index] for index in file.public_dependency}
    for name in ("dependency", "public_dependency", "weak_dependency", "option_dependency"):
        if name in copy.DESCRIPTOR.fields_by_name:
            copy.ClearField(name)  # one is of newer versions
    copy.dependency.extend(dependencies)
    copy.public_dependency.extend(
        index for index, name in enumerate(dependencies) if name in public
    )
    return copy


def _library_file(name: str) -> FileDescriptorProto | None:
    """A file that comes with the libraries: `google/protobuf/timestamp.proto`, and with
    `googleapis-common-protos` also `google/type/money.proto`.
    """
    if name == _DECIMAL_FILE:
        return decimal_file()
    stem = name.removesuffix(".proto")
    parts = stem.split("/")
    if not stem.startswith(_LIBRARIES) or not all(part.isidentifier() for part in parts):
        return None
    try:
        module = import_module(f"{'.'.join(parts)}_pb2")
    except ImportError:
        return None
    file = FileDescriptorProto()
    module.DESCRIPTOR.CopyToProto(file)
    return file


def decimal_file() -> FileDescriptorProto:
    """The file of `confluent.type.Decimal`."""
    kinds = FieldDescriptorProto
    fields = [
        FieldDescriptorProto(name=name, number=number, type=kind, label=kinds.LABEL_OPTIONAL)
        for number, (name, kind) in enumerate(
            [
                ("value", kinds.TYPE_BYTES),
                ("precision", kinds.TYPE_UINT32),
                ("scale", kinds.TYPE_INT32),
            ],
            1,
        )
    ]
    return FileDescriptorProto(
        name=_DECIMAL_FILE,
        package="confluent.type",
        syntax="proto3",
        message_type=[DescriptorProto(name="Decimal", field=fields)],
    )
