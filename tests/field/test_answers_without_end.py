"""Receivers whose answers have no proper end, behind a complete header block or within it."""

import ssl
from collections import Counter

import pytest
import trustme

from support.daemon import Daemon
from support.received import parse
from support.receiver import Receiver, Reply, Then, response
from support.tls import server_context
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
WHOLE = {
    "no-goodbye": Reply(HEAD + b"\r\n", Then.ABORT),
    "no-goodbye-behind-a-body": Reply(HEAD + b"\r\nthanks", Then.ABORT),
    "no-last-chunk": Reply(CHUNKED + b"6\r\nthanks\r\n", Then.ABORT),
    "short": Reply(HEAD + b"Content-Length: 100\r\n\r\nthanks", Then.CLOSE),
    "reset": Reply(CHUNKED, Then.RESET),
    "no-chunk": Reply(CHUNKED + b"thanks\r\n", Then.CLOSE),
    "drip": Reply(CHUNKED + b"fff\r\n", Then.DRIP),
    "events": Reply(HEAD + b"Content-Type: text/event-stream\r\n\r\n", Then.HANG),
}
CUT = {
    "cut-fields": Reply(HEAD + b"Content-Type: text/plain\r\n", Then.CLOSE),
    "cut-line": Reply(HEAD + b"Content-Ty", Then.ABORT),
}


@pytest.fixture(scope="module")
def tls(authority: trustme.CA) -> ssl.SSLContext:
    """What the receiver shows."""
    return server_context(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    """Of the receiver's certificate."""
    return trustme.CA()


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_an_answer_counts_by_its_header_block(
    workspace: Workspace, authority: trustme.CA, tls: ssl.SSLContext, transport: str
) -> None:
    """An answer with a complete header block counts by its status, however body or TLS end: the
    event is delivered, once. One whose header block was cut is repeated.
    """
    seen = Counter[str]()

    def answer(head: bytes) -> Reply:
        name = parse(head).hook
        seen[name] += 1
        return WHOLE[name] if name in WHOLE else CUT[name] if seen[name] == 1 else response()

    await workspace.create_topics(partitions=1)
    ca_file = workspace.folder / "ca.pem"
    authority.cert_pem.write_to_path(str(ca_file))
    async with Receiver(otherwise=answer, tls=tls) as receiver:
        network = {"ca_file": str(ca_file), "allow": ["127.0.0.0/8"]}
        workspace.write_settings(network=network, delivery={"transport": transport})
        workspace.write_hooks(
            *(hook(name, receiver.origin, timeout="3s") for name in [*WHOLE, *CUT])
        )
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), [event("e")])
            await wait_until(lambda: len(seen) == len(WHOLE) + len(CUT), "all to be called")
            await wait_until(workspace.caught_up, "all to be settled")
            assert await workspace.dead_letters() == []
            assert daemon.complaints == []
    assert seen == {**dict.fromkeys(WHOLE, 1), **dict.fromkeys(CUT, 2)}
