"""The examples of docs/reference/api.md."""

import re
from typing import Any, Final, NamedTuple

import orjson

from support.project import ROOT

PAGE: Final = (ROOT / "docs/reference/api.md").read_text().partition("## Examples\n")[2]
ORIGIN: Final = "https://shop.example.com"
"""Stands on the page for the receiver's address."""
OF_KAFKA: Final = ("/api/v1/hooks:replay-recent", "/api/v1/dead-letters:replay")
"""What is answered from topics."""
_EXAMPLE: Final = re.compile(
    r"### `POST (/api/v1/\S+)`\n.*?```json\n(.*?)```\n\nThe answer, (\d+):\n\n```json\n(.*?)```",
    re.DOTALL,
)
_VARIES: Final = re.compile(r"(?<=webhook-timestamp: )\d+|(?<=user-agent: hookstream/)[\w.+-]+")
_PREFIX: Final = re.compile(r"test-[\w-]+\.(?=event/)")
"""Of a test's topics."""


class Example(NamedTuple):
    """One request with its answer."""

    path: str
    request: str
    status: int
    answer: str


def examples() -> list[Example]:
    """The examples in their order."""
    found = _EXAMPLE.findall(PAGE)
    return [Example(path, body, int(status), answer) for path, body, status, answer in found]


def hook_of_the_page() -> str:
    """The definition of the hook that the examples are about, as JSON."""
    return PAGE.partition("```json\n")[2].partition("```")[0]


def comparable(answer: str) -> Any:
    """An answer without what differs from one run to the next: of times only which there are."""
    found = orjson.loads(_PREFIX.sub("", _VARIES.sub("-", answer)))
    if "ms" in found:
        found["ms"] = sorted(found["ms"])
    return found
