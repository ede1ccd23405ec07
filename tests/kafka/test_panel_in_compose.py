"""The panel as docker-compose.yml starts it."""

import os
import sys
from pathlib import Path

import pytest
import yaml

from support.panel import Client, PanelProcess
from support.project import ROOT
from support.waiting import wait_until
from support.workspace import Workspace

SERVICE = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]["panel"]


async def test_the_token_in_its_log_opens_it(workspace: Workspace) -> None:
    """The panel's container makes a token at its start and prints it; with it an operator gets in,
    and without it no request does. Its health check needs no token.
    """
    workspace.write_settings(hooks={"live": True}, panel={"port": 0})
    command = [*SERVICE["entrypoint"], *(one.replace("$$", "$") for one in SERVICE["command"])]
    environ = {
        **SERVICE["environment"],
        "SETTINGS": str(workspace.config),
        "HOOKSTREAM_PANEL__HOST": "127.0.0.1",
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
    }
    async with PanelProcess(workspace.config, environ, command) as panel:
        await wait_until(lambda: panel.output, "the token")
        [line] = panel.output
        token = line.removeprefix("token: ").strip()
        client = Client(panel.url or "", None)
        assert (await client("GET", "/session")).status == 401
        headers = {"Authorization": f"Bearer {token}"}
        session = (await client("GET", "/session", headers=headers)).json
        assert (await client("GET", "/healthz", headers={"Host": "localhost"})).status == 200
        assert (session["name"], session["role"]) == ("compose", "operator")
    assert token not in "".join(panel.lines)


@pytest.mark.parametrize("service", ["hookstream", "panel"])
def test_both_have_the_same_settings(service: str) -> None:
    """Daemon and panel read the same files."""
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"]
    assert services[service]["volumes"] == SERVICE["volumes"]
