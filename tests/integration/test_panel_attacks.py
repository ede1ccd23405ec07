"""Attacks on the panel. It has no broker here: every attack must fail before one is asked."""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import replace
from http import HTTPStatus
from pathlib import Path
from typing import Any, ClassVar

import orjson
import pytest
import yaml
from pydantic import SecretStr

from consumer.configuration import read_settings
from consumer.errors import HookstreamError
from consumer.panel.connections import MAX_CONNECTIONS, MAX_PEER_CONNECTIONS
from consumer.panel.failures import ADDRESS_FAILURES
from consumer.panel.panel import Panel
from consumer.panel.routes import Route
from consumer.panel.server import MAX_REQUESTS
from consumer.panel.transfer import BODY, OPEN_BODY
from consumer.settings import ROLES, Settings
from support.broker import free_port
from support.panel import TOKENS, Client, Reply, running_panel, token_entries
from support.waiting import wait_until

PROXY_HEADERS = {"X-Forwarded-User": "mallory", "X-Forwarded-Role": "operator"}
PATH_VALUES = {"id": "h-1", "trigger": "event"}


def write(folder: Path, **panel: Any) -> Path:
    """Settings of a panel whose broker is away."""
    (folder / "hooks").mkdir(exist_ok=True)
    settings = {
        "kafka": {"bootstrap_servers": f"127.0.0.1:{free_port()}"},
        "hooks": {"live": True},
        "panel": {"port": 0, **panel},
    }
    file = folder / "settings.yaml"
    file.write_text(yaml.safe_dump(settings))
    return file


def _settings(folder: Path, **panel: Any) -> Settings:
    """The settings that a panel of `write` gets at a reload."""
    started = yaml.safe_load((folder / "settings.yaml").read_text())
    changed = folder / "changed.yaml"
    changed.write_text(yaml.safe_dump({**started, "panel": {"port": 0, **panel}}))
    return read_settings(changed)[0]


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel with a token for each role, on loopback."""
    async with running_panel(write(tmp_path, tokens=token_entries()), idle=1.0) as panel:
        yield panel


def _path(route: Route) -> str:
    path = route.url
    for name, value in PATH_VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    return path


async def _raw(panel: Panel, sent: bytes, *more: bytes, peer: str = "127.0.0.1") -> bytes:
    """What comes back for bytes that are sent from the address `peer`, until the panel closes the
    connection.
    """
    reader, writer = await asyncio.open_connection("127.0.0.1", panel.port, local_addr=(peer, 0))
    try:
        for part in (sent, *more):
            writer.write(part)
            await writer.drain()
        return await asyncio.wait_for(reader.read(), 20)
    except ConnectionError:
        return b""
    finally:
        writer.close()


def _status(answer: bytes) -> int:
    """The status of an answer in bytes; 0 if there is none."""
    return int(answer.split(b" ", 2)[1]) if answer else 0


def _head(panel: Panel, line: str, *headers: str) -> bytes:
    lines = [line, f"Host: 127.0.0.1:{panel.port}", "Connection: close", *headers]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


async def test_each_route_is_for_its_role_and_those_above(panel: Panel) -> None:
    """Every route refuses users of a lower role with 403, and requests without a token with 401;
    no refused request is looked at further.
    """
    for route in panel.routes.all:
        for role in ROLES:
            may = route.role is None or ROLES.index(role) >= ROLES.index(route.role)
            if may:
                continue
            answer = await Client(panel.url, role)(route.method, _path(route), {})
            assert (answer.status, answer.kind) == (403, "forbidden"), (route.name, role)
        if route.role is not None:
            for headers in ({}, PROXY_HEADERS):
                answer = await Client(panel.url, None)(
                    route.method, _path(route), {}, headers=headers
                )
                assert (answer.status, answer.kind) == (401, "log-in"), route.name


async def test_what_needs_no_token_is_a_short_list(panel: Panel) -> None:
    """Only the log-in and -out, the API's document and the probe need no token."""
    assert {route.name for route in panel.routes.all if route.role is None} == {
        "POST /api/v1/session",
        "DELETE /api/v1/session",
        "GET /api/v1/openapi.json",
        "GET /healthz",
    }


