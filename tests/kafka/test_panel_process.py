"""`hookstream panel` as a process: its link, its signals, its end, and what it never says."""

import signal
from pathlib import Path
from typing import Any

import pytest
import yaml

from consumer.control.sealed import new_key, seal
from consumer.services.test_sends import NOT_SHOWN
from support.command import EVENT
from support.panel import TOKENS, Client, PanelProcess, token_entries
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, hook

PUBLIC, PRIVATE = new_key()
SEALED = "canary-of-a-seal"
SECRETS = {
    "PANEL_TEST_KEY": "canary-of-a-key",
    "PANEL_TEST_SIGNING": "whsec_Y2FuYXJ5LW9mLWEtc2lnbmluZy1rZXk=",
}


@pytest.fixture
async def live(workspace: Workspace) -> Workspace:
    """A workspace with the topics of live definitions."""
    await workspace.create_live_topics()
    return workspace


def _write(live: Workspace, **panel: Any) -> Path:
    secrets = {"secrets": list(SECRETS), "seal_private_key": [PRIVATE], "seal_public_key": PUBLIC}
    live.write_settings(hooks={"live": True, **secrets}, panel={"port": 0, **panel})
    return live.config


async def test_the_link_is_printed_and_a_stop_is_orderly(live: Workspace) -> None:
    """Without tokens the panel prints a link, which is in no log line and opens it once; SIGTERM
    ends it with 0.
    """
    async with PanelProcess(_write(live)) as panel:
        await wait_until(lambda: panel.output, "the link")
        [line] = panel.output
        link = line.removeprefix("open ").strip()
        client = Client(panel.url or "", None)
        opened = await client("GET", link.removeprefix(panel.url or ""))
        assert opened.status == 303
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        assert (await client("GET", "/hooks", headers=cookie)).status == 200
        panel.signal(signal.SIGTERM)
        assert await panel.wait() == 0
    assert link.partition("code=")[2] not in "".join(panel.lines)
    assert panel.output == [line]


async def test_a_session_outlives_a_killed_panel(live: Workspace) -> None:
    """A session goes on at another process after the first was killed between two requests, and
    what was written is there.
    """
    config = _write(live, tokens=token_entries())
    async with PanelProcess(config) as panel:
        client = Client(panel.url or "", None)
        session = await client("POST", "/session", {"token": TOKENS["editor"]})
        headers = {
            "Cookie": session.headers["Set-Cookie"].partition(";")[0],
            "X-CSRF-Token": session.json["csrf_token"],
        }
        definition = hook("h-1", "https://a.example.com")
        assert (await client("POST", "/hooks", definition, headers=headers)).status == 201
    async with PanelProcess(config) as panel:
        client = Client(panel.url or "", None)
        shown = await client("GET", "/hooks/h-1", headers=headers)
        assert (shown.status, shown.json["by"]) == (200, "editor")
        match = {**headers, "If-Match": shown.headers["ETag"]}
        assert (await client("DELETE", "/hooks/h-1", headers=match)).status == 200


async def test_a_token_is_withdrawn_by_sighup(live: Workspace) -> None:
    """A token that is taken out of the settings opens nothing after SIGHUP, nor does a session that
    it began; other tokens go on. Bad settings, and those that would let no user in, change nothing,
    and what needs a restart is named.
    """
    config = _write(live, tokens=token_entries())
    async with PanelProcess(config) as panel:
        editor, viewer = (Client(panel.url or "", role) for role in ("editor", "viewer"))
        session = await Client(panel.url or "", None)(
            "POST", "/session", {"token": TOKENS["editor"]}
        )
        cookie = {"Cookie": session.headers["Set-Cookie"].partition(";")[0]}
        settings = yaml.safe_load(config.read_text())
        config.write_text("panel: [")
        panel.signal(signal.SIGHUP)
        await wait_until(
            lambda: any("the changed settings are refused" in line for line in panel.lines),
            "the refusal",
        )
        assert (await editor("GET", "/session")).status == 200
        settings["delivery_log"] = {"user_key": "another"}
        settings["panel"]["tokens"] = token_entries({"viewer": TOKENS["viewer"]})
        config.write_text(yaml.safe_dump(settings))
        panel.signal(signal.SIGHUP)

        async def is_withdrawn() -> bool:
            return (await Client(panel.url or "", None)(
                "GET", "/session", headers=cookie
            )).status == 401  # fmt: skip

        await wait_until(is_withdrawn, "the token to be withdrawn")
        assert (await editor("GET", "/session")).status == 401
        assert (await viewer("GET", "/session")).status == 200
        [line] = [line for line in panel.lines if "restart the panel" in line]
        assert '"delivery_log"' in line
        del settings["panel"]["tokens"]
        config.write_text(yaml.safe_dump(settings))
        panel.signal(signal.SIGHUP)
        await wait_until(
            lambda: any("nobody could log in" in line for line in panel.lines), "the refusal"
        )
        assert (await viewer("GET", "/session")).status == 200


