"""The receivers: nginx, which counts the deliveries, and an endpoint that never answers."""

import asyncio
import shutil
import subprocess
import threading
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

import trustme

from benchmarks.errors import BenchmarkError
from support.broker import HOST, free_port

_CONFIG = """
daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    {temporary}
    log_format hits '$msec $status $uri $arg_n $arg_t';
    keepalive_requests 1000000000;
    keepalive_timeout 1h;
    {http2}
    {limit}
    server {{
        listen {host}:{port} {listen};
        {certificate}
        access_log hits.log hits buffer=64k flush=100ms;
        if ($arg_fail) {{ return 503; }}
        {answer}
    }}
    server {{
        listen {host}:{status_port};
        access_log off;
        location / {{ stub_status; }}
    }}
}}
"""
_LIMIT = """
    limit_req_zone $server_port zone=all:1m rate={per_second}r/s;
    limit_req_status 429;"""
_LIMITED_ANSWER = """
        location / {{
            limit_req zone=all burst={per_second} nodelay;
            add_header Retry-After 1 always;
            try_files /none @taken;
        }}
        location @taken {{ return 204; }}"""
_TEMPORARY = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
_START_TIMEOUT_SECONDS = 10.0
_STOP_RETRY_SECONDS = 0.5
"""Time after which nginx is told to stop again."""
_LOG_FLUSH_SECONDS = 0.3
"""Time after which every answered request is in the log."""

Answer = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]
"""Serves one connection."""


@dataclass(frozen=True)
class Tls:
    """The receiver's TLS settings."""

    authority: trustme.CA
    ca_file: Path
    http2: bool

    @classmethod
    def make(cls, folder: Path, *, http2: bool) -> Self:
        """Create an authority, with its certificate in `folder`."""
        authority = trustme.CA()
        ca_file = folder / "ca.pem"
        authority.cert_pem.write_to_path(str(ca_file))
        return cls(authority, ca_file, http2)


class Hit(NamedTuple):
    """One answered request."""

    at: float
    """Seconds since the epoch at the end of the answer, exact to the millisecond."""
    status: int
    path: str
    number: int
    """The event's number."""
    sent_at: float
    """Seconds since the epoch at which the event occurred."""

    @property
    def delivered(self) -> bool:
        """Whether the answer was 2xx."""
        return self.status // 100 == 2  # noqa: PLR2004  # RFC 9110, section 15

    @property
    def delay(self) -> float:
        """Seconds from the event to the end of the answer."""
        return self.at - self.sent_at


