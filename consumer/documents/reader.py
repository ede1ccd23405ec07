"""From a file to its documents."""

import re
from collections.abc import Iterator
from pathlib import Path
from stat import S_ISREG

from consumer.documents.files import files
from consumer.documents.json_reader import read_json
from consumer.documents.tree import Document
from consumer.documents.yaml_reader import read_yaml
from consumer.errors import InvalidValue

MAX_FILE_BYTES = 4 * 1024 * 1024
"""Some 6,500 hooks. A file is decoded and freed as a whole, which keeps the interpreter from
deliveries (ARCHITECTURE.md#loading-hooks)."""

_ESCAPED = re.compile(r"[\udc80-\udcff]")  # what `surrogateescape` makes of a byte that is no text


def read_documents(file: Path) -> Iterator[Document]:
    """The documents of a `.json` file, or of a YAML file of any other name.

    Raises:
        InvalidValue: with the line if one is known, after the documents before the error.
    """
    try:
        with files().open(file) as stream:
            text = _text(stream.read(MAX_FILE_BYTES + 1))
            yield from (read_json if file.suffix.lower() == ".json" else read_yaml)(text)
    except OSError as error:
        raise unreadable(error) from None


def _text(raw: bytes) -> str:
    if len(raw) > MAX_FILE_BYTES:
        limit = f"{MAX_FILE_BYTES // 1024**2} MiB"
        raise InvalidValue(f"is larger than {limit}", "split it into several files")
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = raw.decode(errors="surrogateescape")
        line = 1 + _ESCAPED.split(text, maxsplit=1)[0].count("\n")
        raise InvalidValue("is not UTF-8", "save the file as UTF-8", line=line) from None


def is_regular_file(file: Path) -> bool:
    """Whether `file`, links followed, is there and neither a folder nor a pipe nor a device."""
    return S_ISREG(files().mode(file))


def unreadable(error: OSError | RuntimeError | ValueError) -> InvalidValue:
    """Why a file cannot be opened, as a sentence without its name. RuntimeError: links in a
    circle, before Python 3.13; ValueError: a name with a null character.
    """
    reason = (getattr(error, "strerror", None) or "the name leads to no file").lower()
    return InvalidValue(reason, "check that the file is there and that this user may read it")