async def test_no_secret_is_in_any_answer_or_log_line(live: Workspace) -> None:
    """Secrets of every kind are in no answer of any route, and neither they nor tokens nor users'
    data are in a log line, while a hook with all of them is created, shown, changed, tested and
    refused.
    """
    config = _write(live, tokens=token_entries())
    environ = {**SECRETS, "HOOKSTREAM_LOG__LEVEL": "debug"}
    bodies = []
    async with (
        Receiver(otherwise=lambda head: response(body=head)) as receiver,
        PanelProcess(config, environ) as panel,
    ):
        client = Client(panel.url or "")
        sealed = seal(SEALED, receiver.origin, PUBLIC)
        headers = [
            {"key": "X-Key", "source": "fixed", "value": "Bearer ${env:PANEL_TEST_KEY}"},
            {"key": "X-Seal", "source": "fixed", "value": sealed},
            {"key": "X-City", "source": "profile", "value": "city"},
        ]
        definition = {
            **hook("h-1", receiver.origin, "?k=${env:PANEL_TEST_KEY}"),
            "trigger": "push_click",
            "headers": headers,
            "parameters": [{"key": "k", "source": "fixed", "value": "${env:PANEL_TEST_KEY}"}],
            "signing_secrets": ["${env:PANEL_TEST_SIGNING}"],
        }
        definition["uri"] = f"{receiver.origin}/h/h-1"
        bad = {**definition, "headers": [{**headers[0], "encode": "none"}], "id": "h-2"}
        unsealed = {**definition, "headers": [headers[0], headers[2]]}
        match = {"If-Match": "*"}
        event = {**EVENT, "id": "canary-of-an-event"}
        for method, path, body in (
            ("POST", "/hooks", definition),
            ("POST", "/hooks", bad),
            ("PUT", "/hooks/h-1", {**definition, "timeout": "5s"}),
            ("POST", "/hooks:check", definition),
            ("POST", "/hooks:sample", {"hook": "h-1"}),
            ("POST", "/hooks:sample", {"hook": "h-1", "event": EVENT}),
            ("POST", "/hooks:test", {"hook": "h-1", "event": EVENT}),
            ("POST", "/hooks:test", {"definition": definition, "event": EVENT}),
            ("POST", "/hooks:test", {"definition": unsealed, "event": EVENT}),
            ("POST", "/hooks:test", {"definition": bad, "event": EVENT}),
            ("POST", "/explain", {"event": EVENT, "hook": "h-1"}),
            ("POST", "/hooks/h-1/rollback", {"revision": 1}),
            ("POST", "/session", {"token": "canary-of-a-token"}),
            ("GET", "/hooks", None),
            ("GET", "/hooks/h-1", None),
            ("GET", "/hooks/h-1/history", None),
            ("GET", "/audit", None),
            ("GET", "/compose?trigger=event", None),
        ):
            bodies.append((await client(method, path, body, headers=match)).body.decode())
        assert len(receiver.requests) == 3
        assert f"X-Seal: {SEALED}".encode() in receiver.requests[0]
        await client("POST", "/hooks:test", {"hook": "h-1", "event": event})
        panel.signal(signal.SIGTERM)
        await panel.wait()
    everything = "".join(bodies)
    assert everything.count(NOT_SHOWN) == 2
    assert "X-Key: Bearer [secret]" in everything
    for secret in (*SECRETS.values(), SEALED):
        assert secret not in everything
    log = "".join([*panel.lines, *panel.output])
    for canary in ("canary", "stanbul", sealed, *SECRETS.values(), *TOKENS.values()):
        assert canary not in log
