"""The ways that a person goes through the panel, in a real browser, with and without script."""

from collections.abc import Iterator

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, expect

from support.panel_browser import log_in
from support.served_pages import ServedPages


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    """A browser with script."""
    context = browser.new_context(locale="en-GB")
    yield context
    context.close()


def test_a_person_logs_in_comes_where_they_wanted_and_logs_out(
    page: Page, panel: ServedPages
) -> None:
    """A link leads through the log-in to its page; a wrong token is said; a log-out ends it."""
    page.goto(f"{panel.url}/deliveries?outcome=retry")
    page.get_by_label("Token").fill("guess")
    page.get_by_role("button", name="Log in").click()
    expect(page.get_by_role("alert")).to_have_text("This token is not known.")
    page.get_by_label("Token").fill("token-of-a-viewer")
    page.get_by_role("button", name="Log in").click()
    expect(page).to_have_url(f"{panel.url}/deliveries?outcome=retry")
    expect(page.get_by_label("Outcome")).to_have_value("retry")
    page.get_by_role("button", name="Log out").click()
    page.goto(f"{panel.url}/hooks")
    expect(page).to_have_url(f"{panel.url}/login?next=%2Fhooks")


def test_a_person_finds_a_failing_hook_and_sends_its_dead_letters_again(
    page: Page, panel: ServedPages
) -> None:
    """From the list to the failing hook, to a delivery's story, to its dead letters, which are sent
    again after the count was shown and asked for; one that comes meanwhile stays.
    """
    log_in(page, panel.url)
    page.get_by_role("link", name="circuit open").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    page.get_by_role("link", name="Store visit").click()
    expect(page.get_by_text("Its receiver fails, so")).to_be_visible()
    page.locator("tbody a", has_text="07:59:02").click()
    expect(page.get_by_text("Its next attempt is at 2027-01-15 08:09:02.")).to_be_visible()
    expect(page.locator("ol.timeline h3")).to_have_count(3)
    page.get_by_role("navigation").get_by_role("link", name="Dead letters").click()
    page.get_by_role("link", name="attempts used up").click()
    page.get_by_role("link", name="Send 8 again").click()
    expect(page.get_by_text("Send 8 dead letters again?")).to_be_visible()
    panel.data.add_dead_letter("store-visit", "exhausted", panel.data.clock.now())
    page.get_by_role("button", name="Send 8 again").click()
    expect(page.get_by_text("8 of 8 were sent again.")).to_be_visible()
    assert panel.data.sent == 8
    assert len(panel.data.dead) == 5


def test_an_operator_rolls_a_hook_back_and_pauses_it(page: Page, panel: ServedPages) -> None:
    """An earlier revision comes back from the history after its difference was shown, and a pause
    is told on the hook's page.
    """
    log_in(page, panel.url)
    page.goto(f"{panel.url}/hooks/click-analytics")
    page.get_by_role("link", name="Bring revision 1 back").click()
    expect(page.get_by_text("Bring revision 1 of click-analytics back?")).to_be_visible()
    expect(page.locator("ins", has_text="Clicks")).to_be_visible()
    page.get_by_role("button", name="Bring it back").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Clicks")
    expect(page.get_by_role("status").first).to_contain_text("revision 4")
    page.get_by_role("link", name="Pause", exact=True).click()
    page.get_by_label("Comment").fill("the receiver moves")
    page.get_by_role("button", name="Pause the hook").click()
    expect(page.get_by_role("status").first).to_contain_text("The hook is paused.")
    expect(page.locator("article.change").first).to_contain_text("the receiver moves")
    expect(page.get_by_role("link", name="Resume")).to_be_visible()


def test_the_page_tells_when_all_replicas_have_a_change(
    context: BrowserContext, panel: ServedPages
) -> None:
    """With script the number of replicas at which a change is in force follows by itself."""
    page = context.new_page()
    log_in(page, panel.url)
    page.goto(f"{panel.url}/hooks/click-analytics?done=pause")
    expect(page.get_by_text("In force on 1 of 2 replicas.")).to_be_visible()
    panel.data.running = [panel.data.running[0]] * 2
    expect(page.get_by_text("In force on 2 of 2 replicas.")).to_be_visible()


