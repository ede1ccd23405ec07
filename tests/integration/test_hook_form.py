"""The form of a hook over HTTP, as a browser without script sends it."""

import re
from html import unescape

import pytest

from consumer.panel.pages.assets import assets
from consumer.services.hooks import Who
from support.fakes import FakeClock
from support.hook_form import EDIT, NEW, SEED, definition_in_force, fields, press, save
from support.page_changes import PageChanges
from support.page_data import PageData, full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor

HOSTILE = "\"'><script>alert(1)</script>&<img src=x onerror=alert(1)>{{7*7}}"
MAX_PAGE_BYTES = 100_000


async def test_the_seeds_hook_is_made_without_script(panel: ServedPages, editor: Visitor) -> None:
    """A hook is made by buttons alone: validated, labelled, reviewed, saved; nothing is written
    before, and the id comes from the name.
    """
    empty = fields(await editor("GET", NEW), NEW)
    page = await press(
        editor, NEW, {**empty, "name": "Görüntülenen", "uri": SEED["uri"]}, "validate"
    )
    form = fields(page, NEW)
    assert (page.status, form["labels.0.name"], form["name"]) == (200, "campaign", "Görüntülenen")
    assert b"troubles" not in page.body
    form |= {"labels.0.label": "Campaign code", "trigger": "event", "select": "view\r\nbuy"}
    form = fields(await press(editor, NEW, form, "add-header"), NEW)
    form |= {"headers.0.key": "X-Category", "headers.0.value": "data.category"}
    form = fields(
        await press(editor, NEW, form | {"headers.0.source": "event"}, "add-parameter"), NEW
    )
    form |= {"parameters.0.key": "uid", "parameters.0.value": "id"}
    review = await press(editor, NEW, form, "review")
    assert b"Make the hook G" in review.body
    assert len(panel.data.entries) == 3
    carried = {**fields(review, NEW), "comment": "the first one"}
    saved = await press(editor, NEW, carried, "save")
    assert (saved.status, saved.headers["Location"]) == (303, "/hooks/goruntulenen?done=created")
    assert await definition_in_force(panel, "goruntulenen") == {
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
    page = await press(editor, NEW, wrong, "review")
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
    before = {
        **await definition_in_force(panel, "click-analytics"),
        "timeout": "5s",
        "retry_on": [403],
    }
    await PageChanges(panel.data).change("click-analytics", before, 3, Who("api"), dry_run=False)
    form = fields(await editor("GET", EDIT), EDIT)
    assert form["others"] == "timeout: 5s\nretry_on:\n- 403\n"
    review = await press(editor, EDIT, form | {"headers.1.value": "town"}, "review")
    text = unescape(review.body.decode())
    assert "Header 2, Value" in text
    assert "</span>city</del>" in text
    assert "</span>town</ins>" in text
    saved = await press(editor, EDIT, fields(review, EDIT), "save")
    assert saved.headers["Location"] == "/hooks/click-analytics?done=changed"
    after = await definition_in_force(panel, "click-analytics")
    assert after == before | {
        "headers": [before["headers"][0], before["headers"][1] | {"value": "town"}]
    }


async def test_a_form_without_a_change_says_so(panel: ServedPages, editor: Visitor) -> None:
    """A review of a form that nothing was changed in has no button to save."""
    form = fields(await editor("GET", EDIT), EDIT)
    review = await press(editor, EDIT, form, "review")
    assert b"Nothing of Click analytics would change" in review.body
    assert b'name="save"' not in review.body
    back = await press(editor, EDIT, fields(review, EDIT), "edit")
    again = fields(back, EDIT)
    assert {name: text for name, text in again.items() if text} == {
        name: text for name, text in form.items() if text
    }
    assert len(panel.data.history) == 3


async def test_an_id_that_is_taken_is_told_at_its_field(editor: Visitor) -> None:
    """A new hook with the id of another one is refused at the id, and keeps its text."""
    page = await press(editor, NEW, SEED | {"id": "store-visit"}, "review")
    assert page.status == 409
    assert b'id="p-id"' in page.body
    assert fields(page, NEW)["name"] == SEED["name"]


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
    assert b'href="/new-hook?from=purchase-feed"' in page.body
    copied = fields(await editor("GET", "/new-hook?from=purchase-feed"), NEW)
    assert (copied["id"], copied["parameters.0.value"]) == ("purchase-feed-copy", "data.price")


async def test_a_hook_with_the_id_new_has_its_pages(panel: ServedPages, editor: Visitor) -> None:
    """No page of the panel stands in the way of a hook's, whatever its id."""
    form = SEED | {"id": "new", "name": "New"}
    saved = await save(editor, NEW, form)
    assert saved.headers["Location"] == "/hooks/new?done=created"
    assert b"<h1>New</h1>" in (await editor("GET", "/hooks/new")).body
    path = "/hooks/new/edit"
    kept = fields(await editor("GET", path), path) | {"name": "Newer"}
    assert (await save(editor, path, kept)).status == 303
    assert (await definition_in_force(panel, "new"))["name"] == "Newer"


async def test_without_live_definitions_the_form_says_what_to_set() -> None:
    """If definitions are in files only, there is no form that could not be saved."""
    with served_pages(full(FakeClock()), live=False) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        assert b"Set hooks.live to true" in (await visitor("GET", NEW)).body
        assert b'href="/new-hook"' not in (await visitor("GET", "/hooks")).body
        closed = await visitor("GET", "/hooks/purchase-feed/delete")
        assert b"A file defines this hook" in closed.body
        assert b"/new-hook?from=" not in closed.body


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
            text = (await press(editor, NEW, posted | change, button)).body.decode()
            assert "<script>alert" not in text
            assert "<img src=x" not in text
            assert "&lt;script&gt;alert(1)" in text
    shown = ("name", "owner", "labels.0.label", "headers.0.value", "select")
    right = dict.fromkeys(shown, HOSTILE)
    review = await press(
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
    page = await press(editor, NEW, SEED | rows | sources | values, "review")
    assert page.status == 422
    assert b"has too many items" in page.body


async def test_the_first_hook_begins_at_the_empty_list() -> None:
    """The empty list leads an editor to the form, and the list has a button for the next hook."""
    with served_pages(PageData(FakeClock())) as panel:
        visitor = await Visitor(panel).log_in("editor")
        assert b'href="/new-hook"' in (await visitor("GET", "/hooks")).body
        assert (await save(visitor, NEW, SEED)).status == 303
        assert b'href="/new-hook"' in (await visitor("GET", "/hooks")).body
        assert (
            b'href="/hooks/category-views/edit"'
            in (await visitor("GET", "/hooks/category-views?done=created")).body
        )


async def test_what_the_browser_keeps_for_back_has_no_values_and_no_secret(editor: Visitor) -> None:
    """The form, and each page that answers it, is kept by its browser, so that Back leads to it; a
    page with values of events is not. A log-out has them forgotten.
    """
    pages = [await editor("GET", EDIT), await editor("GET", NEW)]
    pages += [await press(editor, NEW, SEED, one) for one in ("validate", "review", "add-header")]
    pages += [await press(editor, NEW, SEED | {"uri": ""}, "review")]
    assert {one.headers["Cache-Control"] for one in pages} == {"private, no-cache"}
    pages = [await press(editor, NEW, SEED, one) for one in ("try-sample", "try-test")]
    assert {one.headers["Cache-Control"] for one in pages} == {"no-store"}
    assert (await editor("POST", "/logout", {})).headers["Clear-Site-Data"] == '"cache"'


async def test_validate_says_what_it_found(editor: Visitor) -> None:
    """A right URI is said to be right; without braces also what that means. A wrong one is not."""
    for uri, found, absent in (
        ("https://e.example/", "has no braces", "Something is not right"),
        ("https://e.example/{a}", "The URI is right.", "has no braces"),
        ("ftp://e.example/", "Something is not right", "The URI is right"),
    ):
        text = (await press(editor, NEW, SEED | {"uri": uri}, "validate")).body.decode()
        assert found in text
        assert absent not in text
    name = "n" * 500
    wrong = await press(editor, NEW, {"uri": f"https://e.example/{{{name}+}}"}, "validate")
    assert f"{name[:60]}…}}" in wrong.body.decode()


async def test_the_cursor_goes_to_the_first_field(editor: Visitor) -> None:
    """A new form, and one that goes on after a review, has the cursor in its first field."""
    for page in (await editor("GET", NEW), await press(editor, NEW, SEED, "edit")):
        [focused] = re.findall(r"<[^>]* autofocus[^>]*>", page.body.decode())
        assert 'name="name"' in focused
