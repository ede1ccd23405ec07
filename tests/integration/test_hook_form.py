"""The form of a hook over HTTP, as a browser without script sends it."""

import re
from collections.abc import Iterator, Mapping
from html import unescape
from typing import Any

import pytest

from consumer.panel.credentials import SESSION_SECONDS
from consumer.panel.pages.assets import assets
from consumer.panel.pages.hook_form_page import MAX_KEPT_SECRETS
from consumer.services.catalogue import HookEntry
from consumer.services.hooks import Who
from consumer.services.topic_view import UnavailableError
from consumer.settings import PanelSettings
from support.fakes import FakeClock
from support.page_changes import PageChanges
from support.page_data import PageData, full
from support.panel import TOKENS, Reply
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field

HOSTILE = "\"'><script>alert(1)</script>&<img src=x onerror=alert(1)>{{7*7}}"
MAX_PAGE_BYTES = 100_000
NEW = "/hooks/new"
EDIT = "/hooks/click-analytics/edit"
_INPUT = re.compile(r"<input\b[^>]*>")
_SELECT = re.compile(r'<select id="[^"]*" name="([^"]*)".*?</select>', re.DOTALL)
_TEXT = re.compile(r'<textarea id="[^"]*" name="([^"]*)"[^>]*>\n(.*?)</textarea>', re.DOTALL)
DEFINITION = {"id": "h", "name": "Hook", "trigger": "event", "uri": "https://e.example/"}
SEED: dict[str, str] = {
    "name": "Category views", "uri": "https://e.example/c/{campaign}", "trigger": "event",
    "method": "GET", "select": "view", "enabled": "on",
    "labels.0.name": "campaign", "labels.0.label": "Campaign code",
    "headers.0.key": "X-Category", "headers.0.source": "event",
    "headers.0.value": "data.category",
}  # fmt: skip


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


@pytest.fixture
async def editor(panel: ServedPages) -> Visitor:
    """An editor who is logged in, and reads English."""
    return await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")


def fields(page: Reply, action: str) -> dict[str, str]:
    """The fields of a page's form as a browser would post them, without its buttons."""
    text = re.sub(r"<template.*?</template>", "", page.body.decode(), flags=re.DOTALL)
    start = text.index(f'action="{action}"')
    text, found = text[start : text.index("</form>", start)], dict[str, str]()
    for tag in _INPUT.findall(text):
        given = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("type") != "checkbox" or " checked" in tag:
            found[given["name"]] = given.get("value", "")
    for match in _SELECT.finditer(text):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', match[0])
        first = re.search(r'<option value="([^"]*)"', match[0])
        value = (chosen[1] if chosen[1] is not None else chosen[2]) if chosen else None
        found[match[1]] = unescape(value if value is not None else first[1] if first else "")
    found |= {name: unescape(value) for name, value in _TEXT.findall(text)}
    return found


async def _press(visitor: Visitor, path: str, form: Mapping[str, str], button: str) -> Reply:
    csrf = form.get("csrf") or field(await visitor("GET", NEW), "csrf")
    return await visitor("POST", path, {**form, "csrf": csrf, button: ""})


async def _save(visitor: Visitor, path: str, form: Mapping[str, str]) -> Reply:
    review = await _press(visitor, path, form, "review")
    assert review.status == 200, review.body.decode()
    return await _press(visitor, path, fields(review, path), "save")


async def _definition(panel: ServedPages, hook_id: str) -> Mapping[str, Any]:
    found = (await panel.data.hook(hook_id)).definition
    assert found is not None
    return found