class Receiver:
    """An nginx with one worker."""

    def __init__(self, folder: Path, tls: Tls | None = None, port: int = 0, limit: int = 0) -> None:
        """`port`: 0 for a free one. `limit`: requests a second that it takes, and as many at once;
        others are answered 429 with `Retry-After: 1`. 0: no limit.
        """
        self._folder = folder
        self._tls = tls
        self._port, self._status_port = port or free_port(), free_port()
        self._limit = limit
        self._polls = self._read = self._delivered = 0
        self._status: HTTPConnection
        self._process: subprocess.Popen[bytes]

    @property
    def origin(self) -> str:
        """`scheme://host:port`."""
        return f"{'https' if self._tls else 'http'}://{HOST}:{self._port}"

    def answered(self) -> int:
        """Requests so far, by nginx's own count without the requests for it."""
        self._polls += 1
        self._status.request("GET", "/")
        words = self._status.getresponse().read().split()
        return int(words[words.index(b"requests") + 3]) - self._polls

    def delivered(self) -> int:
        """Requests answered with 2xx so far, by the log, which is a tenth of a second late."""
        with (self._folder / "hits.log").open() as log:
            log.seek(self._read)
            for line in log:
                if not line.endswith("\n"):
                    break  # the line is incomplete
                self._read += len(line.encode())
                self._delivered += line.split(" ", 2)[1].startswith("2")
        return self._delivered

    def hits(self) -> list[Hit]:
        """All requests so far, in the order of their answers."""
        time.sleep(_LOG_FLUSH_SECONDS)
        with (self._folder / "hits.log").open() as log:
            return [parse_hit(line) for line in log]

    def __enter__(self) -> Self:
        self._folder.mkdir()
        (self._folder / "nginx.conf").write_text(self._config())
        self._process = subprocess.Popen(  # noqa: S603  # a program of this benchmark
            [find_nginx(), "-p", str(self._folder), "-c", "nginx.conf", "-e", "error.log"],
            stdin=subprocess.DEVNULL,
        )
        deadline = time.monotonic() + _START_TIMEOUT_SECONDS
        while True:
            self._status = HTTPConnection(HOST, self._status_port)
            try:
                self._status.connect()
            except OSError:
                if self._process.poll() is not None or time.monotonic() > deadline:
                    raise BenchmarkError((self._folder / "error.log").read_text()) from None
                time.sleep(0.01)
            else:
                return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._status.close()
        while self._process.poll() is None:
            # Without a master, nginx misses a signal that arrives just before its epoll_wait.
            self._process.terminate()
            with suppress(subprocess.TimeoutExpired):
                self._process.wait(_STOP_RETRY_SECONDS)

    def _config(self) -> str:
        certificate = ""
        if self._tls is not None:
            issued = self._tls.authority.issue_cert(HOST)
            issued.private_key_and_cert_chain_pem.write_to_path(str(self._folder / "server.pem"))
            certificate = "ssl_certificate server.pem; ssl_certificate_key server.pem;"
        http2 = self._tls is not None and self._tls.http2
        limit, answer = "", "return 204;"
        if self._limit:
            limit = _LIMIT.format(per_second=self._limit)
            answer = _LIMITED_ANSWER.format(per_second=self._limit)
        return _CONFIG.format(
            temporary=" ".join(f"{name}_temp_path temporary;" for name in _TEMPORARY),
            http2="http2_max_concurrent_streams 128;" if http2 else "",
            limit=limit,
            answer=answer,
            host=HOST,
            port=self._port,
            listen=f"{'ssl' if self._tls else ''} {'http2' if http2 else ''}",
            certificate=certificate,
            status_port=self._status_port,
        )


def find_nginx() -> str:
    """The path of nginx. Raises `BenchmarkError` with a hint if it is not installed."""
    path = shutil.which("nginx", path="/usr/sbin:/usr/local/sbin") or shutil.which("nginx")
    if path is None:
        raise BenchmarkError(
            "the benchmarks deliver to nginx, and there is none on the PATH: install it "
            "(Debian and Ubuntu: apt-get install nginx-light)"
        )
    return path


@contextmanager
def black_hole() -> Iterator[str]:
    """The origin of an endpoint that accepts every connection and answers no request."""

    async def swallow(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while await reader.read(65_536):
            pass
        writer.close()

    with serving(swallow) as origin:
        yield origin


@contextmanager
def serving(answer: Answer) -> Iterator[str]:
    """The origin of an endpoint in a thread of this process; `answer` serves each connection."""
    loop = asyncio.new_event_loop()
    port = free_port()

    async def serve() -> None:
        server = await asyncio.start_server(answer, HOST, port, backlog=1024)
        ready.set()
        await server.serve_forever()

    ready = threading.Event()
    serving = loop.create_task(serve())
    thread = threading.Thread(target=_run_until_cancelled, args=(loop, serving))
    thread.start()
    ready.wait()
    try:
        yield f"http://{HOST}:{port}"
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()


def _run_until_cancelled(loop: asyncio.AbstractEventLoop, task: asyncio.Task[None]) -> None:
    try:
        loop.run_until_complete(task)
    except asyncio.CancelledError:
        for other in asyncio.all_tasks(loop):
            other.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


def parse_hit(line: str) -> Hit:
    """One line of nginx's log, in the format above."""
    at, status, rest = line.split(" ", 2)
    path, number, sent_at = rest.rsplit(" ", 2)  # the path may hold spaces
    return Hit(float(at), int(status), path, int(number), int(sent_at) / 1000)
