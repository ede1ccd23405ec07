"""The JSON reader gives each value its line."""

import sys
from typing import Any

import pytest

from consumer.documents.json_reader import read_json
from consumer.documents.tree import DocumentPath
from consumer.errors import InvalidValue


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        (" \n", []),
        ("[]", []),
        ('\n{"a": 1}\n', [({"a": "1"}, 2)]),
        ('[\n{"a": 7.5e1}\n]', [({"a": "7.5e1"}, 2)]),
        ('[{"a": true},\n\n{"b": null}, "c"]', [({"a": True}, 1), ({"b": None}, 3), ("c", 3)]),
        ('{"a": "\\ud83d\\ude00", "b": [[], {}]}', [({"a": "😀", "b": [[], {}]}, 1)]),
        ('{\t"a":\t1}', [({"a": "1"}, 1)]),
        ("[12,\n 345]", [("12", 1), ("345", 2)]),
        ("[1.5, 2e+10, 0]", [("1.5", 1), ("2e+10", 1), ("0", 1)]),
        ("6789", [("6789", 1)]),
    ],
)
def test_an_object_or_the_items_of_an_array(text: str, expected: list[tuple[Any, int]]) -> None:
    """A JSON file holds one object or an array of them, and numbers keep their spelling."""
    found = read_json(text)
    assert [(document.data, document.line) for document in found] == expected


SAMPLE = """[{"id": "first"},
 {
  "id": "x{[,]}",
  "list": [1,
    {"k\\u0065y": [
       2,
       3]}],
  "last": {}
 },
 {"id": "third"}]"""


@pytest.mark.parametrize(
    ("path", "line"),
    [
        ((), 2),
        (("id",), 3),
        (("list",), 4),
        (("list", 0), 4),
        (("list", 1), 5),
        (("list", 1, "key"), 5),
        (("list", 1, "key", 0), 6),
        (("list", 1, "key", 1), 7),
        (("list", 1, "missing"), 5),
        (("list", 9), 4),
        (("last",), 8),
        (("missing",), 2),
    ],
)
def test_every_value_has_its_line(path: DocumentPath, line: int) -> None:
    """Every JSON value has its line, and an absent one the line of the nearest value around it."""
    document = list(read_json(SAMPLE))[1]
    assert document.locate(path) == line


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('{"id": 1,\n"uri": 2}', 2),
        ('{"a": "uri",\n"uri": 2}', 2),
        ('{"a": {"uri": 1},\n"uri": 2}', 2),
        ('{"a": "say \\"uri",\n"uri": 2}', 2),
        ('{"a": "uri",\n"\\u0075ri": 2}', 2),
        ('[{"uri": 0},\n{"id": 1,\n"uri": 2}, {"uri": 0}]', 3),
        ('{"id": 1,\n"a": ["uri"]}', 1),
    ],
)
def test_a_key_is_not_mistaken_for_what_looks_like_it(text: str, line: int) -> None:
    """A key is told apart from equal values, text inside strings, and escaped spellings."""
    found = list(read_json(text))
    document = found[len(found) // 2]
    assert document.locate(("uri",)) == line


@pytest.mark.parametrize(
    ("text", "line", "message"),
    [
        ('{"a": 1,\n "a": 2}', 2, "`a` is already given in line 1"),
        ('[{"a": {"b": 1}},\n{"a": {"b": 1,\n"b": 2}}]', 3, "`b` is already given in line 2"),
        # From 3.13 on Python names the comma, not what follows it.
        ('{"a": 1,\n}', 1 if sys.version_info >= (3, 13) else 2, "is not JSON"),
        ("[1,]", 1, "is not JSON"),
        ("[1\n2]", 2, "expecting ',' or ']'"),
        ("[", 1, "is not JSON"),
        ('{"a": 1}\n{"b": 1}', 2, "more text follows"),
        ("[1]\n]", 2, "more text follows"),
        ("{'a': 1}", 1, "is not JSON"),
        ("NaN", 1, "NaN is not JSON"),
        ("[" * 100_000, 1, "is not JSON"),
        ('{"a":' * 100_000, 1, "is not JSON"),
        ('{"a": [1,\n"\\ud800"]}', 2, "half a surrogate pair"),
        ('{"a":\n{"\\udfff": 1}}', 1, "half a surrogate pair"),
    ],
)
def test_what_cannot_be_read_is_refused_with_its_line(text: str, line: int, message: str) -> None:
    """Repeated keys, excessive nesting, broken syntax and text that is no UTF-8 are refused with
    their line.
    """
    with pytest.raises(InvalidValue, match=message) as caught:
        list(read_json(text))
    assert caught.value.line == line
