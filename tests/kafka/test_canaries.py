"""Secrets in every value that may hold one are shown to the receiver and to no one else."""

import asyncio
import base64
import io
import json
import logging
import signal
import traceback
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer import logs
from consumer.clock import SystemClock
from consumer.delivery.http.request import RequestBuilder
from support.broker import free_port
from support.cluster import Cluster
from support.command import call_command, run_command
from support.daemon import Daemon, InProcess
from support.receiver import Receiver, Reply, Then, response
from support.secure_broker import PASSWORD, SecureBroker
from support.waiting import wait_until
from support.workspace import Workspace, hook

SIGNING = b"canary-that-signs-requests"
SECRETS = {
    "HEADER_KEY": "canary-in-a-header",
    "QUERY_KEY": "canary-in-the-query",
    "PATH_KEY": "canary-in-the-path",
    "SIGNING_KEY": f"whsec_{base64.b64encode(SIGNING).decode()}",
}
PRIVATE = "canary-of-a-user"
FILE, OLD_KEY = "canary-in-a-file", base64.b64encode(b"canary-of-the-last-year").decode()
HIDDEN = [
    "canary",
    SECRETS["SIGNING_KEY"].removeprefix("whsec_"),
    OLD_KEY,
    SIGNING.hex(),
]
"""What must not be read anywhere. All plain secrets begin with the first."""


def definition(hook_id: str, origin: str, secret_file: Path, **more: Any) -> dict[str, Any]:
    """A hook that has a secret wherever one may stand, and sends an attribute of the user's."""
    fixed = {"source": "fixed"}
    return hook(
        hook_id,
        origin,
        "/{path}?x=1",
        uri_parameters={"path": {"label": "Path"}},
        headers=[
            {"key": "X-Key", "value": "Bearer ${env:HEADER_KEY}", **fixed},
            {"key": "X-File", "value": f"${{file:{secret_file}}}", **fixed},
            {"key": "X-Name", "source": "profile", "value": "name"},
        ],
        parameters=[
            {"key": "path", "value": "${env:PATH_KEY}", **fixed},
            {"key": "query", "value": "${env:QUERY_KEY}", **fixed},
            {"key": "name", "source": "profile", "value": "name"},
        ],
        signing_secrets=["${env:SIGNING_KEY}", f"${{file:{secret_file.with_name('old')}}}"],
        **more,
    )


def event(event_id: str, name: str = PRIVATE) -> bytes:
    """An event with attributes that only the receiver may see."""
    attributes = {"name": name, "unused": PRIVATE}
    return json.dumps({"id": event_id, "user": {"id": PRIVATE, "attributes": attributes}}).encode()


def answer(head: bytes) -> Reply:
    """Each hook has its own fate."""
    for hook_id, reply in {
        b"/h/gone": response(404),
        b"/h/busy": response(503),
        b"/h/rude": Reply(then=Then.RESET),
        b"/h/echo": Reply(b"HTTP/1.1 \0" + head + b"\r\n\r\n", Then.CLOSE),
    }.items():
        if hook_id in head:
            return reply
    return response()


HOOKS = ("good", "gone", "busy", "rude", "echo")


