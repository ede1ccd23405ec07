"""Files are read as text with lines."""

from pathlib import Path

import pytest

from consumer.documents.reader import read_documents
from consumer.errors import InvalidValue

LONG = "a: 1\n---\n" * 20_000


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
@pytest.mark.parametrize("mark", [b"", b"\xef\xbb\xbf"])
def test_a_byte_that_is_no_text_has_its_line(tmp_path: Path, name: str, mark: bytes) -> None:
    """A byte that is no UTF-8 is refused with its line, with and without a byte order mark."""
    file = tmp_path / name
    file.write_bytes(mark + '"İstanbul:\n東京:\r\n'.encode() + b'ok\xff"\n\n')
    with pytest.raises(InvalidValue, match="is not UTF-8") as caught:
        list(read_documents(file))
    assert caught.value.line == 3


@pytest.mark.parametrize(
    ("end", "message"), [(b"b: \xff", "is not UTF-8"), (b"b: \x01", "a character that YAML")]
)
def test_documents_of_a_long_file_are_read_before_its_broken_end(
    tmp_path: Path, end: bytes, message: str
) -> None:
    """Documents before the broken end of a long YAML file are read, and its errors have the lines
    of the whole file.
    """
    file = tmp_path / "a.yaml"
    file.write_bytes(LONG.encode() + end)
    documents = read_documents(file)
    assert next(documents).data == {"a": "1"}
    with pytest.raises(InvalidValue, match=message) as caught:
        list(documents)
    assert caught.value.line == 40_001