async def test_guessing_tokens_is_bounded(panel: Panel) -> None:
    """After some wrong tokens an address must wait, by either way to log in; a right token does not
    help it then, and a session goes on.
    """
    guesser, good = Client(panel.url, None), Client(panel.url, None)
    session = await good("POST", "/session", {"token": TOKENS["viewer"]})
    for number in range(ADDRESS_FAILURES):
        if number % 2:
            answer = await guesser("POST", "/session", {"token": f"guess-{number}"})
        else:
            headers = {"Authorization": f"Bearer guess-{number}"}
            answer = await guesser("GET", "/hooks", headers=headers)
        assert answer.status == 401
    for headers in ({"Authorization": "Bearer more"}, Client(panel.url).headers):
        answer = await guesser("GET", "/session", headers=headers)
        assert (answer.status, answer.kind) == (429, "log-ins")
        assert 1 <= int(answer.headers["Retry-After"]) <= 30
    cookie = {"Cookie": session.headers["Set-Cookie"].partition(";")[0]}
    assert (await good("GET", "/session", headers=cookie)).status == 200


async def test_a_session_cookie_is_closed_to_scripts_and_other_sites(panel: Panel) -> None:
    """The cookie of a session is for HTTP only and for this site only."""
    answer = await Client(panel.url, None)("POST", "/session", {"token": TOKENS["editor"]})
    _, *attributes = answer.headers["Set-Cookie"].split("; ")
    assert {"HttpOnly", "SameSite=Strict", "Path=/"} <= set(attributes)
    assert TOKENS["editor"] not in str(answer.headers) + answer.body.decode()
    out = await Client(panel.url, None)("DELETE", "/session")
    assert out.status == HTTPStatus.NO_CONTENT
    assert "Max-Age=0" in out.headers["Set-Cookie"]


async def test_posts_of_other_sites_are_refused(panel: Panel) -> None:
    """A session's write needs its CSRF token, and no page of another site can make one, whatever it
    knows: not with the token in a header that only its own page could send either.
    """
    client = Client(panel.url, None)
    answer = await client("POST", "/session", {"token": TOKENS["editor"]})
    cookie, csrf = answer.headers["Set-Cookie"].partition(";")[0], answer.json["csrf_token"]
    good = {"Cookie": cookie, "X-CSRF-Token": csrf}
    bad: list[dict[str, str]] = [
        {"Cookie": cookie},
        {**good, "X-CSRF-Token": "guess"},
        {**good, "Origin": "https://evil.example.com"},
        {**good, "Origin": "null"},
        {**good, "Sec-Fetch-Site": "cross-site"},
        {**good, "Cookie": f"{cookie}; {cookie}"},
    ]
    for headers in bad:
        refused = await client("POST", "/hooks", {"id": "x"}, headers=headers)
        assert refused.status in {401, 403}, headers
    own = {**good, "Origin": panel.url, "Sec-Fetch-Site": "same-origin"}
    for headers in (good, own):
        assert (await client("POST", "/hooks", {"id": "x"}, headers=headers)).status == 422
    form = {**good, "Content-Type": "application/x-www-form-urlencoded"}
    assert (await client("POST", "/hooks", raw=b"id=x", headers=form)).status == 415
    login = {"Origin": "https://evil.example.com"}
    body = {"token": TOKENS["editor"]}
    assert (await client("POST", "/session", body, headers=login)).status == 403


@pytest.mark.parametrize("host", ["evil.example.com", "evil.example.com:8460", "", "10.0.0.1"])
async def test_a_foreign_name_does_not_lead_to_a_local_panel(panel: Panel, host: str) -> None:
    """A panel on loopback refuses requests for any other name (DNS rebinding)."""
    head = f"GET /healthz HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"
    answer = await _raw(panel, head.encode())
    assert answer.startswith((b"HTTP/1.1 421 ", b"HTTP/1.1 400 ")), answer


