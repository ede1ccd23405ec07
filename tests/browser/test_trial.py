"""What stands beside the form of a hook, in a real browser as one types."""

from playwright.sync_api import Browser, Page, Route, expect

from support.barriers import violations
from support.panel_browser import log_in
from support.served_pages import ServedPages
from support.thread_receiver import ThreadReceiver


def _edit(scripted: Page, panel: ServedPages) -> None:
    log_in(scripted, panel.url, "editor")
    scripted.goto(f"{panel.url}/hooks/click-analytics/edit")
    expect(scripted.locator("#trial-curl")).to_contain_text("uid=user-1")


def test_the_sample_follows_what_is_typed(scripted: Page, panel: ServedPages) -> None:
    """The request follows each field as it is typed, without a button, and the focus stays."""
    _edit(scripted, panel)
    uri = scripted.get_by_label("URI")
    uri.fill("https://new.example.com/{campaign}/")
    uri.press("End")
    uri.press_sequentially("clicks")
    expect(scripted.locator("#trial-curl")).to_contain_text(
        "https://new.example.com/none/clicks?uid="
    )
    expect(uri).to_be_focused()
    scripted.locator("#trial-events select").select_option("push-click/0/97")
    expect(scripted.locator("#trial-curl")).to_contain_text("uid=user-3")
    expect(scripted.locator("#trial-sample").get_by_role("button", name="Copy")).to_be_visible()


def test_the_last_answer_wins(scripted: Page, panel: ServedPages) -> None:
    """An answer that is overtaken by a later one is not shown, whichever comes last."""
    _edit(scripted, panel)
    held = list[Route]()

    def hold(route: Route) -> None:
        if "first-path" in (route.request.post_data or ""):
            held.append(route)
        else:
            route.continue_()

    scripted.route("**/trial/sample", hold)
    uri = scripted.get_by_label("URI")
    with scripted.expect_request("**/trial/sample"):
        uri.fill("https://new.example.com/first-path")
    uri.fill("https://new.example.com/second-path")
    expect(scripted.locator("#trial-curl")).to_contain_text("second-path")
    for route in held:
        route.continue_()
    expect(scripted.locator("#trial-curl")).to_contain_text("second-path")
    assert held


def test_the_effect_of_a_change_is_there_before_save(scripted: Page, panel: ServedPages) -> None:
    """What a change does on recent events follows by itself; a recent subject is selected by its
    button.
    """
    _edit(scripted, panel)
    change = scripted.locator("#trial-change")
    expect(change).to_contain_text("It fires for the same events as before.")
    scripted.get_by_label("Select events").fill("summer-sale")
    expect(change).to_contain_text("It would fire for 0 of the last 6 events (before: 3).")
    scripted.get_by_role("button", name="+ other").click()
    expect(scripted.get_by_label("Select events")).to_have_value("summer-sale\nother")
    expect(change).to_contain_text("It would fire for 3 of the last 6 events (before: 3).")
    expect(change).to_contain_text("Fires for these no more")


def test_a_test_send_shows_phases_and_the_answer_as_text(
    scripted: Page, panel: ServedPages
) -> None:
    """A test goes to a real receiver, and its answer, a script, is shown and not run, where the
    reader looks.
    """
    with ThreadReceiver(b"<script>document.title = 'run'</script>") as receiver:
        _edit(scripted, panel)
        scripted.get_by_label("URI").fill(f"{receiver.origin}/{{campaign}}")
        scripted.get_by_role("button", name="Send a test").click()
        test = scripted.locator("#trial-test")
        expect(test).to_contain_text("200")
        expect(test.locator("svg.phases")).to_be_visible()
        expect(test).to_contain_text("first byte")
        expect(test.get_by_label("The answer")).to_have_text(
            "<script>document.title = 'run'</script>"
        )
        expect(test.get_by_label("The answer")).to_be_in_viewport(ratio=1)
        assert "run" not in scripted.title()
        assert receiver.paths == ["/none?uid=user-1&category=shoes"]


def test_values_choose_from_the_names_of_their_source(scripted: Page, panel: ServedPages) -> None:
    """A value suggests the names that recent events have for its source, also after a change."""
    _edit(scripted, panel)
    value = scripted.locator("[name='parameters.1.value']")
    expect(value).to_have_attribute("list", "names-event")
    scripted.locator("[name='parameters.1.source']").select_option("profile")
    expect(value).to_have_attribute("list", "names-profile")
    expect(scripted.locator("#names-profile option[value=city]")).to_have_count(1)


def test_a_session_that_ends_leaves_what_was_typed(scripted: Page, panel: ServedPages) -> None:
    """If the log-in has ended, the parts say so, and the form keeps its text."""
    _edit(scripted, panel)
    scripted.context.clear_cookies()
    scripted.get_by_label("URI").fill("https://new.example.com/typed")
    expect(scripted.locator("#trial-sample")).to_contain_text("What you typed is still here")
    expect(scripted.get_by_label("URI")).to_have_value("https://new.example.com/typed")


def test_axe_finds_nothing_in_what_is_tried(browser: Browser, panel: ServedPages, axe: str) -> None:
    """Neither a sample with its values, nor an effect, nor one that is on its way, nor a test's
    answer is a barrier, in light, in dark, in Turkish, and at 320 pixels, where
    nothing scrolls sideways.
    """
    with ThreadReceiver(b"well " * 400) as receiver:
        for language, width in (("en-GB", 1280), ("tr-TR", 320)):
            context = browser.new_context(
                locale=language, reduced_motion="reduce", viewport={"width": width, "height": 800}
            )
            page = context.new_page()
            page.goto(panel.url)
            page.locator("input[name=token]").fill("token-of-a-editor")
            page.locator("main button").first.click()
            page.wait_for_url(f"{panel.url}/hooks")
            page.goto(f"{panel.url}/hooks/click-analytics/edit")
            page.locator("#f-uri").fill(f"{receiver.origin}/{{campaign}}")
            page.locator("#f-select").fill("other")
            expect(page.locator("#trial-change h4")).to_have_count(2)
            expect(page.locator("#trial-curl")).to_contain_text(receiver.origin)
            page.locator("[name=try-test]").click()
            expect(page.locator("#trial-test pre")).to_have_count(2)
            assert page.evaluate("document.documentElement.scrollWidth") == width
            assert violations(page, axe) == []
            page.locator("#f-uri").fill("")
            expect(page.locator("#trial-sample li")).to_have_count(1)
            assert violations(page, axe) == []
            page.locator("#trial-change").evaluate("one => one.setAttribute('aria-busy', 'true')")
            assert violations(page, axe) == []
            context.close()