def test_a_search_stays_in_the_address_and_in_the_form(page: Page, panel: ServedPages) -> None:
    """A filter is in the address, the form shows it again, and one link takes it back."""
    log_in(page, panel.url, "viewer")
    page.get_by_label("Search").fill("akış")
    page.get_by_role("button", name="Filter").click()
    expect(page.locator("tbody tr")).to_have_count(1)
    expect(page.get_by_label("Search")).to_have_value("akış")
    page.reload()
    expect(page.get_by_role("link", name="Satın alma akışı")).to_be_visible()
    page.get_by_role("link", name="Show all").click()
    expect(page.locator("tbody tr")).to_have_count(3)


def test_pages_of_the_log_follow_each_other(page: Page, panel: ServedPages) -> None:
    """The link to older deliveries goes on where the page ended, and keeps the filter."""
    log_in(page, panel.url, "viewer")
    page.goto(f"{panel.url}/deliveries?hook=click-analytics")
    expect(page.locator("tbody tr")).to_have_count(100)
    page.get_by_role("link", name="Older").click()
    expect(page.locator("tbody tr")).to_have_count(30)
    expect(page.get_by_label("Hook")).to_have_value("click-analytics")


def test_a_mistake_is_told_beside_its_field(page: Page, panel: ServedPages) -> None:
    """Each problem of a filter is at its field, which says so to screen readers, and what was
    written stays.
    """
    log_in(page, panel.url, "viewer")
    page.goto(f"{panel.url}/deliveries?since=yesterday&status=foo")
    since = page.get_by_label("Since")
    expect(since).to_have_value("yesterday")
    expect(since).to_have_attribute("aria-invalid", "true")
    expect(page.locator("#p-since")).to_contain_text("neither a time")
    expect(page.locator("#p-status")).to_contain_text("is no status")


def test_an_editor_looks_a_user_up_and_no_address_names_the_user(
    page: Page, panel: ServedPages
) -> None:
    """A user's deliveries are found by a form, and the address of the answer has a hash."""
    log_in(page, panel.url, "editor")
    page.goto(f"{panel.url}/deliveries")
    page.get_by_text("Find the deliveries of one user").click()
    page.get_by_label("User id").fill("user-1")
    page.get_by_role("button", name="Look up").click()
    expect(page.get_by_text("These are the deliveries of one user.")).to_be_visible()
    assert "user-1" not in page.url
    assert "person=" in page.url


def test_language_and_colours_are_switched_in_place(page: Page, panel: ServedPages) -> None:
    """A switch keeps the page and its filter, and holds for the next pages."""
    log_in(page, panel.url, "viewer")
    page.goto(f"{panel.url}/deliveries?hook=store-visit")
    page.get_by_role("button", name="Türkçe").click()
    expect(page).to_have_url(f"{panel.url}/deliveries?hook=store-visit")
    expect(page.get_by_role("heading", level=1)).to_have_text("Gönderimler")
    expect(page.locator("html")).to_have_attribute("lang", "tr")
    page.get_by_role("button", name="Koyu").click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("link", name="Webhook").first.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.get_by_role("button", name="Sistem").click()
    assert page.locator("html").get_attribute("data-theme") is None


def test_the_first_day_leads_to_the_first_hook(page: Page, empty_panel: ServedPages) -> None:
    """Without a hook the list says how one is made, and where its events are seen."""
    log_in(page, empty_panel.url, "viewer")
    expect(page.get_by_role("heading", name="Make your first hook")).to_be_visible()
    expect(page.get_by_text("hookstream hooks apply -f first-hook.yaml")).to_be_visible()
    page.locator("section.empty").get_by_role("link", name="Events").click()
    expect(page.get_by_role("heading", name="There are no events yet")).to_be_visible()


def test_the_keyboard_skips_to_the_content(context: BrowserContext, panel: ServedPages) -> None:
    """The first stop of the keyboard is the way past the navigation."""
    page = context.new_page()
    log_in(page, panel.url)
    page.keyboard.press("Tab")
    expect(page.locator(":focus")).to_have_text("Skip to the content")
    page.keyboard.press("Enter")
    expect(page.locator(":focus")).to_have_attribute("id", "main")


def test_a_command_is_copied_by_a_button(context: BrowserContext, panel: ServedPages) -> None:
    """With script each command has a button that copies it as it stands."""
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    log_in(page, panel.url)
    page.goto(f"{panel.url}/hooks/click-analytics")
    page.get_by_role("button", name="Copy").first.click()
    expect(page.get_by_role("status").filter(has_text="Copied")).to_be_visible()
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied == page.locator("#curl").text_content()
    assert copied.startswith("curl -q -i")