async def test_the_seeds_hook_is_made_without_script(panel: ServedPages, editor: Visitor) -> None:
    """A hook is made by buttons alone: validated, labelled, reviewed, saved; nothing is written
    before, and the id comes from the name.
    """
    empty = fields(await editor("GET", NEW), NEW)
    page = await _press(
        editor, NEW, {**empty, "name": "Görüntülenen", "uri": SEED["uri"]}, "validate"
    )
    form = fields(page, NEW)
    assert (page.status, form["labels.0.name"], form["name"]) == (200, "campaign", "Görüntülenen")
    assert b"troubles" not in page.body
    form |= {"labels.0.label": "Campaign code", "trigger": "event", "select": "view\r\nbuy"}
    form = fields(await _press(editor, NEW, form, "add-header"), NEW)
    form |= {"headers.0.key": "X-Category", "headers.0.value": "data.category"}
    form = fields(
        await _press(editor, NEW, form | {"headers.0.source": "event"}, "add-parameter"), NEW
    )
    form |= {"parameters.0.key": "uid", "parameters.0.value": "id"}
    review = await _press(editor, NEW, form, "review")
    assert b"Make the hook G" in review.body
    assert len(panel.data.entries) == 3
    carried = {**fields(review, NEW), "comment": "the first one"}
    saved = await _press(editor, NEW, carried, "save")
    assert (saved.status, saved.headers["Location"]) == (303, "/hooks/goruntulenen?done=created")
    assert await _definition(panel, "goruntulenen") == {
        "id": "goruntulenen", "name": "Görüntülenen", "trigger": "event",
        "select": ["view", "buy"], "uri": SEED["uri"],
        "uri_parameters": {"campaign": {"label": "Campaign code"}},
        "headers": [{"key": "X-Category", "source": "event", "value": "data.category"}],
        "parameters": [{"key": "uid", "source": "profile", "value": "id"}],
    }  # fmt: skip
    assert (panel.data.history[-1].by, panel.data.history[-1].comment) == (
        "editor",
        "the first one",
    )


async def test_what_is_wrong_is_told_beside_its_field_and_above(editor: Visitor) -> None:
    """Each problem of the daemon's own check is at its field, by which it is described, and in a
    summary that leads there; what was typed stays.
    """
    wrong = SEED | {
        "id": "Not an id", "uri": "ftp://e.example/{campaign}", "headers.0.key": "Bad Name",
        "labels.0.label": "", "rate_limit.requests": "many", "others": "timeout: soon\nx: 1",
    }  # fmt: skip
    page = await _press(editor, NEW, wrong, "review")
    text = page.body.decode()
    assert page.status == 422
    for name in ("id", "uri", "headers.0.key", "labels.0.label", "rate_limit.requests", "others"):
        assert f'href="#f-{name}"' in text, name
        assert f'id="f-{name}"' in text, name
        assert f'id="p-{name}"' in text, name
        described = re.search(rf'id="f-{re.escape(name)}"[^>]*aria-describedby="([^"]*)"', text)
        assert described is not None, name
        assert f"p-{name}" in described[1].split(), name
    assert "is not a header name" in text
    found = fields(page, NEW)
    assert {name: found[name] for name in wrong} == wrong


async def test_a_change_is_shown_before_it_is_saved(panel: ServedPages, editor: Visitor) -> None:
    """The review names each field with its value before and after; the saved change is a new
    revision, and all that the form has no field for is kept.
    """
    before = {**await _definition(panel, "click-analytics"), "timeout": "5s", "retry_on": [403]}
    await PageChanges(panel.data).change("click-analytics", before, 3, Who("api"), dry_run=False)
    form = fields(await editor("GET", EDIT), EDIT)
    assert form["others"] == "timeout: 5s\nretry_on:\n- 403\n"
    review = await _press(editor, EDIT, form | {"headers.1.value": "town"}, "review")
    text = unescape(review.body.decode())
    assert "Header 2, Value" in text
    assert "</span>city</del>" in text
    assert "</span>town</ins>" in text
    saved = await _press(editor, EDIT, fields(review, EDIT), "save")
    assert saved.headers["Location"] == "/hooks/click-analytics?done=changed"
    after = await _definition(panel, "click-analytics")
    assert after == before | {
        "headers": [before["headers"][0], before["headers"][1] | {"value": "town"}]
    }