@pytest.mark.parametrize(
    "path",
    [
        "/api/v1/hooks/%2e%2e", "/api/v1/hooks/..", "/api/v1/../v1/hooks", "/api//v1/hooks",
        "//api/v1/hooks", "/api/v1/hooks/", "/api/v1/hooks/a%2fb", "/api/v1/hooks/a%00",
        "/api/v1/hooks/%2e%2e%2f%2e%2e%2fetc%2fpasswd", "/api/v1/hooks/A", "/api/v1/hooks/a;b",
        "/api/v1/hooks/" + "a" * 65, "/api/v1/%68ooks", "/API/v1/hooks", "/api/v1/hooks\\..",
        "http://127.0.0.1/api/v1/hooks", "/etc/passwd", "/api/v1", "/api/v1/hooks:check/x",
    ],
)  # fmt: skip
async def test_tricks_with_paths_lead_nowhere(panel: Panel, path: str) -> None:
    """A path that differs from a route's in any character is not found, with or without a token."""
    for token in ((), (f"Authorization: Bearer {TOKENS['operator']}",)):
        answer = await _raw(panel, _head(panel, f"GET {path} HTTP/1.1", *token))
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer


async def test_long_bodies_are_refused_unread(panel: Panel) -> None:
    """A body of ten megabytes is refused by its length, and one without a length where it becomes
    too long; without a token it is not read at all.
    """
    client = Client(panel.url)
    limit = await client("POST", "/hooks", raw=b" " * BODY.size)
    assert limit.status == 400
    for status, head in ((413, _head_of(panel, TOKENS["editor"])), (401, _head_of(panel, None))):
        answer = await _raw(panel, head, b"x" * 100_000)
        assert f" {status} ".encode() in answer.partition(b"\r\n")[0]
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = _head(
        panel,
        "POST /api/v1/hooks HTTP/1.1",
        f"Authorization: Bearer {TOKENS['editor']}",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    )
    answer = await _raw(panel, chunked, *[chunk] * 6)
    assert b" 413 " in answer.partition(b"\r\n")[0]
    packed = {"Content-Encoding": "gzip"}
    assert (await client("POST", "/hooks", raw=b"x", headers=packed)).status == 415


def _head_of(panel: Panel, token: str | None) -> bytes:
    headers = ["Content-Type: application/json", "Content-Length: 10485760"]
    if token is not None:
        headers.append(f"Authorization: Bearer {token}")
    return _head(panel, "POST /api/v1/hooks HTTP/1.1", *headers)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{", b"[]", b"null", b'"x"', b"NaN", b'{"a": Infinity}', b"\xff\xfe", b"1",
        b"[" * 100_000, b'{"a":' * 5_000 + b"1" + b"}" * 5_000, b'{"a": "\\ud800"}',
        b'{"id": "x", "timeout": 123456789012345678901234567890}', b"9" * 5_000,
        b'{"id": null}', b'{"id": {"a": [1]}}', b'{"uri": "\\u0000"}',
    ],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/hooks", "/hooks:check", "/hooks:sample", "/hooks:test"])
async def test_odd_bodies_are_refused(panel: Panel, path: str, body: bytes) -> None:
    """A body that is no JSON, or not what the route takes, is refused with a problem."""
    answer = await Client(panel.url)("POST", path, raw=body)
    assert answer.status in {400, 422}, answer.body
    assert answer.headers["Content-Type"] == "application/problem+json"


