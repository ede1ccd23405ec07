"""Each test says its promise: a docstring that stands alone in a report."""

import ast
import re
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import pytest

from support.project import ROOT

FOLLOWERS = ("And", "Also", "Else", "But", "Likewise", "The same", "It", "They", "As", "So is")
"""A sentence that begins with one of these needs another one in front of it."""
PRIVATE = re.compile(
    r"\b(passport|lanes?|park(s|ed|ing)?|bury|buried|mend(s|ed)?|handover|hand-overs?"
    r"|nobody|somebody|whoever|everybody)\b|(?<!dead )(?<!dead-)(?<!dead_)\bletters?\b"
)
"""Words that this project no longer uses for its things: see the glossary in ARCHITECTURE.md."""


class Promise(NamedTuple):
    """A test's place, name and docstring."""

    where: str
    name: str
    text: str


def promises() -> Iterator[Promise]:
    """All test functions of the project, methods of classes among them."""
    for path in sorted((ROOT / "tests").rglob("test_*.py")):
        for parent in ast.walk(ast.parse(path.read_text())):
            if not isinstance(parent, (ast.Module, ast.ClassDef)):
                continue  # a function inside a test is no test
            for node in parent.body:
                if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and re.match(
                    "test_", node.name
                ):
                    text = " ".join((ast.get_docstring(node) or "").split())
                    where = f"{path.relative_to(ROOT)}:{node.lineno}"
                    yield Promise(where, node.name, text)


def faults(promise: Promise) -> Sequence[str]:
    """All that keeps a docstring from being a sentence that stands alone."""
    text = promise.text
    if not text:
        return ["has no docstring"]
    found = []
    if re.match(rf"({'|'.join(FOLLOWERS)})\b", text):
        found.append("begins like the second of two sentences")
    if re.match(r"\d+\.", text):
        found.append("begins with a step, not with the promise")
    if not text.endswith("."):
        found.append("lacks its full stop")
    if re.match(r"[^.:;\d]{0,12}\.(\s|$)", text):
        found.append("is no whole sentence")
    spoken = f"{promise.name.replace('_', ' ')}. {text}".lower()
    if (word := PRIVATE.search(spoken)) is not None:
        found.append(f"has the private word {word[0]!r}")
    return found


def test_each_test_says_its_promise_in_a_sentence() -> None:
    """Each test of the project has a docstring that is a whole sentence in common words."""
    told = [f"{one.where} {one.name} {what}" for one in promises() for what in faults(one)]
    assert told == []


def test_all_tests_are_looked_at() -> None:
    """The check of docstrings finds the tests of every folder."""
    found = {one.where.split("/")[1] for one in promises()}
    assert found == {path.parent.name for path in (ROOT / "tests").glob("*/test_*.py")} | {"unit"}
    assert len(list(promises())) > 1_000


@pytest.mark.parametrize(
    ("name", "text", "fault"),
    [
        ("test_a", "", "has no docstring"),
        ("test_a", "And counted, with its delay.", "begins like the second of two sentences"),
        ("test_a", "It is committed.", "begins like the second of two sentences"),
        ("test_a", "The same holds for IPv6.", "begins like the second of two sentences"),
        ("test_a", "1. A hook fails. 2. It is logged.", "begins with a step, not with the promise"),
        ("test_a", "A record is committed", "lacks its full stop"),
        ("test_a", "Any bytes.", "is no whole sentence"),
        ("test_a", "A record is parked.", "has the private word 'parked'"),
        ("test_a_lane_is_read", "A retry topic is read.", "has the private word 'lane'"),
        ("test_a", "A letter is sent.", "has the private word 'letter'"),
    ],
)
def test_a_docstring_that_does_not_stand_alone_is_told(name: str, text: str, fault: str) -> None:
    """The check of docstrings reports each kind of fault."""
    assert faults(Promise("tests/x.py:1", name, text)) == [fault]


@pytest.mark.parametrize(
    "text",
    [
        "A dead letter is read.",
        "Items are read in order.",
        "A kill loses nothing.\n\n1. The daemon is killed. 2. It starts again.",
    ],
)
def test_a_docstring_that_stands_alone_passes(text: str) -> None:
    """The check of docstrings passes whole sentences, with steps after them too."""
    assert faults(Promise("tests/x.py:1", "test_a", text)) == []
