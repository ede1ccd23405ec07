"""The form of a hook in a real browser, with and without script."""

import pytest
from playwright.sync_api import Browser, Dialog, Page, expect

from consumer.panel.credentials import SESSION_SECONDS
from support.barriers import violations
from support.panel import TOKENS
from support.panel_browser import log_in
from support.served_pages import ServedPages

EDIT = "/hooks/click-analytics/edit"
NARROW = {"width": 320, "height": 700}


def _field(page: Page, name: str) -> str:
    return page.locator(f'#hook-form [name="{name}"]').input_value()


def test_the_seeds_hook_is_made(page: Page, empty_panel: ServedPages) -> None:
    """From the empty list to the hook's page: braces, labels, rows, what is wrong, review, save."""
    log_in(page, empty_panel.url, "editor")
    page.get_by_role("link", name="Make a hook").click()
    page.locator("#f-name").fill("Category views")
    page.locator("#f-uri").fill("https://e.example/c/{campaign}")
    page.get_by_role("button", name="Validate").click()
    row = page.get_by_role("group", name="{campaign}")
    expect(row).to_be_visible()
    page.locator("#f-trigger").select_option("event")
    page.get_by_role("button", name="Add a header").click()
    page.locator('[id="f-headers.0.key"]').fill("X-Category")
    page.locator('[id="f-headers.0.source"]').select_option("event")
    page.locator('[id="f-headers.0.value"]').fill("data.category")
    page.get_by_role("button", name="Review changes").last.click()
    summary = page.locator("#troubles")
    expect(summary).to_be_focused()
    expect(summary.get_by_role("listitem")).to_have_count(1)
    summary.get_by_role("link", name="{campaign}, Label").click()
    label = row.locator("input[aria-required]")
    expect(label).to_be_focused()
    expect(label).to_have_attribute("aria-invalid", "true")
    label.fill("Campaign code")
    page.get_by_role("button", name="Review changes").last.click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Make the hook Category views?")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The hook is made.")).to_be_visible()
    assert empty_panel.data.entries[0].definition == {
        "id": "category-views", "name": "Category views", "trigger": "event",
        "uri": "https://e.example/c/{campaign}",
        "uri_parameters": {"campaign": {"label": "Campaign code"}},
        "headers": [{"key": "X-Category", "source": "event", "value": "data.category"}],
    }  # fmt: skip


def test_rows_are_removed(page: Page, panel: ServedPages) -> None:
    """A row is taken out by its own button, and the cursor goes on to the row in its place."""
    log_in(page, panel.url, "editor")
    page.goto(panel.url + EDIT)
    page.get_by_role("button", name="Remove Header 1").click()
    expect(page.locator("[data-row=headers]")).to_have_count(1)
    expect(page.locator("[data-row=headers] input").first).to_have_value("X-City")
    expect(page.locator("[data-row=headers] input").first).to_be_focused()


def test_two_editors_at_once(page: Page, browser: Browser, panel: ServedPages) -> None:
    """The second to save is told who changed what, keeps the text, and saves it on top."""
    log_in(page, panel.url, "editor")
    page.goto(panel.url + EDIT)
    page.locator("#f-name").fill("Mine")
    other = browser.new_context(locale="en-GB").new_page()
    log_in(other, panel.url, "operator")
    other.goto(panel.url + EDIT)
    other.locator("#f-owner").fill("Theirs")
    other.get_by_role("button", name="Review changes").last.click()
    other.get_by_role("button", name="Save").click()
    expect(other.get_by_text("The hook is changed.")).to_be_visible()
    other.context.close()
    page.get_by_role("button", name="Review changes").last.click()
    told = page.locator("#newer")
    expect(told).to_be_focused()
    expect(told).to_contain_text("operator has changed this hook while you were writing")
    expect(told).to_contain_text("Theirs")
    expect(page.locator("#f-name")).to_have_value("Mine")
    page.get_by_role("button", name="Save mine on top").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("Save these changes")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Mine")


