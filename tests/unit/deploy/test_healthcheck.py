"""The image's health check, run as Docker runs it."""

import importlib.util
import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
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


def _alive() -> Callable[..., bool]:
    """The check's function, loaded from the file that is copied into the image."""
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "deploy/healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    alive: Callable[..., bool] = module.alive
    return alive


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
    """A daemon that takes the connection and says nothing is not waited for beyond the limit."""
    alive = _alive()
    with socket.create_server(("127.0.0.1", 0)) as hung:
        began = time.monotonic()
        assert not alive(hung.getsockname()[1], timeout=0.1)
        assert time.monotonic() - began < 2


def test_it_ends_before_docker_ends_it() -> None:
    """The check's own limit is shorter than HEALTHCHECK's, which would count as a failure too but
    leave its process behind.
    """
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    limit = float(dockerfile.split("--timeout=")[1].split("s")[0])
    assert inspect.signature(_alive()).parameters["timeout"].default < limit
