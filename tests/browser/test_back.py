"""Back and Forward in the browser's history, with and without script."""

from playwright.sync_api import Page, expect

from support.panel_browser import log_in
from support.served_pages import ServedPages

EDIT = "/hooks/click-analytics/edit"


def _review(page: Page) -> None:
    page.get_by_role("button", name="Review changes").last.click()
    page.get_by_role("button", name="Save").wait_for()


def _accept_leaving(page: Page) -> None:
    page.on("dialog", lambda dialog: dialog.accept())


def test_back_leads_through_what_was_typed(page: Page, panel: ServedPages) -> None:
    """Back from a review leads to the form as it was typed, also to one that a button has shown;
    after a save it leads to the review, which has nothing left to save.
    """
    _accept_leaving(page)
    log_in(page, panel.url, "editor")
    page.goto(panel.url + EDIT)
    page.locator("#f-name").fill("First")
    page.get_by_role("button", name="Validate").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Change First")
    page.locator("#f-owner").fill("Second")
    _review(page)
    page.go_back()
    expect(page.locator("#f-owner")).to_have_value("Second")
    page.go_back()
    expect(page.locator("#f-name")).to_have_value("First")
    page.go_forward()
    expect(page.locator("#f-owner")).to_have_value("Second")
    _review(page)
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("The hook is changed.")).to_be_visible()
    page.go_back()
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Nothing of First would change")


def test_back_leads_to_rows_and_never_to_secrets(scripted: Page, panel: ServedPages) -> None:
    """With script the rows that were added, renamed and removed are there again, in the revision
    that they were typed for; of a secret that was typed nothing stays in the history.
    """
    _accept_leaving(scripted)
    log_in(scripted, panel.url, "editor")
    scripted.goto(panel.url + EDIT)
    scripted.get_by_role("button", name="Remove Header 2").click()
    scripted.locator("#f-uri").fill("https://e.example/{code}")
    scripted.get_by_role("button", name="Add a header").click()
    scripted.locator('[name="headers.2.key"]').fill("X-Secret")
    scripted.locator('[name="headers.2.source"]').select_option("fixed")
    scripted.locator('[name="headers.2.secret"]').check()
    scripted.locator('[name="headers.2.value"]').fill("c4nary")
    scripted.get_by_role("button", name="Add a parameter").click()
    scripted.locator('[name="parameters.2.key"]').fill("town")
    scripted.locator('[name="parameters.2.value"]').fill("city")
    expect(scripted.get_by_role("group", name="{code}")).to_be_visible()
    _review(scripted)
    scripted.go_back()
    expect(scripted.locator('[name="parameters.2.value"]')).to_have_value("city")
    expect(scripted.locator("[data-row=labels]")).to_have_count(1)
    expect(scripted.get_by_role("group", name="{code}")).to_be_visible()
    expect(scripted.locator("[data-row=headers]")).to_have_count(2)
    expect(scripted.locator('[name="headers.2.key"]')).to_have_value("X-Secret")
    expect(scripted.locator('[name="headers.2.value"]')).to_have_value("")
    assert "c4nary" not in scripted.evaluate("JSON.stringify(history.state)")
    scripted.reload()
    expect(scripted.locator("#f-uri")).not_to_have_value("https://e.example/{code}")


def test_what_was_done_is_told_once(scripted: Page, panel: ServedPages) -> None:
    """The notice of what was done is not in the address, and so not there after a reload."""
    log_in(scripted, panel.url)
    scripted.goto(f"{panel.url}/hooks/click-analytics?done=pause")
    expect(scripted.get_by_text("The hook is paused.")).to_be_visible()
    expect(scripted).to_have_url(f"{panel.url}/hooks/click-analytics")
    scripted.reload()
    expect(scripted.get_by_role("heading", level=1)).to_have_text("Click analytics")
    expect(scripted.get_by_text("The hook is paused.")).to_have_count(0)