def test_a_session_that_ends_while_one_writes(page: Page, panel: ServedPages) -> None:
    """After the log-in the form is there with its text, and one goes on to save it."""
    log_in(page, panel.url, "editor")
    page.goto(panel.url + EDIT)
    page.locator("#f-name").fill("Written for an hour")
    page.get_by_role("button", name="Add a parameter").click()
    page.locator('[id="f-parameters.2.key"]').fill("third")
    page.locator('[id="f-parameters.2.value"]').fill("city")
    panel.data.clock.advance(SESSION_SECONDS + 1)
    page.get_by_role("button", name="Review changes").last.click()
    expect(page.get_by_text("What you wrote is kept")).to_be_visible()
    page.get_by_label("Token").fill(TOKENS["editor"])
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_text("Nothing was saved.")).to_be_visible()
    assert _field(page, "name") == "Written for an hour"
    assert _field(page, "parameters.2.key") == "third"
    page.get_by_role("button", name="Review changes").last.click()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Written for an hour")


def test_braces_are_found_as_one_types(scripted: Page, panel: ServedPages) -> None:
    """With script a brace has its row at once, a renamed one keeps its label, and the id follows
    the name until one writes an id; what happened is announced.
    """
    log_in(scripted, panel.url, "editor")
    scripted.goto(f"{panel.url}/new-hook")
    scripted.locator("#f-name").press_sequentially("Satın Alma")
    expect(scripted.locator("#f-id")).to_have_value("satin-alma")
    scripted.locator("#f-uri").press_sequentially("https://e.example/{campain}")
    row = scripted.get_by_role("group", name="{campain}")
    expect(row).to_be_visible()
    expect(scripted.locator("#braces-told")).to_contain_text("campain")
    row.locator("input[aria-required]").fill("Code")
    scripted.locator("#f-uri").fill("https://e.example/{campaign}")
    row = scripted.get_by_role("group", name="{campaign}")
    expect(row.locator("input[aria-required]")).to_have_value("Code")
    expect(scripted.locator("[data-row=labels]")).to_have_count(1)
    scripted.locator("#f-id").fill("my-own")
    scripted.locator("#f-name").fill("Another name")
    expect(scripted.locator("#f-id")).to_have_value("my-own")


def test_a_label_whose_brace_is_gone_has_its_button(scripted: Page, panel: ServedPages) -> None:
    """With script a label that the URI has no brace for says so and can be taken out, and neither
    stands there while the brace does.
    """
    log_in(scripted, panel.url, "editor")
    scripted.goto(f"{panel.url}/new-hook")
    uri, remove = scripted.locator("#f-uri"), scripted.get_by_role("button", name="Remove campaign")
    uri.fill("https://e.example/{campaign}")
    row = scripted.get_by_role("group", name="{campaign}")
    row.locator("input[aria-required]").fill("Code")
    expect(remove).to_be_hidden()
    uri.fill("https://e.example/")
    expect(row).to_contain_text("not in the URI any more")
    remove.click()
    expect(row).to_have_count(0)


@pytest.mark.parametrize("button", [None, "Validate", "Review changes"])
def test_leaving_what_is_written_is_asked_for(
    scripted: Page, panel: ServedPages, button: str | None
) -> None:
    """The browser asks before one leaves a form that was written into, also after a button has
    shown it again, and before one leaves its review.
    """
    log_in(scripted, panel.url, "editor")
    scripted.goto(panel.url + EDIT)
    scripted.locator("#f-name").fill("Mine")
    if button is not None:
        scripted.get_by_role("button", name=button).last.click()
        scripted.locator("form[data-written]").wait_for()
    asked = list[str]()

    def stay(dialog: Dialog) -> None:
        asked.append(dialog.type)
        dialog.dismiss()

    scripted.once("dialog", stay)
    with scripted.expect_event("dialog"):
        scripted.get_by_role("link", name="Audit").click()
    assert asked == ["beforeunload"]


