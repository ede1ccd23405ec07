"""The ways into the panel without a broker: tokens, sessions, proxies and the link."""

from collections.abc import AsyncIterator
from http import HTTPStatus
from pathlib import Path

import pytest
from pydantic import SecretStr

from consumer.errors import HookstreamError
from consumer.panel.failures import ADDRESS_FAILURES
from consumer.panel.panel import Panel
from support.bare_panel import changed_settings, head_of, raw, status_of, write_panel
from support.panel import TOKENS, Client, running_panel, token_entries

PROXY_HEADERS = {"X-Forwarded-User": "mallory", "X-Forwarded-Role": "operator"}


@pytest.fixture
async def panel(tmp_path: Path) -> AsyncIterator[Panel]:
    """A panel with a token for each role, on loopback."""
    async with running_panel(write_panel(tmp_path, tokens=token_entries()), idle=1.0) as panel:
        yield panel


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


async def test_proxy_headers_count_from_trusted_addresses_only(tmp_path: Path) -> None:
    """A user whom a trusted proxy names is let in with the role that it names; a page of another
    site can do nothing with it.
    """
    config = write_panel(tmp_path, trusted_proxies=["127.0.0.1/32"])
    async with running_panel(config) as panel:
        client = Client(panel.url, None)
        seen = (await client("GET", "/session", headers=PROXY_HEADERS)).json
        assert seen == {"name": "mallory", "role": "operator", "how": "proxy", "csrf_token": None}
        assert (await client("GET", "/session")).status == 401
        twice = head_of(
            panel, "GET /api/v1/session HTTP/1.1", "X-Forwarded-User: a", "x-forwarded-user: b"
        )
        assert (await raw(panel, twice)).startswith(b"HTTP/1.1 400 ")
        foreign = {**PROXY_HEADERS, "Sec-Fetch-Site": "cross-site"}
        assert (await client("POST", "/hooks", {}, headers=foreign)).status == 403


async def test_the_link_lets_one_person_in(tmp_path: Path) -> None:
    """Without tokens and proxies the printed link opens a session, once."""
    async with running_panel(write_panel(tmp_path)) as panel:
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
    head = head_of(
        panel, "POST /login HTTP/1.1", "Content-Type: application/x-www-form-urlencoded",
        f"Content-Length: {len(body)}", "Cookie: hookstream_login=\xff",
    )  # fmt: skip
    assert status_of(await raw(panel, head, body)) == 403


async def test_a_reload_names_what_needs_a_restart(panel: Panel, tmp_path: Path) -> None:
    """A reload takes who may log in, and names all that changed beside it; where the panel listens
    is as it was at the start, and so are the host names that it answers.
    """
    before = changed_settings(tmp_path, tokens=token_entries(), port=panel.port, host="0.0.0.0")
    update = {"delivery_log": before.delivery_log.model_copy(update={"user_key": SecretStr("k")})}
    settings = before.model_copy(update=update)
    assert panel.use(settings) == ["delivery_log", "panel.host", "panel.port"]
    head = b"GET /healthz HTTP/1.1\r\nHost: evil.example.com\r\nConnection: close\r\n\r\n"
    assert status_of(await raw(panel, head)) == 421


@pytest.mark.parametrize(
    ("proxies", "warned"), [(["127.0.0.1"], True), (["::/0"], True), (["10.0.0.0/8"], False)]
)
async def test_a_trusted_proxy_on_this_machine_is_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, proxies: list[str], *, warned: bool
) -> None:
    """A panel that believes proxies of its own machine warns of DNS rebinding at the start."""
    async with running_panel(write_panel(tmp_path, trusted_proxies=proxies)):
        assert ("DNS rebinding" in caplog.text) is warned


async def test_the_ways_to_log_in_change_with_the_settings(tmp_path: Path) -> None:
    """Once the settings have tokens, these open the panel, and the link and its session end; a
    change after which no user could log in is refused.
    """
    async with running_panel(write_panel(tmp_path)) as panel:
        link = (panel.link or "").removeprefix(panel.url)
        by_link, viewer = Client(panel.url, None), Client(panel.url, "viewer")
        before = panel.gate.link
        opened = await by_link("GET", link)
        cookie = {"Cookie": opened.headers["Set-Cookie"].partition(";")[0]}
        assert panel.use(changed_settings(tmp_path, tokens=token_entries())) == []
        assert before is not None
        assert not panel.gate.is_by_link
        assert (await viewer("GET", "/session")).status == 200
        assert (await by_link("GET", "/session", headers=cookie)).status == 401
        with pytest.raises(HookstreamError, match="nobody could log in"):
            panel.use(changed_settings(tmp_path))
        assert (await viewer("GET", "/session")).status == 200
    async with running_panel(write_panel(tmp_path)) as panel:
        link = (panel.link or "").removeprefix(panel.url)
        panel.use(changed_settings(tmp_path, trusted_proxies=["192.0.2.1"]))
        assert panel.link is None
        assert (await Client(panel.url, None)("GET", link)).status == 403
