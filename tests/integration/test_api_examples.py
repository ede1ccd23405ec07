"""The examples of docs/reference/api.md, sent to a panel."""

import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson
import pytest

from consumer.panel.panel import Panel
from support.command import write_config
from support.panel import Client, running_panel, token_entries
from support.project import ROOT
from support.receiver import Receiver, response

PAGE = (ROOT / "docs/reference/api.md").read_text().partition("## Examples\n")[2]
ORIGIN = "https://shop.example.com"
"""Stands on the page for the receiver's address."""
_EXAMPLE = re.compile(
    r"### `POST (/api/v1/\S+)`\n.*?```json\n(.*?)```\n\nThe answer, (\d+):\n\n```json\n(.*?)```",
    re.DOTALL,
)
_VARIES = re.compile(r"(?<=webhook-timestamp: )\d+|(?<=user-agent: hookstream/)[\w.+-]+")


class _Example(NamedTuple):
    path: str
    request: str
    status: int
    answer: str


def _examples() -> list[_Example]:
    found = _EXAMPLE.findall(PAGE)
    return [_Example(path, body, int(status), answer) for path, body, status, answer in found]


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver(otherwise=lambda _: response(body=b"ok")) as receiver:
        yield receiver


@pytest.fixture
async def panel(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Panel]:
    """A panel with the page's hook in a file."""
    hook = PAGE.partition("```json\n")[2].partition("```")[0].replace(ORIGIN, receiver.origin)
    sections = {"panel": {"port": 0, "tokens": token_entries()}}
    write_config(tmp_path, orjson.loads(hook), **sections)
    async with running_panel(tmp_path / "config" / "hookstream.yaml") as panel:
        yield panel


def _comparable(answer: str) -> Any:
    """An answer without what differs from one run to the next: of times only which there are."""
    found = orjson.loads(_VARIES.sub("-", answer))
    if "ms" in found:
        found["ms"] = sorted(found["ms"])
    return found


async def test_the_examples_of_the_page_are_what_a_panel_answers(
    panel: Panel, receiver: Receiver
) -> None:
    """A person who copies a request of the page gets the answer that stands below it."""
    client, examples = Client(panel.url), _examples()
    assert {one.path.removeprefix("/api/v1/") for one in examples} == {
        "hooks:check", "hooks:sample", "hooks:test", "explain",
    }  # fmt: skip
    for example in examples:
        request = orjson.loads(example.request.replace(ORIGIN, receiver.origin))
        reply = await client("POST", example.path, request)
        answer = reply.body.decode().replace(receiver.origin, ORIGIN)
        assert reply.status == example.status, example.path
        assert _comparable(answer) == _comparable(example.answer)
