"""Files are read as text with lines."""

from pathlib import Path

import pytest

from consumer.documents.reader import MAX_FILE_BYTES, read_documents
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
def test_an_error_at_the_end_of_a_long_file_has_its_line(
    tmp_path: Path, end: bytes, message: str
) -> None:
    """The line of an error counts from the beginning of the file."""
    file = tmp_path / "a.yaml"
    file.write_bytes(LONG.encode() + end)
    documents = read_documents(file)
    with pytest.raises(InvalidValue, match=message) as caught:
        list(documents)
    assert caught.value.line == 40_001


@pytest.mark.parametrize("name", ["a.yaml", "a.json"])
def test_a_file_above_the_bound_is_refused_with_a_hint(tmp_path: Path, name: str) -> None:
    """A file of definitions is read and freed as a whole, so its size is bounded."""
    file = tmp_path / name
    file.write_bytes(b'"' + b"a" * (MAX_FILE_BYTES - 2) + b'"')
    assert len(list(read_documents(file))) == 1
    with file.open("ab") as stream:
        stream.write(b"\n")
    with pytest.raises(InvalidValue, match="is larger than 4 MiB") as caught:
        list(read_documents(file))
    assert caught.value.hint == "split it into several files"
