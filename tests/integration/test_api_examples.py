"""The examples of docs/reference/api.md that need no Kafka, sent to a panel."""

from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from consumer.panel.panel import Panel
from support.api_examples import OF_KAFKA, ORIGIN, comparable, examples, hook_of_the_page
from support.command import write_config
from support.panel import Client, running_panel, token_entries
from support.receiver import Receiver, response


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """A receiver that takes everything."""
    async with Receiver(otherwise=lambda _: response(body=b"ok")) as receiver:
        yield receiver


@pytest.fixture
async def panel(tmp_path: Path, receiver: Receiver) -> AsyncIterator[Panel]:
    """A panel with the page's hook in a file."""
    hook = hook_of_the_page().replace(ORIGIN, receiver.origin)
    sections = {"panel": {"port": 0, "tokens": token_entries()}}
    write_config(tmp_path, orjson.loads(hook), **sections)
    async with running_panel(tmp_path / "config" / "hookstream.yaml") as panel:
        yield panel


async def test_the_examples_of_the_page_are_what_a_panel_answers(
    panel: Panel, receiver: Receiver
) -> None:
    """A person who copies a request of the page gets the answer that stands below it."""
    client = Client(panel.url)
    wanted = [one for one in examples() if one.path not in OF_KAFKA]
    assert {one.path.removeprefix("/api/v1/") for one in wanted} == {
        "hooks:check", "hooks:sample", "hooks:test", "explain",
    }  # fmt: skip
    for example in wanted:
        request = orjson.loads(example.request.replace(ORIGIN, receiver.origin))
        reply = await client("POST", example.path, request)
        answer = reply.body.decode().replace(receiver.origin, ORIGIN)
        assert reply.status == example.status, example.path
        assert comparable(answer) == comparable(example.answer)
