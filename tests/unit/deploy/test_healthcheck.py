"""The image's health check, run as Docker runs it."""

import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest

from support.project import ROOT


class _Admin(BaseHTTPRequestHandler):
    """An admin server that answers `/healthz` with the status of its server."""

    def do_GET(self) -> None:
        status = getattr(self.server, "status", 500) if self.path == "/healthz" else 404
        self.send_response(status)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture(params=[200, 503])
def admin(request: pytest.FixtureRequest) -> Iterator[tuple[int, int]]:
    """A server's port, and the status that it answers with."""
    with HTTPServer(("127.0.0.1", 0), _Admin) as server:
        vars(server)["status"] = request.param
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server.server_port, request.param
        server.shutdown()
        thread.join()


def _exit_code(port: int) -> int:
    # A proxy in the environment must not be asked.
    env = {**os.environ, "HOOKSTREAM_ADMIN__PORT": str(port), "http_proxy": "http://127.0.0.1:9"}
    script = str(ROOT / "deploy/healthcheck.py")
    return subprocess.run([sys.executable, script], env=env, check=False, timeout=30).returncode


def test_only_200_is_healthy(admin: tuple[int, int]) -> None:
    """Alive is what `/healthz` says, and any other status is not."""
    port, status = admin
    assert _exit_code(port) == (0 if status == 200 else 1)


def test_nobody_there_is_unhealthy() -> None:
    """A refused connection is exit code 1, not a traceback."""
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        assert _exit_code(taken.getsockname()[1]) == 1


def test_silence_is_unhealthy() -> None:
    """A daemon that takes the connection and says nothing is given two seconds."""
    with socket.create_server(("127.0.0.1", 0)) as hung:
        assert _exit_code(hung.getsockname()[1]) == 1
