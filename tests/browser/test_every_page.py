"""What holds for every page: no barrier, no sideways scrolling, nothing that the policy stops."""

from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page

from consumer.errors import Diagnostic
from support.barriers import violations
from support.fakes import FakeClock
from support.page_data import full
from support.panel_browser import PATHS, log_in
from support.served_pages import ServedPages, served_pages

NARROW = {"width": 320, "height": 700}


@pytest.fixture(scope="module")
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work, which these tests only read."""
    with served_pages(full(FakeClock())) as served:
        yield served


def _page(browser: Browser, panel: ServedPages, **options: Any) -> Page:
    page = browser.new_context(locale="en-GB", **options).new_page()
    log_in(page, panel.url)
    return page


def test_axe_finds_nothing(browser: Browser, panel: ServedPages, axe: str) -> None:
    """axe-core finds no violation on any page, in light and in dark."""
    page, found = browser.new_page(reduced_motion="reduce"), list[str]()
    page.goto(panel.url)
    found += violations(page, axe)
    log_in(page, panel.url)
    for path in PATHS.values():
        page.goto(panel.url + path)
        found += violations(page, axe)
    page.close()
    assert found == []


def test_axe_finds_a_barrier_that_is_there(browser: Browser, panel: ServedPages, axe: str) -> None:
    """The search for barriers is not blind: a grey text on grey is found, in dark, too."""
    page = browser.new_page(reduced_motion="reduce")
    page.goto(panel.url)
    page.evaluate("document.querySelector('h1').style.color = 'light-dark(#c8c8c8, #333)'")
    found = violations(page, axe)
    page.close()
    assert [one.split(": ")[1] for one in found] == ["color-contrast", "color-contrast"]


@pytest.mark.parametrize("language", ["en", "tr"])
def test_narrow_pages_do_not_scroll_sideways(
    browser: Browser, panel: ServedPages, language: str
) -> None:
    """At 320 pixels the page itself is not wider than its window; wide tables scroll in place."""
    page = _page(browser, panel, viewport=NARROW)
    page.locator(f"button[value={language}]").click()
    widths = {}
    for name, path in PATHS.items():
        page.goto(panel.url + path)
        widths[name] = page.evaluate("document.documentElement.scrollWidth")
    page.context.close()
    assert widths == dict.fromkeys(PATHS, NARROW["width"])


def test_long_names_do_not_scroll_sideways(browser: Browser) -> None:
    """At 320 pixels the pages of a hook with the longest names are not wider than their window."""
    word, data = "a" * 60, full(FakeClock())
    hook = {
        "id": word, "name": "Uzun ad " * 20, "owner": word, "trigger": "push_click",
        "select": [word], "uri": f"https://{word}.example.com/{word}/{word}/{{campaign}}",
        "uri_parameters": {"campaign": {"label": "Kampanya kodu " * 10, "default": word}},
        "headers": [{"key": word, "source": "profile", "value": word}],
    }  # fmt: skip
    data.add_hook(hook, revision=1)
    data.file_problems = [Diagnostic("is not UTF-8", "save the file as UTF-8", word * 3, 1)]
    paths = [
        "/hooks", f"/hooks/{word}", f"/hooks/{word}/edit", f"/hooks/{word}/pause",
        f"/hooks/{word}/delete", f"/deliveries?hook={word}", "/compose?trigger=push_click",
    ]  # fmt: skip
    with served_pages(data) as served:
        page, widths = _page(browser, served, viewport=NARROW), {}
        for path in paths:
            page.goto(served.url + path)
            widths[path] = page.evaluate("document.documentElement.scrollWidth")
        page.context.close()
    assert widths == dict.fromkeys(paths, NARROW["width"])


def test_the_policy_stops_nothing_that_a_page_needs(browser: Browser, panel: ServedPages) -> None:
    """No page asks for anything that its own Content-Security-Policy forbids, or is missing."""
    page = _page(browser, panel)
    said = list[str]()
    page.on("console", lambda message: said.append(_text(message)))
    page.on("response", lambda answer: said.extend([answer.url] * (not answer.ok)))
    for name, path in PATHS.items():
        if name != "problem":
            page.goto(panel.url + path)
    page.context.close()
    assert said == []


def _text(message: ConsoleMessage) -> str:
    return message.text
