"""Attacks on the panel. It has no broker here: every attack must fail before one is asked."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import orjson
import pytest

from consumer.panel.panel import Panel
from consumer.panel.routes import Route
from consumer.settings import ROLES
from support.bare_panel import head_of, raw, write_panel
from support.panel import TOKENS, Client, Reply, running_panel, token_entries

PROXY_HEADERS = {"X-Forwarded-User": "mallory", "X-Forwarded-Role": "operator"}
PATH_VALUES = {"id": "h-1", "trigger": "event"}


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel with a token for each role, on loopback."""
    async with running_panel(write_panel(tmp_path, tokens=token_entries()), idle=1.0) as panel:
        yield panel


def _path(route: Route) -> str:
    path = route.url
    for name, value in PATH_VALUES.items():
        path = path.replace(f"{{{name}}}", value)
    return path


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
    answer = await raw(panel, head.encode())
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
        answer = await raw(panel, head_of(panel, f"GET {path} HTTP/1.1", *token))
        assert answer.startswith((b"HTTP/1.1 404 ", b"HTTP/1.1 400 ")), answer


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
