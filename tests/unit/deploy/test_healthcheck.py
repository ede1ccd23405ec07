"""The image's health check, run as Docker runs it."""

import importlib.util
import inspect
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import ModuleType

import pytest

from consumer.settings import load_settings
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


def _check() -> ModuleType:
    """The check, loaded from the file that is copied into the image."""
    spec = importlib.util.spec_from_file_location("healthcheck", ROOT / "deploy/healthcheck.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = _check()


def _alive() -> Callable[..., bool]:
    alive: Callable[..., bool] = CHECK.alive
    return alive


def _exit_code(port: int) -> int:
    return _run(HOOKSTREAM_ADMIN__PORT=str(port)).returncode


def _run(
    *arguments: str, folder: Path = ROOT, **environ: str
) -> subprocess.CompletedProcess[bytes]:
    # A proxy in the environment must not be asked.
    env = {**os.environ, "http_proxy": "http://127.0.0.1:9", **environ}
    return subprocess.run(
        [sys.executable, str(ROOT / "deploy/healthcheck.py"), *arguments],
        env=env,
        cwd=folder,
        capture_output=True,
        check=False,
        timeout=30,
    )


def test_only_200_is_healthy(admin: tuple[int, int]) -> None:
    """Only status 200 of `/healthz` is healthy."""
    port, status = admin
    assert _exit_code(port) == (0 if status == 200 else 1)


def test_a_refused_connection_is_unhealthy() -> None:
    """A refused connection is unhealthy, with exit code 1 and no traceback."""
    with socket.socket() as taken:  # bound and not listening: refused
        taken.bind(("127.0.0.1", 0))
        assert _exit_code(taken.getsockname()[1]) == 1


def test_silence_is_unhealthy() -> None:
    """A daemon that accepts the connection and says nothing is unhealthy after the time limit."""
    alive = _alive()
    with socket.create_server(("127.0.0.1", 0)) as hung:
        began = time.monotonic()
        assert not alive(hung.getsockname()[1], timeout=0.1)
        assert time.monotonic() - began < 2


def test_it_ends_before_docker_ends_it() -> None:
    """The check's own time limit is shorter than HEALTHCHECK's, so Docker leaves no process
    behind.
    """
    dockerfile = (ROOT / "deploy/Dockerfile").read_text()
    limit = float(dockerfile.split("--timeout=")[1].split("s")[0])
    assert inspect.signature(_alive()).parameters["timeout"].default < limit


def test_an_answer_that_drips_is_unhealthy() -> None:
    """The time limit holds for the whole answer, not for each piece of it."""
    over = threading.Event()

    def drip(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while not over.wait(0.01):
                connection.sendall(b"H")

    with socket.create_server(("127.0.0.1", 0)) as slow:
        thread = threading.Thread(target=drip, args=(slow,))
        thread.start()
        try:
            assert not _alive()(slow.getsockname()[1], timeout=0.1)
        finally:
            over.set()
            thread.join()


@pytest.mark.parametrize("admin", [200], indirect=True)
def test_the_settings_file_says_where_to_ask(tmp_path: Path, admin: tuple[int, int]) -> None:
    """The check reads the address from the daemon's default settings file or the named one, and the
    environment overrides it.
    """
    port, _ = admin
    (tmp_path / "config").mkdir()
    default = tmp_path / "config/hookstream.yaml"
    default.write_text(f"admin:\n  host: 0.0.0.0\n  port: {port}\n")
    other = tmp_path / "other.yaml"
    other.write_text("admin: {port: 1}\n")
    assert _run(folder=tmp_path).returncode == 0
    assert _run("--config", str(other), folder=tmp_path).returncode == 1
    named = _run("--config", str(other), folder=tmp_path, HOOKSTREAM_ADMIN__PORT=str(port))
    assert named.returncode == 0


def test_a_failure_says_where_it_asked(tmp_path: Path) -> None:
    """A failed check prints the address that it asked, or why the settings cannot be read."""
    file = tmp_path / "a.yaml"
    file.write_text("admin: {host: [127.0.0.1, '::1'], port: 1}\n")
    done = _run("--config", str(file))
    assert (done.returncode, done.stderr) == (1, b"not alive at 127.0.0.1 port 1, ::1 port 1\n")
    file.write_text("admin: [")
    done = _run("--config", str(file))
    assert done.returncode == 1
    assert done.stderr.startswith(b"cannot find the admin server's address: ")


@pytest.mark.parametrize(
    ("text", "environ", "places"),
    [
        ("", {}, [("127.0.0.1", 9464)]),
        ("admin:\n", {}, [("127.0.0.1", 9464)]),
        ("admin: {host: , port: ~}\n", {}, [("127.0.0.1", 9464)]),
        ("admin: {host: '::', port: 80}\n", {}, [("::", 80)]),
        ("admin: {host: [a, b], port: '80'}\n", {}, [("a", 80), ("b", 80)]),
        ("admin: {host: 'a, b'}\n", {}, [("a", 9464), ("b", 9464)]),
        ("admin: {host: a, port: 80}\n", {"HOST": "b"}, [("b", 80)]),
        ("admin: {host: a, port: 80}\n", {"PORT": "81", "HOST": ""}, [("a", 81)]),
        ("", {"HOST": '["a", "::1"]'}, [("a", 9464), ("::1", 9464)]),
        ("", {"HOST": "a,b"}, [("a", 9464), ("b", 9464)]),
        ("log: {level: info}\n", {}, [("127.0.0.1", 9464)]),
    ],
)
def test_settings_are_read_as_the_daemon_reads_them(
    tmp_path: Path, text: str, environ: Mapping[str, str], places: list[tuple[str, int]]
) -> None:
    """The check reads file, environment and defaults as the daemon does, with one host or
    several.
    """
    file = tmp_path / "hookstream.yaml"
    file.write_text(text)
    env = {f"HOOKSTREAM_ADMIN__{name}": value for name, value in environ.items()}
    assert [*CHECK.settings(str(file), env)] == places
    settings = load_settings(file, env)
    assert [(host, settings.admin.port) for host in settings.admin.host] == places


@pytest.mark.parametrize(
    ("words", "file"),
    [
        ("hookstream run", None),
        ("python hookstream run --config a.yaml", "a.yaml"),
        ("hookstream run --config=a.yaml", "a.yaml"),
        ("hookstream run -c a.yaml", "a.yaml"),
        ("hookstream run -ca.yaml", "a.yaml"),
        ("hookstream run --config", None),
    ],
)
def test_the_daemons_command_line_names_the_file(words: str, file: str | None) -> None:
    """The settings file is found in each form of the daemon's command line."""
    assert CHECK.config_of(words.split()) == file


def test_the_kernel_says_where_a_process_listens() -> None:
    """The addresses at which a process listens come from the kernel, IPv4 and IPv6, and none of
    another process.
    """
    with (
        socket.create_server(("127.0.0.2", 0)) as four,
        socket.create_server(("::1", 0), family=socket.AF_INET6) as six,
        socket.create_connection(four.getsockname()),
    ):
        found = [*CHECK.listening([os.getpid()])]
        assert four.getsockname() in found
        assert six.getsockname()[:2] in found
        assert all(place[0] in {"127.0.0.2", "::1"} for place in found)
    assert [*CHECK.listening([])] == []


@pytest.mark.parametrize(
    ("words", "children", "pids"),
    [
        ("/opt/hookstream/bin/python /opt/hookstream/bin/hookstream run", "", (1,)),
        ("python -m consumer run --config a.yaml", "", (1,)),
        ("/sbin/docker-init -- hookstream run", "7 ", (1, 7)),
        ("/usr/lib/systemd/systemd --system", "7 8", ()),
        ("python /opt/hookstream/bin/hookstream panel --config a.yaml", "", (1,)),
        ("hookstream check", "", ()),
    ],
)
def test_process_one_is_the_daemon_or_its_init(
    tmp_path: Path, words: str, children: str, pids: tuple[int, ...]
) -> None:
    """Process 1 counts if it is the daemon, the panel or their init, and no other process does."""
    (tmp_path / "1/task/1").mkdir(parents=True)
    (tmp_path / "1/cmdline").write_text(words.replace(" ", "\0") + "\0")
    (tmp_path / "1/task/1/children").write_text(children)
    assert CHECK.daemon(tmp_path)[0] == pids