async def test_a_form_without_a_change_says_so(panel: ServedPages, editor: Visitor) -> None:
    """A review of a form that nothing was changed in has no button to save."""
    form = fields(await editor("GET", EDIT), EDIT)
    review = await _press(editor, EDIT, form, "review")
    assert b"Nothing of Click analytics would change" in review.body
    assert b'name="save"' not in review.body
    back = await _press(editor, EDIT, fields(review, EDIT), "edit")
    again = fields(back, EDIT)
    assert {name: text for name, text in again.items() if text} == {
        name: text for name, text in form.items() if text
    }
    assert len(panel.data.history) == 3


async def test_two_editors_lose_nothing(panel: ServedPages, editor: Visitor) -> None:
    """The second one to save is told who changed what, and keeps the text; it is saved on top
    after another review, against the hook as it is then.
    """
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    other = await Visitor(panel, {"Accept-Language": "en"}).log_in("operator")
    theirs = fields(await other("GET", EDIT), EDIT) | {"owner": "Theirs"}
    assert (await _save(other, EDIT, theirs)).status == 303
    for button in ("review", "save"):
        told = await _press(editor, EDIT, mine, button)
        text = told.body.decode()
        assert told.status == 412
        assert "operator has changed this hook while you were writing" in text
        assert "Theirs" in text
        assert fields(told, EDIT)["name"] == "Mine"
        assert fields(told, EDIT)["seen"] == "3"
    assert (await _definition(panel, "click-analytics"))["name"] == "Click analytics"
    review = await _press(editor, EDIT, fields(told, EDIT), "mine")
    assert "Save these changes" in review.body.decode()
    assert "Theirs" in review.body.decode()
    assert (await _press(editor, EDIT, fields(review, EDIT), "save")).status == 303
    after = await _definition(panel, "click-analytics")
    assert (after["name"], after["owner"]) == ("Mine", "team-crm")


async def test_a_hook_that_was_deleted_meanwhile_is_made_again(
    panel: ServedPages, editor: Visitor
) -> None:
    """An editor whose hook was deleted is told by whom, and may make it again with the text."""
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    await PageChanges(panel.data).delete("click-analytics", 3, Who("mehmet"), dry_run=False)
    told = await _press(editor, EDIT, mine, "review")
    assert (told.status, b"mehmet has deleted this hook" in told.body) == (412, True)
    review = await _press(editor, EDIT, fields(told, EDIT), "mine")
    assert (await _press(editor, EDIT, fields(review, EDIT), "save")).status == 303
    assert (await _definition(panel, "click-analytics"))["name"] == "Mine"


async def test_an_id_that_is_taken_is_told_at_its_field(editor: Visitor) -> None:
    """A new hook with the id of another one is refused at the id, and keeps its text."""
    page = await _press(editor, NEW, SEED | {"id": "store-visit"}, "review")
    assert page.status == 409
    assert b'id="p-id"' in page.body
    assert fields(page, NEW)["name"] == SEED["name"]


async def test_no_hook_gets_the_address_of_the_form(editor: Visitor) -> None:
    """The id `new` is refused at its field, since /hooks/new is the form itself."""
    page = await _press(editor, NEW, SEED | {"id": "new"}, "review")
    assert page.status == 422
    assert b"is this form&#39;s own address" in page.body