async def test_slow_clients_are_cut_off(panel: Panel) -> None:
    """A connection on which no whole request comes is closed after the idle time, while others are
    served.
    """
    began = asyncio.get_running_loop().time()
    slow = [
        asyncio.create_task(_raw(panel, sent))
        for sent in (b"", b"GET /healthz HT", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n")
    ]
    assert (await Client(panel.url)("GET", "/healthz")).status == 200
    assert await asyncio.gather(*slow) == [b"", b"", b""]
    assert asyncio.get_running_loop().time() - began < 15


async def test_a_client_that_reads_nothing_is_cut_off(panel: Panel) -> None:
    """A client that asks for more than the sockets' buffers hold, and reads nothing, is cut off."""
    loop = asyncio.get_running_loop()
    ask = _head(panel, "GET /api/v1/openapi.json HTTP/1.1").replace(b"Connection: close\r\n", b"")
    with socket.socket() as client:
        client.setblocking(False)
        client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        await loop.sock_connect(client, ("127.0.0.1", panel.port))

        async def send_for_ever() -> None:
            while True:
                await loop.sock_sendall(client, ask)

        with pytest.raises(ConnectionError):
            await asyncio.wait_for(send_for_ever(), 30)
    assert (await Client(panel.url)("GET", "/healthz")).status == 200


async def test_slow_bodies_hold_up_no_other_request(panel: Panel) -> None:
    """Bodies that do not come, as many as requests may be under way, hold up no other request, and
    end with 408: without a user within two seconds.
    """
    head = _head(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    slow = [
        asyncio.create_task(_raw(panel, head, b"{", peer=f"127.0.0.{2 + number % 2}"))
        for number in range(MAX_REQUESTS + 10)
    ]
    served = await asyncio.gather(*(Client(panel.url)("GET", "/session") for _ in range(10)))
    assert {one.status for one in served} == {200}
    assert {_status(answer) for answer in await asyncio.gather(*slow)} == {408}


async def test_what_needs_no_user_takes_short_bodies_only(panel: Panel) -> None:
    """A log-in's body has 4 KiB at most, by the API and by the page."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, headers in (("/session", {}), ("/login", form), ("/preferences", form)):
        line = path if path != "/session" else "/api/v1/session"
        kinds = headers or {"Content-Type": "application/json"}
        head = _head(
            panel, f"POST {line} HTTP/1.1", f"Content-Length: {OPEN_BODY.size + 1}",
            *(f"{name}: {text}" for name, text in kinds.items()),
        )  # fmt: skip
        assert _status(await _raw(panel, head)) == 413, path


async def test_a_client_that_leaves_is_no_bug(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """A client that leaves before its body is whole is in the log as a request, and not as a
    failure of the panel.
    """
    caplog.set_level("INFO")
    head = _head(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    _, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    writer.write(head + b"{")
    await writer.drain()
    writer.transport.abort()
    await wait_until(
        lambda: [one for one in caplog.records if one.name.startswith("consumer.panel")],
        "the end of the request",
    )
    [line] = [one for one in caplog.records if one.name.startswith("consumer.panel")]
    assert (line.getMessage(), line.levelname) == ("request", "INFO")


class _Hanging:
    """A replay whose plan never comes."""

    began: ClassVar[list[object]] = []
    ended: ClassVar[list[object]] = []

    def __init__(self, *_: object, **__: object) -> None:
        """As `Replay`."""

    async def plan(self) -> None:
        """Hang, and note the end."""
        self.began.append(self)
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.append(self)


def _replay_head(panel: Panel, body: bytes, *headers: str) -> bytes:
    return _head(
        panel, "POST /api/v1/dead-letters:replay HTTP/1.1", "Content-Type: application/json",
        f"Authorization: Bearer {TOKENS['operator']}", f"Content-Length: {len(body)}", *headers,
    )  # fmt: skip


@pytest.mark.parametrize("headers", [(), ("Accept: application/x-ndjson",)])
async def test_a_replay_ends_with_its_client(
    panel: Panel, monkeypatch: pytest.MonkeyPatch, headers: tuple[str, ...]
) -> None:
    """A replay whose client leaves ends, whether it wants lines or one answer, before its first
    line too.
    """
    monkeypatch.setattr("consumer.panel.api_dead_letters.Replay", _Hanging)
    _Hanging.began.clear()
    _Hanging.ended.clear()
    body = b'{"expected": 1}'
    _, writer = await asyncio.open_connection("127.0.0.1", panel.port)
    writer.write(_replay_head(panel, body, *headers) + body)
    await wait_until(lambda: _Hanging.began, "the replay to begin")
    writer.transport.abort()
    await wait_until(lambda: _Hanging.ended, "the replay to end")


async def test_a_first_line_has_its_time(panel: Panel, monkeypatch: pytest.MonkeyPatch) -> None:
    """A request for lines without a first one in the route's time is answered with 503."""
    monkeypatch.setattr("consumer.panel.api_dead_letters.Replay", _Hanging)
    panel.routes.all = [replace(route, seconds=0.2) for route in panel.routes.all]
    body = b'{"expected": 1}'
    head = _replay_head(panel, body, "Accept: application/x-ndjson")
    assert _status(await _raw(panel, head, body)) == 503


async def test_a_body_that_is_no_http_is_no_bug(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """Chunks that are none, and a body that ends too early, are refused as no request."""
    kind = "Content-Type: application/json"
    chunked = _head(panel, "POST /api/v1/session HTTP/1.1", kind, "Transfer-Encoding: chunked")
    assert _status(await _raw(panel, chunked, b"ZZ\r\n{}\r\n")) == 400
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_one_address_keeps_no_other_out(panel: Panel) -> None:
    """An address has a quarter of the connections, however it uses them: others are served while
    its requests hang, and what it opens above that is closed.
    """
    head = _head(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    slow = [
        asyncio.create_task(_raw(panel, head, b"{", peer="127.0.0.2"))
        for _ in range(MAX_CONNECTIONS)
    ]
    assert (await Client(panel.url)("GET", "/session")).status == 200
    statuses = Counter(_status(answer) for answer in await asyncio.gather(*slow))
    assert statuses == {408: MAX_PEER_CONNECTIONS, 0: MAX_CONNECTIONS - MAX_PEER_CONNECTIONS}


async def test_idle_connections_keep_no_client_out(tmp_path: Path) -> None:
    """Above the number of connections that the panel keeps, the oldest idle ones are closed, and
    new ones are served.
    """
    async with running_panel(write(tmp_path, tokens=token_entries()), idle=60.0) as panel:
        connections = [
            await asyncio.open_connection(
                "127.0.0.1", panel.port, local_addr=(f"127.0.0.{2 + number % 5}", 0)
            )
            for number in range(MAX_CONNECTIONS + 20)
        ]
        try:
            assert (await Client(panel.url)("GET", "/healthz")).status == 200
            readers = [reader for reader, _ in connections]
            closed = await asyncio.gather(
                *(reader.read() for reader in readers[:20]), return_exceptions=True
            )
            assert all(end == b"" or isinstance(end, ConnectionError) for end in closed)
            assert not any(reader.at_eof() for reader in readers[-100:])
        finally:
            for _, writer in connections:
                writer.transport.abort()


async def test_long_headers_are_refused(panel: Panel) -> None:
    """A header or first line of more than 8 KiB, and more than some dozens of headers, are
    refused.
    """
    for head in (
        _head(panel, "GET /healthz HTTP/1.1", "X-A: " + "x" * 20_000),
        _head(panel, "GET /" + "x" * 20_000 + " HTTP/1.1"),
        _head(panel, "GET /healthz HTTP/1.1", *(f"X-{number}: 1" for number in range(500))),
    ):
        answer = await _raw(panel, head)
        assert _status(answer) == 400, answer[:100]
        assert b"aiohttp" not in answer


@pytest.mark.parametrize(
    "headers",
    [
        ("Content-Length: 5", "Transfer-Encoding: chunked"),
        ("Content-Length: 5", "Content-Length: 6"),
        ("Transfer-Encoding: chunked, identity",),
        ("X-A: 1\r\n X-Forwarded-User: mallory",),
        ("X-A : 1",),
    ],
)
async def test_a_request_of_two_meanings_is_refused(panel: Panel, headers: tuple[str, ...]) -> None:
    """A request that two servers might read differently (request smuggling) is refused."""
    answer = await _raw(
        panel, _head(panel, "POST /api/v1/session HTTP/1.1", *headers), b"0\r\n\r\n"
    )
    assert _status(answer) in {400, 411}, answer[:100]


def _check_headers(answer: Reply) -> None:
    expected = {
        "Server": "hookstream",
        "Cache-Control": "no-store",
        "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "no-referrer",
    }
    assert {name: answer.headers.get(name) for name in expected} == expected


async def test_every_answer_has_strict_headers(panel: Panel) -> None:
    """Every answer, errors among them, has the headers that keep browsers strict, and allows no
    other site anything.
    """
    client = Client(panel.url)
    for method, path in (
        ("GET", "/healthz"), ("GET", "/api/v1/openapi.json"), ("GET", "/nowhere"),
        ("PATCH", "/hooks"), ("OPTIONS", "/hooks"), ("GET", "/hooks?x=1"), ("GET", "/session"),
    ):  # fmt: skip
        answer = await client(method, path, headers={"Origin": "https://evil.example.com"})
        _check_headers(answer)
        assert not [name for name in answer.headers if name.lower().startswith("access-control")]
    assert (await client("PATCH", "/hooks")).headers["Allow"] == "GET, POST"


async def test_proxy_headers_count_from_trusted_addresses_only(tmp_path: Path) -> None:
    """A user whom a trusted proxy names is let in with the role that it names; a page of another
    site can do nothing with it.
    """
    config = write(tmp_path, trusted_proxies=["127.0.0.1/32"])
    async with running_panel(config) as panel:
        client = Client(panel.url, None)
        seen = (await client("GET", "/session", headers=PROXY_HEADERS)).json
        assert seen == {"name": "mallory", "role": "operator", "how": "proxy", "csrf_token": None}
        assert (await client("GET", "/session")).status == 401
        twice = _head(
            panel, "GET /api/v1/session HTTP/1.1", "X-Forwarded-User: a", "x-forwarded-user: b"
        )
        assert (await _raw(panel, twice)).startswith(b"HTTP/1.1 400 ")
        foreign = {**PROXY_HEADERS, "Sec-Fetch-Site": "cross-site"}
        assert (await client("POST", "/hooks", {}, headers=foreign)).status == 403


async def test_the_link_lets_one_person_in(tmp_path: Path) -> None:
    """Without tokens and proxies the printed link opens a session, once."""
    async with running_panel(write(tmp_path)) as panel:
        client, link = Client(panel.url, None), panel.link
        assert link is not None
        assert (await client("GET", "/login?code=guess")).status == 403
        looked = await client("HEAD", link.removeprefix(panel.url))
        assert (looked.status, looked.headers.get("Set-Cookie")) == (303, None)
        opened = await client("GET", link.removeprefix(panel.url))
        assert (opened.status, opened.headers["Location"]) == (303, "/")
        assert (await client("GET", link.removeprefix(panel.url))).status == 403
        assert panel.link is None
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        seen = (await client("GET", "/session", headers=cookie)).json
        assert (seen["name"], seen["role"], seen["how"]) == ("local", "operator", "session")


async def test_a_log_in_with_odd_bytes_is_refused(panel: Panel) -> None:
    """A mark of a log-in's form that is no text is as any other wrong one."""
    body = b"mark=x&token=x"
    head = _head(
        panel, "POST /login HTTP/1.1", "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}", "Cookie: hookstream_login=\xff",
    )  # fmt: skip
    assert _status(await _raw(panel, head, body)) == 403


async def test_the_ways_to_log_in_change_with_the_settings(tmp_path: Path) -> None:
    """Once the settings have tokens, these open the panel, and the link and its session end; a
    change after which no user could log in is refused.
    """
    async with running_panel(write(tmp_path)) as panel:
        link = (panel.link or "").removeprefix(panel.url)
        by_link, viewer = Client(panel.url, None), Client(panel.url, "viewer")
        before = panel.gate.link
        opened = await by_link("GET", link)
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        assert panel.use(_settings(tmp_path, tokens=token_entries())) == []
        assert before is not None
        assert not panel.gate.is_by_link
        assert (await viewer("GET", "/session")).status == 200
        assert (await by_link("GET", "/session", headers=cookie)).status == 401
        with pytest.raises(HookstreamError, match="nobody could log in"):
            panel.use(_settings(tmp_path))
        assert (await viewer("GET", "/session")).status == 200
    async with running_panel(write(tmp_path)) as panel:
        link = (panel.link or "").removeprefix(panel.url)
        panel.use(_settings(tmp_path, trusted_proxies=["192.0.2.1"]))
        assert panel.link is None
        assert (await Client(panel.url, None)("GET", link)).status == 403


async def test_a_reload_names_what_needs_a_restart(panel: Panel, tmp_path: Path) -> None:
    """A reload takes who may log in, and names all that changed beside it; where the panel listens
    is as it was at the start, and so are the host names that it answers.
    """
    before = _settings(tmp_path, tokens=token_entries(), port=panel.port, host="0.0.0.0")
    update = {"delivery_log": before.delivery_log.model_copy(update={"user_key": SecretStr("k")})}
    settings = before.model_copy(update=update)
    assert panel.use(settings) == ["delivery_log", "panel.host", "panel.port"]
    head = b"GET /healthz HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n"
    assert _status(await _raw(panel, head)) == 421


@pytest.mark.parametrize(
    ("proxies", "warned"), [(["127.0.0.1"], True), (["::/0"], True), (["10.0.0.0/8"], False)]
)
async def test_a_trusted_proxy_on_this_machine_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, proxies: list[str], *, warned: bool
) -> None:
    """A panel that believes proxies of its own machine warns of DNS rebinding at the start."""
    async with running_panel(write(tmp_path, trusted_proxies=proxies)):
        assert ("DNS rebinding" in caplog.text) is warned


async def test_viewers_cannot_search_for_a_user(panel: Panel) -> None:
    """The deliveries of one user are for editors: to others the filter is refused, however the
    answer is asked for.
    """
    for headers in ({}, {"Accept": "application/x-ndjson"}):
        path = "/deliveries?user=canary"
        refused = await Client(panel.url, "viewer")("GET", path, headers=headers)
        assert (refused.status, refused.kind) == (403, "forbidden")
        assert (await Client(panel.url, "editor")("GET", path, headers=headers)).status == 503


async def test_a_broker_that_is_away_is_told_in_time(panel: Panel) -> None:
    """While no broker answers, what needs one is answered with 503, a sentence and Retry-After, in
    bounded time; the rest goes on.
    """
    client = Client(panel.url)
    began = asyncio.get_running_loop().time()
    asked = await asyncio.gather(
        client("GET", "/hooks"),
        client("GET", "/hooks/h-1"),
        client("POST", "/hooks", {"id": "h", "trigger": "event", "uri": "https://a.example.com"}),
        client("GET", "/replicas"),
        client("GET", "/audit"),
    )
    assert {one.status for one in asked} == {503}
    assert {one.kind for one in asked} == {"unavailable"}
    assert all(one.headers["Retry-After"] for one in asked)
    assert asyncio.get_running_loop().time() - began < 30
    definition = {"id": "h", "trigger": "event", "uri": "https://a.example.com"}
    assert (await client("POST", "/hooks:check", definition)).status == 200


async def test_the_log_has_no_secrets_and_no_paths(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """The access log names route, status and user, and neither tokens, cookies, queries nor bodies
    of requests.
    """
    caplog.set_level("DEBUG")
    client = Client(panel.url)
    await client("GET", "/hooks:canary-path?canary-query=1")
    await client("POST", "/hooks:check", {"id": "canary-body"})
    await client("POST", "/session", {"token": "canary-token"})
    await client("GET", "/session", headers={"Authorization": "Bearer canary-bearer"})
    lines = [record for record in caplog.records if record.getMessage() == "request"]
    fields: list[dict[str, object]] = [record.__dict__["fields"] for record in lines]
    assert [one["route"] for one in fields] == [
        "", "POST /api/v1/hooks:check", "POST /api/v1/session", "GET /api/v1/session"
    ]  # fmt: skip
    assert fields[1]["who"] == "operator"
    text = orjson.dumps([record.__dict__ for record in caplog.records], default=str).decode()
    assert "canary" not in text
    assert TOKENS["operator"] not in text
