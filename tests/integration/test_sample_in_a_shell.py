"""`sample` is exact to the byte: a shell and curl send what the daemon's transport sends."""

import asyncio
import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest

from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.request import RequestBuilder, delivery_id
from consumer.events.decode import Decoder
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from support.attempts import LOOPBACK, answer_of, trusting
from support.command import SECRETS, write_config
from support.fakes import FakeRecord
from support.receiver import Receiver

ODD = """it's "$HOME" `id` \\ ! # & | ; * ~ % {a,b} [1-3] <x>\tğüşİöçı 日本 🎉"""

HOOK: dict[str, Any] = {
    "id": "odd",
    "trigger": "push_click",
    "uri": "ORIGIN/[x]/{a}/'q'/$HOME/..a/{b}?first=[1-3]&url=http://h/../y",
    "uri_parameters": {"a": {"label": "A"}, "b": {"label": "B", "default": "~b"}},
    "headers": [
        {"key": "X-Odd", "source": "event", "value": "data.odd"},
        {"key": "X-Fixed", "source": "fixed", "value": "@file 'x' ;"},
        {"key": "x-EMPTY", "source": "event", "value": "data.none", "missing": "empty"},
        {"key": "X-Gone", "source": "event", "value": "data.none"},
        {"key": "Accept-Language", "source": "fixed", "value": "tr"},
        {"key": "X-Key", "source": "fixed", "value": "${env:ANALYTICS_KEY}"},
    ],
    "parameters": [
        {"key": "a", "source": "event", "value": "data.odd"},
        {"key": "odd key", "source": "event", "value": "data"},
        {"key": "lines", "source": "event", "value": "data.lines"},
        {"key": "none", "source": "event", "value": "data.none", "missing": "empty"},
    ],
    "signing_secrets": ["${env:CLICK_SECRET}"],
}
EVENT: dict[str, Any] = {
    "id": "e.1/ğ",
    "data": {"odd": ODD, "lines": "a\nb\r\nc\\\n"},
}
ACCEPT = {"key": "Accept", "source": "fixed", "value": "application/json"}


async def _shell(command: str, folder: Path) -> str:
    """Run a line as a person would; its output. Traps for curl: a proxy and a .curlrc."""
    (folder / ".curlrc").write_text('user-agent = "curlrc"\nheader = "X-Curlrc: 1"\n')
    traps = {"HOME": str(folder), "http_proxy": "http://127.0.0.1:9", **SECRETS}
    process = await asyncio.create_subprocess_exec(
        "bash", "-c", command, cwd=folder,
        env={"PATH": f"{Path(sys.executable).parent}:/usr/bin:/bin:/usr/local/bin", **traps},
        stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    output, _ = await asyncio.wait_for(process.communicate(), 30)
    assert process.returncode == 0
    return output.decode()


@pytest.mark.parametrize("more", [[], [ACCEPT]], ids=["default accept", "own accept"])
async def test_sample_is_what_the_daemon_sends(tmp_path: Path, more: list[dict[str, str]]) -> None:
    """The command that `sample` prints sends, through a real shell, the daemon's request line and
    headers in their order and bytes.
    """
    assert shutil.which("curl"), "this test needs the curl command: install curl"
    async with Receiver() as receiver:
        hook = {**HOOK, "uri": HOOK["uri"].replace("ORIGIN", receiver.origin)}
        write_config(tmp_path, {**hook, "headers": [*HOOK["headers"], *more]})
        (tmp_path / "event.json").write_text(json.dumps(EVENT))
        command = await _shell(
            f"{sys.executable} -m consumer sample odd --event event.json --reveal", tmp_path
        )
        assert "200 Whatever" in await _shell(command, tmp_path)
        await _send_as_the_daemon(tmp_path, _timestamp(receiver.requests[0]))
        by_curl, by_daemon = receiver.requests
    assert by_curl == by_daemon
    assert ODD.encode() in by_curl


def _timestamp(head: bytes) -> int:
    (line,) = [line for line in head.split(b"\r\n") if line.startswith(b"webhook-timestamp: ")]
    return int(line.split()[1])


async def _send_as_the_daemon(folder: Path, now: int) -> None:
    table = load_hooks(
        folder / "config" / "hooks", LoadContext(SecretReader(SECRETS, list(SECRETS)))
    )
    record = FakeRecord(json.dumps(EVENT).encode())
    event = Decoder("push_click")(record)
    builder = RequestBuilder(table.hooks["odd"], timeout=10, connect_timeout=10)
    transport = CurlTransport(asyncio.get_running_loop(), LOOPBACK, trusting())
    try:
        answer = await answer_of(transport, builder.build(event, delivery_id(event.id, "odd"), now))
        assert answer.status == 200
    finally:
        await transport.close()