@pytest.fixture
async def workspace(
    secure_broker: SecureBroker, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """One topic on the broker that wants a password."""
    workspace = Workspace(tmp_path, Cluster(secure_broker.bootstrap), topic_prefix)
    workspace.sources = {workspace.topic("event"): workspace.sources[workspace.topic("event")]}
    await workspace.create_topics(partitions=1)
    topics = [*workspace.sources, *workspace.own_topics]
    rights = {topic: ["READ", "WRITE", "CREATE"] for topic in topics}
    await secure_broker.allow("hookstream", rights, group=workspace.group)
    (tmp_path / "secret").write_text(f"{FILE}\n")
    (tmp_path / "old").write_text(f"{OLD_KEY}\n")
    yield workspace
    await workspace.remove_topics()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """The only one who may know."""
    async with Receiver(otherwise=answer) as receiver:
        yield receiver


def write(workspace: Workspace, broker: SecureBroker, origin: str, **delivery: Any) -> None:
    """Settings and hooks, with every secret that they can hold."""
    workspace.write_settings(
        kafka=broker.login("SASL") | {"group_id": workspace.group},
        admin={"token": "canary-of-the-admin"},
        log={"level": "debug"},
        hooks={"secrets": ["*_KEY", str(workspace.folder)]},
        retry={"max_attempts": 2},
        delivery=delivery,
    )
    workspace.write_hooks(
        *(definition(hook_id, origin, workspace.folder / "secret") for hook_id in HOOKS)
    )


def check(place: str, text: str) -> None:
    """No secret is in what came out of `place`."""
    assert text, place
    for hidden in HIDDEN:
        assert hidden not in text, f"{place}: {text}"


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
async def test_the_daemon_tells_no_secret(
    workspace: Workspace, secure_broker: SecureBroker, receiver: Receiver, transport: str
) -> None:
    """The daemon shows no secret and no user's data in logs, metrics, probes or dead letters.

    1. Deliveries arrive, are refused, retried, cut off, echoed; records are rejected and
    undecodable; all at log level debug. 2. Reloads fail, for hooks and for a password. 3. Logs,
    metrics, probes, dead letters' headers and the list of them hold no secret and nothing of a
    user's; the receiver has them all.
    """
    write(workspace, secure_broker, receiver.origin, transport=transport)
    values = [event("e1"), event("e2", "canary\r\nX-Evil: 1"), b'{"id": "canary', b"canary"]
    await workspace.cluster.produce(workspace.topic("event"), values)
    async with Daemon(workspace.config, SECRETS) as daemon:
        await wait_until(workspace.caught_up, "everything to be settled")
        await _fail_to_reload(workspace, daemon)
        for path in ("/metrics", "/healthz", "/readyz", "/canary"):
            check(path, (await daemon.get(path))[1])
        assert (await daemon.get("/metrics"))[0] == 200  # asks for no token
        assert await daemon.stop() == 0
    check("the log", "".join(daemon.lines))
    assert daemon.said("dead letter"), "the log is not at level debug"
    _check_dead_letters(await workspace.dead_letters())
    listed = run_command(
        "dead-letters", "list", "--config", str(workspace.config), folder=workspace.folder
    )
    check("dead-letters list", listed.stdout)
    whole = b"".join(receiver.requests).decode()
    for secret in (*list(SECRETS.values())[:3], FILE, PRIVATE):
        assert secret in whole


async def _fail_to_reload(workspace: Workspace, daemon: Daemon) -> None:
    good = workspace.hooks
    broken = {**good[0], "headers": [{"key": "X", "source": "fixed", "value": "canary\r\nX: 1"}]}
    workspace.write_hooks(broken, {**good[1], "uri": "https://u:canary@x.example/"})
    daemon.signal(signal.SIGHUP)
    await wait_until(lambda: len(daemon.said(REFUSED)) == 1, "the hooks to be refused")
    workspace.write_hooks(*good)
    text = workspace.config.read_text()
    workspace.config.write_text(text.replace(PASSWORD, "canary-anew"))
    daemon.signal(signal.SIGHUP)
    await wait_until(lambda: len(daemon.said(REFUSED)) == 2, "the password to be refused")
    workspace.config.write_text(text)


REFUSED = "reload refused; the old settings and hooks stay"


def _check_dead_letters(dead_letters: list[Any]) -> None:
    """The key and the value are the record's own; what the daemon adds tells nothing."""
    reasons = {dead_letter.facts["hookstream-reason"] for dead_letter in dead_letters}
    assert reasons == {"permanent", "rejected", "exhausted", "undecodable"}
    for dead_letter in dead_letters:
        check("a dead letter's headers", str(dead_letter.facts))


async def test_no_command_tells_a_secret(
    workspace: Workspace, secure_broker: SecureBroker, receiver: Receiver
) -> None:
    """No command prints a secret: `check`, `sample` with and without an event, and `send` that
    succeeds, fails, is cut off, echoed or refused; with a wrong definition, setting and password.
    """
    write(workspace, secure_broker, receiver.origin)
    (workspace.folder / "event.json").write_bytes(event("e1"))
    secrets = [*HIDDEN[1:], *SECRETS.values(), FILE, PASSWORD, "canary-of-the-admin"]

    async def said(*arguments: str) -> str:
        # In a thread: the receiver answers on this one.
        done = await asyncio.to_thread(
            run_command, *arguments, "--config", str(workspace.config),
            folder=workspace.folder, environ=SECRETS,
        )  # fmt: skip
        text = done.stdout + done.stderr
        assert text
        for secret in [*secrets, "canary-wrong"]:
            assert secret not in text, arguments
        return text

    assert "5 hooks" in await said("check")
    assert "${env:HEADER_KEY}" in await said("sample", "good")
    assert "${env:HEADER_KEY}" in await said("sample", "good", "--event", "event.json")
    for hook_id in HOOKS:
        assert "GET " in await said("send", hook_id, "--event", "event.json")
    lonely = f"http://127.0.0.1:{free_port()}"
    workspace.write_hooks(definition("alone", lonely, workspace.folder / "secret"))
    assert "none: connect" in await said("send", "alone", "--event", "event.json")
    text = workspace.config.read_text()
    workspace.config.write_text(text.replace(PASSWORD, "canary-wrong"))
    assert "kafka.sasl_password" in await said("run")
    (workspace.folder / "secret").write_text(f"{FILE}\n{FILE}")
    assert "line end" in await said("check")


@pytest.fixture
def log() -> Iterator[io.StringIO]:
    """What this process logs, at level debug."""
    root, stream = logging.getLogger(), io.StringIO()
    before = root.handlers[:], root.level
    logs.configure("text", "debug", stream, SystemClock())
    yield stream
    root.handlers[:], _ = before
    root.setLevel(before[1])


async def test_no_traceback_tells_a_secret(
    workspace: Workspace,
    secure_broker: SecureBroker,
    receiver: Receiver,
    log: io.StringIO,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """No traceback of a bug in the middle of a request shows a secret, neither in the daemon's log
    nor in a command's output.
    """
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    write(workspace, secure_broker, receiver.origin, shutdown_grace="0s")
    (workspace.folder / "event.json").write_bytes(event("e1"))
    monkeypatch.setattr(RequestBuilder, "target", lambda _self, event: event.document["no"]["key"])
    await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
    async with InProcess(workspace.config):
        await wait_until(lambda: "KeyError" in log.getvalue(), "the bug")
    check("the log", log.getvalue())
    assert "Traceback" in log.getvalue()
    with pytest.raises(KeyError) as caught:
        call_command(
            "send", "good", "--event", "event.json", "--config", str(workspace.config),
            folder=workspace.folder, environ=SECRETS,
        )  # fmt: skip
    check("a command's traceback", "".join(traceback.format_exception(caught.value)))
