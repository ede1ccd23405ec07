"""What the short way through plain YAML reads is what YAML says: libyaml makes the same of it."""

from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from consumer.documents.tree import Document, DocumentPath
from consumer.documents.yaml_block import PlainBlock
from consumer.documents.yaml_reader import _composed, read_yaml
from consumer.errors import InvalidValue

# Lines that may belong together, such as are only almost in the plain form, and noise.
indents = st.sampled_from(["", "", "", "  ", "  ", "    ", " ", "   "])
LINES = [
    *"""a: x
a:
b: 1
b:
c: x y
- x
- a: x
- b:
-   a: 1
-
- - x
"a": x
a: "q # r"
a: 'it''s'
a: 'x'#y
a: "\\n"
'q'
# note
a: # note
a: x # note
a: x#y
a: #x
a:x
a: b: c
a: b:c
a: x:
- a:b
a: ~
a: null
a: ''
a: ""
- ~
a: -1
a: - 1
a: --
a: [x, y]
a: {b: x}
a: ?
- ? a
: a
a: &x y
a: *x
a: !x y
a: |
a: x | y
a: >-
a: %x
a: @x
x
é: ü
a: é ü
a: http://x.example:8/{y}?z=[1]&q='r'
...
---
--- a
---a
%YAML 1.2
a: x ---
a: , x
a: x, y
null: x
~: x
a.b-c: x
a: ...
a: $x
a: (x)""".splitlines(),
    *["", "", "\t", "- ", "a: ", "--- ", "a: x\ty", "a: x\x01", "\x85", "\u2028", "\ufeff"],
    *["a" * 101 + ": x", "a" * 1025 + ": x", "a: " + "x" * 2000],
]
contents = st.sampled_from(LINES)
ends = st.sampled_from(["\n"] * 8 + ["\r\n", "\r", " \n"])
texts = st.lists(st.tuples(indents, contents, ends).map("".join), max_size=8).map("".join)
few = st.sampled_from(["a:", "b:", "c: x", "d: ''", "- x", "- a: x", "- b:", "# note"])
nested = st.lists(
    st.builds(lambda indent, line: " " * indent + line + "\n", st.integers(0, 4), few), max_size=8
).map("".join)
noise = st.text(st.sampled_from("ab-: \n#'\"~?|"), max_size=20)


def places_of(value: Any, place: DocumentPath = ()) -> Iterator[DocumentPath]:
    """Every place in a value."""
    yield place
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from places_of(inner, (*place, key))
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from places_of(inner, (*place, index))


def outcome(documents: Iterator[Document]) -> tuple[list[Any], int]:
    """Values with all of their lines, and the line of what ended them, 0 where nothing did."""
    found: list[Any] = []
    try:
        for document in documents:
            lines = [document.locate(place) for place in places_of(document.data)]
            found.append((document.data, document.line, lines))
    except InvalidValue as invalid:
        return found, invalid.line
    return found, 0


@settings(deadline=None, max_examples=2_000)
@given(text=texts | nested | noise)
def test_a_text_means_what_libyaml_says(text: str) -> None:
    """Documents, lines and refusals equal libyaml's, whichever reader each document took."""
    # Line ends to libyaml but to no editor, and what it refuses some documents too early.
    if not {"\x85", "\u2028", "\x01", "\ufeff"}.isdisjoint(text):
        text = text.replace("---", "")
    assert outcome(read_yaml(text)) == outcome(_composed(text, 0))


@pytest.mark.parametrize("line", LINES)
@pytest.mark.parametrize("before", ["", "k:\n  ", "- k: 1\n  ", "k: v\n  "])
def test_a_line_means_what_libyaml_says(before: str, line: str) -> None:
    """Each line means what libyaml reads, alone and below others."""
    text = f"{before}{line}\nz: 1\n"
    assert outcome(read_yaml(text)) == outcome(_composed(text, 0))


def is_plain(text: str) -> bool:
    """Whether libyaml is not asked."""
    block = PlainBlock()
    return all(block.add(line, at) for at, line in enumerate(text.splitlines(keepends=True), 1))


def test_what_programs_write_takes_the_short_way() -> None:
    """YAML as programs write it takes the fast reader, without which a hundred thousand hooks would
    load three times as slowly.
    """
    assert is_plain(
        "# ours\nid: a\nselect:\n- x-1\nuri: https://x.example/{a}?b=1\nuri_parameters:\n"
        "  a:\n    label: The code\n    default: ''\nheaders:\n  - key: X-Key\n    source: fixed\n"
        '    value: "${env:KEY}" # secret\n\nparameters: \nrate_limit:\n  per: 1s\n'
    )


def test_the_short_way_is_not_deep() -> None:
    """Deeply nested documents are left to libyaml's reader, which alone enforces the bound on
    depth.
    """
    assert is_plain("".join(f"{' ' * depth}a:\n" for depth in range(20)))
    assert not is_plain("".join(f"{' ' * depth}a:\n" for depth in range(21)))
