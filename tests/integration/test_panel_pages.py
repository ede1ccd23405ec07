"""The pages over HTTP: who may see and do what, what forms must have, what comes out as text."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any
from urllib.parse import quote

import pytest

from consumer.control.records import Action, AuditRecord
from consumer.control.status import HookProblem
from consumer.panel.pages.assets import assets
from consumer.services.catalogue import HookState
from consumer.services.hook_reader import HookChanges
from consumer.services.replicas import Replica
from consumer.services.topic_view import UnavailableError
from consumer.settings import PanelSettings
from support.fakes import FakeClock
from support.page_data import PageData, attempt, full, report
from support.panel import TOKENS
from support.panel_browser import PATHS
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field

HOSTILE = "\"'><script>alert(1)</script>&<img src=x onerror=alert(1)>{{7*7}}"
MAX_PAGE_BYTES = 100_000


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


@pytest.mark.parametrize("path", [*PATHS.values(), "/", "/reports.csv"])
async def test_a_page_without_a_session_leads_to_the_log_in(panel: ServedPages, path: str) -> None:
    """A page is shown after a log-in only, which then leads back to it."""
    answer = await Visitor(panel)("GET", path)
    if path == PATHS["problem"]:
        assert answer.status == 404
        return
    assert answer.status == 303
    assert answer.headers["Location"] == f"/login?next={quote(path, safe='')}"


async def test_a_script_without_a_session_spoils_no_log_in(panel: ServedPages) -> None:
    """A log-in that a person sees stays good though a script of an earlier page asks for something
    meanwhile, and is led to the log-in too.
    """
    visitor = Visitor(panel)
    mark = field(await visitor("GET", "/login"), "mark")
    await visitor("GET", "/login", Sec_Fetch_Dest="empty")
    form = {"mark": mark, "next": "/", "token": TOKENS["viewer"]}
    assert (await visitor("POST", "/login", form)).status == 303


async def test_pages_have_a_strict_policy(panel: ServedPages) -> None:
    """Every page forbids foreign code, frames and forms, and is kept by no cache, except that a
    form is kept by its browser for its own Back.
    """
    visitor = await Visitor(panel).log_in("viewer")
    for path in PATHS.values():
        headers = (await visitor("GET", path)).headers
        policy = dict(
            part.strip().split(" ", 1) for part in headers["Content-Security-Policy"].split(";")
        )
        assert policy == {
            "default-src": "'none'", "style-src": "'self'", "script-src": "'self'",
            "connect-src": "'self'", "img-src": "'self'", "form-action": "'self'",
            "frame-ancestors": "'none'", "base-uri": "'none'",
        }  # fmt: skip
        is_form = path.startswith("/compose")  # the only one for viewers
        assert headers["Cache-Control"] == ("private, no-cache" if is_form else "no-store")
        assert headers["X-Content-Type-Options"] == "nosniff"


async def test_files_of_pages_are_kept_for_ever_under_their_own_names(panel: ServedPages) -> None:
    """A style sheet needs no log-in, is compressed, and another content would have another name."""
    for name, asset in assets().items():
        answer = await Visitor(panel)("GET", asset.path, Accept_Encoding="gzip")
        assert (answer.status, answer.body) == (200, asset.body), name
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["Content-Encoding"] == "gzip"
    assert (await Visitor(panel)("GET", "/static/panel.0.css")).status == 404
    assert (await Visitor(panel)("GET", "/static/../panel.py")).status == 404


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_a_replay_is_for_operators(panel: ServedPages, role: str) -> None:
    """Others see neither the button nor the question, and their form is refused."""
    visitor = await Visitor(panel).log_in(role)
    assert b"/dead-letters/replay" not in (await visitor("GET", "/dead-letters")).body
    assert (await visitor("GET", "/dead-letters/replay")).status == 403
    csrf = await _csrf(visitor, role)
    answer = await visitor("POST", "/dead-letters/replay", {"csrf": csrf, "expected": "12"})
    assert (answer.status, panel.data.sent) == (403, 0)


async def _csrf(visitor: Visitor, role: str) -> str:
    if role == "viewer":
        return ""
    return field(await visitor("GET", "/deliveries"), "csrf")


async def test_a_form_needs_the_mark_of_its_session(panel: ServedPages) -> None:
    """A replay without its session's CSRF token, or with another's, is asked for again; one of
    another site is refused. None of them is carried out.
    """
    visitor, other = (
        await Visitor(panel).log_in("operator"),
        await Visitor(panel).log_in("operator"),
    )
    csrf = field(await visitor("GET", "/dead-letters/replay"), "csrf")
    foreign = field(await other("GET", "/dead-letters/replay"), "csrf")
    path, form = "/dead-letters/replay", {"csrf": csrf, "expected": "12"}
    assert (await visitor("POST", path, {"expected": "12"})).status == 200
    assert (await visitor("POST", path, {**form, "csrf": foreign})).status == 200
    assert (await visitor("POST", path, form, Sec_Fetch_Site="cross-site")).status == 403
    assert (await visitor("POST", path, form, Origin="https://evil.example")).status == 403
    assert panel.data.sent == 0
    assert (await visitor("POST", path, form, Origin=panel.url)).status == 303
    assert panel.data.sent == 12


async def test_no_other_page_can_log_a_person_in(panel: ServedPages) -> None:
    """A log-in without the mark that its own page gave this browser is refused."""
    visitor = Visitor(panel)
    mark = field(await Visitor(panel)("GET", "/login"), "mark")
    form = {"mark": mark, "next": "/hooks", "token": TOKENS["operator"]}
    assert (await visitor("POST", "/login", form)).status == 403
    await visitor("GET", "/login")
    assert (await visitor("POST", "/login", form)).status == 403
    assert "hookstream_panel" not in visitor.cookies


async def test_behind_a_proxy_a_form_must_come_from_a_browser_page() -> None:
    """A proxy's user has no session and no mark, so the browser must say where a form is from:
    else it is shown again, and not carried out.
    """
    settings = PanelSettings(trusted_proxies=("127.0.0.1",))
    with served_pages(full(FakeClock()), panel=settings) as panel:
        user = {"X-Forwarded-User": "ayse", "X-Forwarded-Role": "operator"}
        visitor, form = Visitor(panel, user), {"expected": "12"}
        path = "/dead-letters/replay"
        assert b"Log out" not in (await visitor("GET", path)).body
        assert (await visitor("POST", path, form)).status == 200
        assert panel.data.sent == 0
        assert (await visitor("POST", path, form, Sec_Fetch_Site="same-origin")).status == 303
        assert panel.data.sent == 12


async def test_a_list_of_hooks_says_when_no_replica_runs(panel: ServedPages) -> None:
    """Hooks that are on send nothing without a replica: the list says so then, and only then."""
    visitor = await Visitor(panel).log_in("viewer")
    assert b"No replica runs" not in (await visitor("GET", "/hooks")).body
    panel.data.running.clear()
    assert b"No replica runs" in (await visitor("GET", "/hooks")).body
    panel.data.entries.clear()
    assert b"No replica runs" not in (await visitor("GET", "/hooks")).body


async def test_users_data_is_for_editors(panel: ServedPages) -> None:
    """A viewer sees which hooks fire for an event, and none of its values; nor may one look a user
    up.
    """
    viewer, editor = await Visitor(panel).log_in("viewer"), await Visitor(panel).log_in("editor")
    path = PATHS["event"]
    seen, all_of_it = (await viewer("GET", path)).body, (await editor("GET", path)).body
    for value in ("İstanbul", "user-1", "shoes"):
        assert value.encode() in all_of_it
        assert value.encode() not in seen
    assert b"click-analytics" in seen
    person = "/deliveries?person=" + "0" * 32
    assert (await viewer("GET", person)).status == 403
    assert (await editor("GET", person)).status == 200
    assert (await viewer("POST", "/deliveries", {"user": "user-1"})).status == 403


@pytest.mark.parametrize("path", ["/hooks?stat=on", "/audit?x=1", "/replicas?a=b", "/event?red=1"])
async def test_an_unknown_parameter_is_refused(panel: ServedPages, path: str) -> None:
    """A mistyped filter is an error with a hint, and not a page that ignores it."""
    visitor = await Visitor(panel).log_in("viewer")
    answer = await visitor("GET", path)
    assert answer.status == 422
    assert b"is not known here" in answer.body


async def test_every_text_comes_out_as_text() -> None:
    """Markup in definitions, events, answers, comments and queries is shown and not obeyed."""
    with served_pages(_hostile()) as panel:
        visitor = await Visitor(panel).log_in("operator")
        query = f"q={quote(HOSTILE)}"
        paths = [
            f"/hooks?{query}", "/hooks", "/hooks/hostile", "/deliveries", "/audit", "/replicas",
            "/events?trigger=event", "/event?trigger=event&ref=event/0/1", "/dead-letters",
            "/dead-letters/replay", "/reports", f"/audit?hook={query[2:]}",
            f"/deliveries?event={query[2:]}", f"/delivery?id={query[2:]}&hook=hostile",
            f"/reports?since={query[2:]}", f"/dead-letters?reason={query[2:]}",
            f"/login?next={query[2:]}", f"/nothing?{query}",
        ]  # fmt: skip
        for path in paths:
            answer = await visitor("GET", path)
            text = answer.body.decode()
            assert answer.status in {200, 404, 422}, path
            assert "<script>alert" not in text, path
            assert "<img src=x" not in text, path
            if path not in {"/reports", f"/login?next={query[2:]}", f"/nothing?{query}"}:
                assert "&lt;script&gt;alert(1)" in text, path


def _hostile() -> PageData:
    data = PageData(FakeClock())
    now = data.clock.now()
    definition: dict[str, Any] = {
        "id": "hostile", "name": HOSTILE, "owner": HOSTILE, "trigger": "event",
        "select": [HOSTILE], "uri": "https://e.example/{a}",
        "uri_parameters": {"a": {"label": HOSTILE, "default": HOSTILE}},
        "parameters": [{"key": HOSTILE, "source": "event", "value": f"data.{HOSTILE}"}],
    }  # fmt: skip
    data.add_hook(definition, revision=1, state=HookState.PROBLEM, problem=HOSTILE, refused=True)
    data.add_hook({**definition, "id": "works", "uri": "https://e.example/", "uri_parameters": {}})
    data.add_event(
        "event",
        {"id": HOSTILE, "app": HOSTILE, "user": {"id": HOSTILE},
         "data": {"event_key": HOSTILE, HOSTILE: HOSTILE}},
        1,
    )  # fmt: skip
    data.log = [
        attempt(now, "hostile", HOSTILE, 1, status=None, error=HOSTILE, reason=HOSTILE,
                replica=HOSTILE, trace=HOSTILE, source=HOSTILE, retry_at=HOSTILE)
    ]  # fmt: skip
    data.report_list = [report("hostile", now - now % 3600, good=1)]
    data.add_dead_letter(HOSTILE, HOSTILE, now, detail=HOSTILE)
    data.history = [
        AuditRecord(HOSTILE, HOSTILE, Action.CREATED, HOSTILE, 1, None, definition, HOSTILE),
        AuditRecord(HOSTILE, HOSTILE, Action.CHANGED, "hostile", 1, definition, {}, HOSTILE),
    ]
    status = full(FakeClock()).running[1].status
    problem = HookProblem(HOSTILE, HOSTILE, 1)
    data.running = [
        Replica(
            replace(
                status, replica=HOSTILE, version=HOSTILE, started_at=HOSTILE, problems=[problem],
                partitions={HOSTILE: [0]}, open_circuits=[HOSTILE], learned_rates={HOSTILE: 1.0},
            ),
            1,
        )
    ]  # fmt: skip
    return data


async def test_the_list_of_ten_thousand_hooks_is_a_small_page() -> None:
    """A page has its part of the hooks, however many there are."""
    data = PageData(FakeClock())
    for index in range(10_000):
        name = f"A hook with a rather long name for its part, number {index}"
        definition = {"id": f"hook-{index:05}", "name": name, "trigger": "event"}
        data.add_hook(definition, revision=1, refused=True)
    with served_pages(data) as panel:
        visitor = await Visitor(panel).log_in("viewer")
        answer = await visitor("GET", "/hooks?page=100")
        assert len(answer.body) < MAX_PAGE_BYTES
        assert b"Page 100 of 200" in answer.body


async def test_pages_without_their_data_are_small() -> None:
    """No page, its style and its script is over 100 KB without data."""
    files = sum(len(asset.body) for asset in assets().values())
    with served_pages(PageData(FakeClock())) as empty:
        visitor = await Visitor(empty).log_in("operator")
        for path in ("/hooks", "/deliveries", "/reports", "/dead-letters", "/events", "/audit"):
            assert len((await visitor("GET", path)).body) + files < MAX_PAGE_BYTES


class _AwayData(PageData):
    """An installation whose history and statuses cannot be read."""

    async def changes(self, hook_id: str, seconds: float | None = None) -> HookChanges:
        """No answer."""
        del seconds
        raise UnavailableError(f"Kafka has not answered about {hook_id}")

    async def replicas(self) -> Sequence[Replica]:
        """No answer."""
        raise UnavailableError("Kafka has not answered")


async def test_a_hook_is_shown_without_its_history_and_replicas() -> None:
    """A hook's page shows the definition and says what is missing if the history and the statuses
    cannot be read.
    """
    data = _AwayData(FakeClock())
    data.add_hook({"id": "h", "name": "Hook", "trigger": "event", "uri": "https://a.example.com"})
    with served_pages(data) as panel:
        visitor = await Visitor(panel).log_in("viewer")
        page = await visitor("GET", "/hooks/h", Accept_Language="en")
        assert page.status == 200
        for text in ("Hook", "The history cannot be read now.", "The replicas cannot be read now."):
            assert text in page.body.decode()
        assert (await visitor("GET", "/hooks/other")).status == 503  # it may have been deleted
