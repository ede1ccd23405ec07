"""The YAML reader gives each value its line, without YAML 1.1's traps, and is bounded."""

from typing import Any

import pytest

from consumer.documents.tree import DocumentPath
from consumer.documents.yaml_composer import MAX_DEPTH
from consumer.documents.yaml_reader import read_yaml
from consumer.errors import InvalidValue


@pytest.mark.parametrize(
    ("scalar", "value"),
    [
        ("no", "no"),
        ("on", "on"),
        ("1:30", "1:30"),
        ("2026-11-24", "2026-11-24"),
        ("007", "007"),
        ("1e3", "1e3"),
        ("0x10", "0x10"),
        ("true", "true"),
        ("=", "="),
        ("<<", "<<"),
        ("~", None),
        ("null", None),
        ("", None),
        ('""', ""),
        ('"null"', "null"),
        ("'~'", "~"),
        ("|-\n  null", "null"),
    ],
)
def test_scalars_keep_their_authors_spelling(scalar: str, value: str | None) -> None:
    """YAML scalars keep their spelling, and only plain null is special."""
    [document] = read_yaml(f"a: {scalar}")
    assert document.data == {"a": value}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("# only a comment\n", []),
        ("---\n---\na: 1\n---\n...\n", [({"a": "1"}, 3)]),
        ("a: 1\n---\n\nb: 2\n", [({"a": "1"}, 1), ({"b": "2"}, 4)]),
        ("- a: 1\n-\n- [b, c]\n", [({"a": "1"}, 1), ("b", 3), ("c", 3)]),
        ("\ufeffa: 1", [({"a": "1"}, 1)]),
        ("a: &x {b: c}\nd: *x", [({"a": {"b": "c"}, "d": {"b": "c"}}, 1)]),
        ("&k a: 1\nb: {? *k : 2}", [({"a": "1", "b": {"a": "2"}}, 1)]),
    ],
)
def test_documents_and_items_come_in_order(text: str, expected: list[tuple[Any, int]]) -> None:
    """YAML documents come in order, empty ones are skipped, and a list stands for its items."""
    assert [(document.data, document.line) for document in read_yaml(text)] == expected


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("a",), 2),
        (("b",), 3),
        (("b", 0), 4),
        (("b", 1), 5),
        (("b", 1, "d"), 6),
        (("b", 1, "missing"), 5),
        (("b", 7), 3),
        (("missing", "deep"), 2),
        (("a", "not-a-mapping"), 2),
    ],
)
def test_every_value_has_its_line(path: DocumentPath, line: int) -> None:
    """Every YAML value has its line, and an absent one the line of the nearest value around it."""
    [document] = read_yaml("# comment\na: 1\nb:\n  - x\n  - c: 1\n    d: 2\n")
    assert document.locate(path) == line


LAUGHS = "a0: &a0 [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"a{i}: &a{i} [{','.join([f'*a{i - 1}'] * 10)}]\n" for i in range(1, 10)
)


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ("a: 1\nb: 2\na: 3", 3, "`a` is already given in line 1"),
        ("a: {b: 1,\n  b: 2}", 2, "`b` is already given in line 1"),
        ("a: 1\n\tb: 2", 2, "is not YAML"),
        ("a: 'open\n", 2, "is not YAML"),
        ("a:\n  b: [1\nc: 2", 3, "that begins in line 2"),
        ("a: 1\nb: !!python/object:os.system x", 2, "tags"),
        ("a: !!str 1", 1, "tags"),
        ("a: !x {b: 1}", 1, "tags"),
        ("a: 1\n? [b]\n: c", 2, "a key is"),
        ("a: 1\n? {b: 1}\n: c", 2, "a key is"),
        ("x: &k [1]\n? *k\n: c", 2, "a key is"),
        ("a: *b", 1, "alias"),
        ("\na: &a [*a]", 2, "alias"),
        ("a: &x 1\n---\nb: *x", 3, "alias"),
        ("a: 1\nb: \x01", 2, "character"),
        ("%YAML 3.0\n---\na: 1", 1, "is not YAML"),
        ("[" * (MAX_DEPTH + 1), 1, "nested"),
        ("- " * 100_000, 1, "nested"),
        ("[" * 100_000, 1, "nesting"),
        (LAUGHS, 5, "aliases repeat more than 100,000 values"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    """Repeated keys, tags, alias bombs and broken syntax are refused with one sentence and their
    line.
    """
    with pytest.raises(InvalidValue, match=message) as caught:
        list(read_yaml(text))
    assert caught.value.line == line


def test_documents_before_an_error_are_still_read() -> None:
    """Documents before an error are read, so that their own problems are reported with it."""
    documents = read_yaml("a: 1\n---\nb: [\n")
    assert next(documents).data == {"a": "1"}
    with pytest.raises(InvalidValue):
        next(documents)