async def test_a_typed_secret_is_in_no_answer(panel: ServedPages, editor: Visitor) -> None:
    """Whatever button is pressed, and whatever else is wrong, a typed secret is sealed or gone: no
    answer has it, and the definition has the sealed one.
    """
    canary = "c4nary-secret"
    secret = {
        "headers.1.key": "X-Key", "headers.1.source": "fixed", "headers.1.value": canary,
        "headers.1.secret": "on", "signing_secrets.0.value": canary,
        "signing_secrets.0.secret": "on",
    }  # fmt: skip
    for change in ({}, {"uri": "https:/bad"}, {"trigger": ""}):
        for button in ("validate", "review", "save", "add-header", "edit", "remove-parameter.0"):
            page = await _press(editor, NEW, SEED | secret | change, button)
            assert canary not in page.body.decode(), (change, button)
    page = await _press(editor, NEW, SEED | secret, "review")
    assert page.status == 422  # the signing secret is no base64
    form = fields(page, NEW) | {"signing_secrets.0.value": "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"}
    assert form["headers.1.sealed_for"] == "https://e.example"
    assert (await _save(editor, NEW, form)).status == 303
    made = await _definition(panel, "category-views")
    assert made["headers"][1]["value"].startswith("${sealed:")
    assert made["signing_secrets"][0].startswith("${sealed:")
    path = "/hooks/category-views/edit"
    kept = fields(await editor("GET", path), path)
    assert kept["headers.1.value"] == ""
    moved = await _press(editor, path, kept | {"uri": "https://other.example/{campaign}"}, "review")
    assert moved.status == 422
    assert (
        b"is sealed for https://e.example, and the URI has the origin https://other" in moved.body
    )
    assert (await _save(editor, path, kept | {"name": "Kept"})).status == 303
    after = await _definition(panel, "category-views")
    assert after["headers"] == made["headers"]


async def test_without_a_key_the_form_says_how_secrets_are_entered() -> None:
    """Without hooks.seal_public_key there is no box for secrets, and a sentence says why."""
    with served_pages(full(FakeClock()), sealing=False) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        page = await visitor("GET", NEW)
        assert b"hooks.seal_public_key must be in the settings" in page.body
        assert b".secret" not in page.body


async def test_a_session_that_ends_while_one_writes_loses_nothing(
    panel: ServedPages, editor: Visitor
) -> None:
    """The log-in carries the form, a wrong token included, and shows it again without saving it;
    its secrets are sealed meanwhile, and its text is in no address.
    """
    secret = {"headers.0.source": "fixed", "headers.0.value": "c4nary", "headers.0.secret": "on"}
    form = SEED | {"csrf": field(await editor("GET", NEW), "csrf")} | secret
    panel.data.clock.advance(SESSION_SECONDS + 1)
    page = await editor("POST", NEW, {**form, "save": ""})
    assert page.status == 200
    assert b"What you wrote is kept" in page.body
    assert b"c4nary" not in page.body
    login = "/login?kept=1"
    wrong = await editor("POST", login, fields(page, login) | {"token": "guess"})
    assert wrong.status == 401
    shown = await editor("POST", login, fields(wrong, login) | {"token": TOKENS["editor"]})
    assert (shown.status, b"you are logged in again" in shown.body.lower()) == (200, True)
    again = fields(shown, NEW)
    assert again["name"] == SEED["name"]
    assert again["headers.0.sealed_for"] == "https://e.example"
    assert len(panel.data.entries) == 3
    assert (await _save(editor, NEW, again)).status == 303


async def test_a_request_without_a_user_seals_a_few_secrets_only(panel: ServedPages) -> None:
    """Of a form whose session has ended ten secrets are sealed; of one with more none is kept, so
    that a request without a user costs little.
    """
    for count, kept in ((MAX_KEPT_SECRETS, MAX_KEPT_SECRETS), (MAX_KEPT_SECRETS + 1, 0)):
        secrets = dict[str, str]()
        for index in range(count):
            name = f"signing_secrets.{index}"
            secrets |= {f"{name}.value": "c4nary", f"{name}.secret": "on"}
        page = (await Visitor(panel)("POST", NEW, SEED | secrets)).body.decode()
        assert "c4nary" not in page
        assert page.count("${sealed:") == kept * 2  # for the log-in, and to go on