def test_a_secret_is_not_shown_while_it_is_typed(scripted: Page, panel: ServedPages) -> None:
    """A value that is marked as secret is hidden, and can be marked only if it is fixed."""
    log_in(scripted, panel.url, "editor")
    scripted.goto(f"{panel.url}/new-hook")
    scripted.get_by_role("button", name="Add a header").click()
    box = scripted.locator('[name="headers.0.secret"]')
    expect(box).to_be_hidden()
    scripted.locator('[id="f-headers.0.source"]').select_option("fixed")
    box.check()
    expect(scripted.locator('[id="f-headers.0.value"]')).to_have_attribute("type", "password")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("language", ["en", "tr"])
def test_axe_finds_nothing_in_any_state_of_the_form(
    browser: Browser, panel: ServedPages, axe: str, language: str
) -> None:
    """Neither problems, nor many rows, nor a review, nor a newer revision have a barrier, in light
    and dark, and in no language anything scrolls sideways at 320 pixels.
    """
    page = browser.new_context(locale="en-GB", reduced_motion="reduce").new_page()
    log_in(page, panel.url, "editor")
    page.locator(f"button[value={language}]").click()
    found, wide = list[str](), dict[str, int]()
    for state in ("problems", "many rows", "review", "newer"):
        _reach(page, panel, state)
        if language == "en":
            found += [f"{state}: {one}" for one in violations(page, axe)]
        page.set_viewport_size({"width": 320, "height": 700})
        wide[state] = page.evaluate("document.documentElement.scrollWidth")
        page.set_viewport_size({"width": 1280, "height": 720})
    page.context.close()
    assert found == []
    assert set(wide.values()) == {NARROW["width"]}, wide


def _reach(page: Page, panel: ServedPages, state: str) -> None:
    page.goto(panel.url + EDIT)
    review = page.locator("button[name=review]").last
    match state:
        case "problems":
            page.locator("#f-uri").fill("ftp://e.example/{campaign}")
            page.locator('[id="f-headers.0.key"]').fill("Not A Name")
            page.locator('[id="f-rate_limit.requests"]').fill("many")
            review.click()
        case "many rows":
            for _ in range(12):
                page.locator("[data-add=parameters]").click()
        case "review":
            page.locator("#f-name").fill("A name that is rather long, " * 5)
            review.click()
            page.locator("button[name=save]").wait_for()
        case _:
            page.locator("#f-name").fill("Mine")
            page.locator("input[name=seen]").evaluate("one => { one.value = 1 }")
            review.click()
            page.locator("#newer").wait_for()


def test_a_typed_brace_says_where_its_value_comes_from(scripted: Page, panel: ServedPages) -> None:
    """With script the row of a brace comes as it is typed, and with it what a brace of an app event
    takes its value from.
    """
    log_in(scripted, panel.url, "editor")
    scripted.goto(f"{panel.url}/new-hook")
    hint = scripted.get_by_text("For an app event or a geofence")
    expect(hint).to_be_hidden()
    scripted.locator("#f-uri").fill("https://e.example/c/{campaign}")
    expect(scripted.get_by_role("group", name="{campaign}")).to_be_visible()
    expect(hint).to_be_visible()
    scripted.locator("#f-uri").fill("https://e.example/c")
    expect(hint).to_be_hidden()


def test_the_first_delivery_of_a_saved_hook_comes_by_itself(
    scripted: Page, panel: ServedPages
) -> None:
    """The page of a hook that was just saved shows its first deliveries without a reload."""
    log, panel.data.log = panel.data.log, []
    log_in(scripted, panel.url, "viewer")
    scripted.goto(f"{panel.url}/hooks/click-analytics?done=changed")
    section = scripted.get_by_role("region", name="Last deliveries")
    expect(section.get_by_text("found none")).to_be_visible()
    panel.data.log = log
    expect(section.get_by_role("table")).to_be_visible()
