"""Long, odd and slow bodies and headers: each is refused, and none holds up another request."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from consumer.panel.panel import Panel
from consumer.panel.server import MAX_REQUESTS
from consumer.panel.transfer import BODY, OPEN_BODY
from support.bare_panel import head_of, raw, status_of, write_panel
from support.panel import TOKENS, Client, running_panel, token_entries


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel with a token for each role, on loopback."""
    async with running_panel(write_panel(tmp_path, tokens=token_entries()), idle=1.0) as panel:
        yield panel


async def test_long_bodies_are_refused_unread(panel: Panel) -> None:
    """A body of ten megabytes is refused by its length, and one without a length where it becomes
    too long; without a token it is not read at all.
    """
    client = Client(panel.url)
    limit = await client("POST", "/hooks", raw=b" " * BODY.size)
    assert limit.status == 400
    for status, head in (
        (413, _long_head(panel, TOKENS["editor"])),
        (401, _long_head(panel, None)),
    ):
        answer = await raw(panel, head, b"x" * 100_000)
        assert f" {status} ".encode() in answer.partition(b"\r\n")[0]
    chunk = b"10000\r\n" + b" " * 0x10000 + b"\r\n"
    chunked = head_of(
        panel,
        "POST /api/v1/hooks HTTP/1.1",
        f"Authorization: Bearer {TOKENS['editor']}",
        "Content-Type: application/json",
        "Transfer-Encoding: chunked",
    )
    answer = await raw(panel, chunked, *[chunk] * 6)
    assert b" 413 " in answer.partition(b"\r\n")[0]
    packed = {"Content-Encoding": "gzip"}
    assert (await client("POST", "/hooks", raw=b"x", headers=packed)).status == 415


def _long_head(panel: Panel, token: str | None) -> bytes:
    headers = ["Content-Type: application/json", "Content-Length: 10485760"]
    if token is not None:
        headers.append(f"Authorization: Bearer {token}")
    return head_of(panel, "POST /api/v1/hooks HTTP/1.1", *headers)


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


async def test_slow_bodies_hold_up_no_other_request(panel: Panel) -> None:
    """Bodies that do not come, as many as requests may be under way, hold up no other request, and
    end with 408: without a user within two seconds.
    """
    head = head_of(
        panel, "POST /api/v1/session HTTP/1.1", "Content-Type: application/json",
        "Content-Length: 100",
    )  # fmt: skip
    slow = [
        asyncio.create_task(raw(panel, head, b"{", peer=f"127.0.0.{2 + number % 2}"))
        for number in range(MAX_REQUESTS + 10)
    ]
    served = await asyncio.gather(*(Client(panel.url)("GET", "/session") for _ in range(10)))
    assert {one.status for one in served} == {200}
    assert {status_of(answer) for answer in await asyncio.gather(*slow)} == {408}


async def test_what_needs_no_user_takes_short_bodies_only(panel: Panel) -> None:
    """A log-in's body has 4 KiB at most, by the API and by the page."""
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    for path, headers in (("/session", {}), ("/login", form), ("/preferences", form)):
        line = path if path != "/session" else "/api/v1/session"
        kinds = headers or {"Content-Type": "application/json"}
        head = head_of(
            panel, f"POST {line} HTTP/1.1", f"Content-Length: {OPEN_BODY.size + 1}",
            *(f"{name}: {text}" for name, text in kinds.items()),
        )  # fmt: skip
        assert status_of(await raw(panel, head)) == 413, path


async def test_a_body_that_is_no_http_is_no_bug(
    panel: Panel, caplog: pytest.LogCaptureFixture
) -> None:
    """Chunks that are none, and a body that ends too early, are refused as no request."""
    kind = "Content-Type: application/json"
    chunked = head_of(panel, "POST /api/v1/session HTTP/1.1", kind, "Transfer-Encoding: chunked")
    assert status_of(await raw(panel, chunked, b"ZZ\r\n{}\r\n")) == 400
    assert not [one for one in caplog.records if one.levelname == "ERROR"]


async def test_long_headers_are_refused(panel: Panel) -> None:
    """A header or first line of more than 8 KiB, and more than some dozens of headers, are
    refused.
    """
    for head in (
        head_of(panel, "GET /healthz HTTP/1.1", "X-A: " + "x" * 20_000),
        head_of(panel, "GET /" + "x" * 20_000 + " HTTP/1.1"),
        head_of(panel, "GET /healthz HTTP/1.1", *(f"X-{number}: 1" for number in range(500))),
    ):
        answer = await raw(panel, head)
        assert status_of(answer) == 400, answer[:100]
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
    answer = await raw(
        panel, head_of(panel, "POST /api/v1/session HTTP/1.1", *headers), b"0\r\n\r\n"
    )
    assert status_of(answer) in {400, 411}, answer[:100]


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (b'{"id": "a", "uri": "https://a.example", "id": "b"}', "id"),
        (b'{"id": "a", "headers": [{"key": "a", "key": "b"}]}', "key"),
        (b'{"hook": "a", "event": {"data": {"price": 1, "price": 2}}}', "price"),
        (b'{"\\ud800": 1, "\\ud800": 2}', "\\ud800"),
    ],
)
async def test_a_key_that_is_there_twice_is_refused(panel: Panel, body: bytes, field: str) -> None:
    """A body with a key twice in one object is refused, and the answer names the key: two readers
    might each take another of its values.
    """
    for path in ("/hooks", "/hooks:check", "/hooks:sample"):
        answer = await Client(panel.url)("POST", path, raw=body)
        assert (answer.status, answer.kind) == (422, "invalid"), answer.body
        [problem] = answer.json["problems"]
        assert (problem["field"], problem["hint"]) == (field, "give it once")


async def test_a_comment_is_one_line(panel: Panel) -> None:
    """A comment with a line end is refused before anything is asked."""
    definition = {"id": "h", "trigger": "event", "uri": "https://a.example.com"}
    answer = await Client(panel.url)("POST", "/hooks?comment=a%0Ab", definition)
    assert (answer.status, answer.json["problems"][0]["field"]) == (422, "comment")


async def test_a_weak_etag_is_refused_with_a_hint(panel: Panel) -> None:
    """An `If-Match` with a weak ETag, as some proxies make it, is refused with a hint."""
    definition = {"id": "h", "trigger": "event", "uri": "https://a.example.com"}
    weak = {"If-Match": 'W/"7"'}
    answer = await Client(panel.url)("PUT", "/hooks/h", definition, headers=weak)
    assert answer.status == 400
    assert "send it without W/" in answer.json["detail"]