async def test_a_form_of_an_earlier_session_is_shown_again(
    panel: ServedPages, editor: Visitor
) -> None:
    """A form whose CSRF token is another session's is not carried out, and not lost either; one
    of another site is refused.
    """
    page = await editor("POST", NEW, {**SEED, "csrf": "of another session", "save": ""})
    assert (page.status, b"of an earlier session" in page.body) == (200, True)
    assert fields(page, NEW)["uri"] == SEED["uri"]
    foreign = await editor("POST", NEW, {**SEED, "save": ""}, Sec_Fetch_Site="cross-site")
    assert foreign.status == 403
    assert SEED["name"].encode() not in foreign.body
    assert len(panel.data.entries) == 3


async def test_behind_a_proxy_the_form_goes_on_after_its_log_in() -> None:
    """If the proxy names no user any more, the page offers to go on; then the form is shown again,
    and nothing is saved.
    """
    settings = PanelSettings(trusted_proxies=("127.0.0.1",))
    with served_pages(full(FakeClock()), panel=settings) as panel:
        visitor = Visitor(panel, {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"})
        page = await visitor("POST", NEW, {**SEED, "save": ""})
        assert (page.status, b'name="token"' in page.body) == (200, False)
        visitor.headers |= {"X-Forwarded-User": "ayse", "X-Forwarded-Role": "editor"}
        shown = await visitor("POST", NEW, fields(page, NEW))
        assert (shown.status, fields(shown, NEW)["name"]) == (200, SEED["name"])
        assert len(panel.data.entries) == 3


async def test_the_one_time_link_goes_on_with_the_form() -> None:
    """After the link was opened in another tab, the tab with the form goes on with its text."""
    with served_pages(full(FakeClock()), panel=PanelSettings()) as panel:
        visitor = Visitor(panel, {"Accept-Language": "en"})
        page = await visitor("POST", NEW, {**SEED, "save": ""})
        assert b"opened by the link" in page.body
        await visitor("GET", f"/login?code={panel.gate.link}")
        shown = await visitor("POST", NEW, fields(page, NEW))
        assert (shown.status, fields(shown, NEW)["name"]) == (200, SEED["name"])
        assert len(panel.data.entries) == 3


@pytest.mark.parametrize("path", [NEW, EDIT, "/hooks/click-analytics/delete"])
async def test_the_form_is_for_editors(panel: ServedPages, path: str) -> None:
    """A viewer gets neither the form nor a button that leads to it, and cannot send it."""
    viewer = await Visitor(panel).log_in("viewer")
    assert (await viewer("GET", path)).status == 403
    assert (await viewer("POST", path, {"save": ""})).status == 403
    for page in ("/hooks", "/hooks/click-analytics"):
        assert path.encode() not in (await viewer("GET", page)).body


async def test_a_hook_of_a_file_is_changed_there(editor: Visitor) -> None:
    """The page of a file's hook names the file, and offers a live copy with an id of its own."""
    page = await editor("GET", "/hooks/purchase-feed/edit")
    assert b"A file defines this hook" in page.body
    assert b"hooks/purchase-feed.yaml:3" in page.body
    assert b'href="/hooks/new?from=purchase-feed"' in page.body
    copied = fields(await editor("GET", "/hooks/new?from=purchase-feed"), NEW)
    assert (copied["id"], copied["parameters.0.value"]) == ("purchase-feed-copy", "data.price")


async def test_without_live_definitions_the_form_says_what_to_set() -> None:
    """If definitions are in files only, there is no form that could not be saved."""
    with served_pages(full(FakeClock()), live=False) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        assert b"Set hooks.live to true" in (await visitor("GET", NEW)).body
        assert b'href="/hooks/new"' not in (await visitor("GET", "/hooks")).body


async def test_a_deletion_is_asked_for_with_the_hooks_name(
    panel: ServedPages, editor: Visitor
) -> None:
    """A hook is deleted after a question that names it, unless it was changed since."""
    path = "/hooks/store-visit/delete"
    page = await editor("GET", path)
    assert b"Delete Store visit?" in page.body
    form = fields(page, path)
    late = await editor("POST", path, form | {"seen": "9"})
    assert (late.status, len(panel.data.entries)) == (412, 3)
    done = await editor("POST", path, form | {"comment": "contract ended"})
    assert (done.status, done.headers["Location"]) == (303, "/hooks/store-visit")
    assert [one.hook_id for one in panel.data.entries] == ["click-analytics", "purchase-feed"]
    assert panel.data.history[-1].comment == "contract ended"


async def test_every_field_comes_out_as_text(editor: Visitor) -> None:
    """Markup in any field of the form is shown and not obeyed, in each of its answers."""
    posted = dict.fromkeys(
        [
            "id", "name", "uri", "method", "trigger", "select", "owner", "app", "others", "written",
            "comment", "seen", "rate_limit.requests", "rate_limit.per",
            *(f"labels.0.{part}" for part in ("name", "label", "default", "missing", "written")),
            *(
                f"{rows}.0.{part}"
                for rows in ("headers", "parameters", "signing_secrets")
                for part in ("key", "source", "value", "missing", "encode", "sealed", "sealed_for")
            ),
        ],
        HOSTILE,
    )  # fmt: skip
    fixed = {"headers.0.source": "fixed", "parameters.0.source": "fixed"}
    for change in ({}, fixed):
        for button in ("review", "validate", "add-header", "edit"):
            text = (await _press(editor, NEW, posted | change, button)).body.decode()
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "&lt;script&gt;alert(1)" in text
    shown = ("name", "owner", "labels.0.label", "headers.0.value", "select")
    right = dict.fromkeys(shown, HOSTILE)
    review = await _press(
        editor, NEW, SEED | right | {"id": "h", "headers.0.source": "fixed"}, "review"
    )
    assert review.status == 200
    assert "<script>alert" not in review.body.decode()


async def test_the_form_is_small_without_its_data_and_bounded_with_it(editor: Visitor) -> None:
    """The empty form with its style and scripts is below 100 KB; a form with more rows than a hook
    may have is answered, and says so.
    """
    files = sum(len(asset.body) for asset in assets().values())
    assert len((await editor("GET", NEW)).body) + files < MAX_PAGE_BYTES
    rows = {f"headers.{index}.key": f"X-{index}" for index in range(150)}
    sources = {f"headers.{index}.source": "profile" for index in range(150)}
    values = {f"headers.{index}.value": "city" for index in range(150)}
    page = await _press(editor, NEW, SEED | rows | sources | values, "review")
    assert page.status == 422
    assert b"has too many items" in page.body


class _AwayData(PageData):
    """An installation whose Kafka is away at times."""

    is_away = False

    async def hook(self, hook_id: str) -> HookEntry:
        """One hook, if Kafka is there."""
        if self.is_away:
            raise UnavailableError("Kafka has not answered")
        return await super().hook(hook_id)


async def test_a_failure_of_kafka_keeps_the_form() -> None:
    """If the change cannot be written, the form comes back with its text and says why."""
    data = _AwayData(FakeClock())
    data.add_hook({**DEFINITION, "id": "click-analytics"}, revision=3)
    with served_pages(data) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        form = fields(await visitor("GET", EDIT), EDIT) | {"name": "Mine"}
        data.is_away = True
        page = await _press(visitor, EDIT, form, "review")
        assert page.status == 503
        assert b"Kafka has not answered" in page.body
        assert fields(page, EDIT)["name"] == "Mine"
        data.is_away = False
        assert (await _save(visitor, EDIT, fields(page, EDIT))).status == 303


async def test_the_first_hook_begins_at_the_empty_list() -> None:
    """The empty list leads an editor to the form, and the list has a button for the next hook."""
    with served_pages(PageData(FakeClock())) as panel:
        visitor = await Visitor(panel).log_in("editor")
        assert b'href="/hooks/new"' in (await visitor("GET", "/hooks")).body
        assert (await _save(visitor, NEW, SEED)).status == 303
        assert b'href="/hooks/new"' in (await visitor("GET", "/hooks")).body
        assert (
            b'href="/hooks/category-views/edit"'
            in (await visitor("GET", "/hooks/category-views?done=created")).body
        )
