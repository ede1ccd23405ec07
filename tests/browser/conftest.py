"""Fixtures of the tests with a real browser."""

import os
from collections.abc import Iterator
from importlib.resources import files

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from support.fakes import FakeClock
from support.find_browser import find_browser
from support.page_data import PageData, full
from support.served_pages import ServedPages, served_pages


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """A headless Chromium. Its sandbox refuses root, as which containers run tests.

    Playwright's event loop runs in this thread until the end, and tests of other files have their
    own: so a file has a browser.
    """
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        yield found
        found.close()


@pytest.fixture(params=[True, False], ids=["with-script", "without-script"])
def page(browser: Browser, request: pytest.FixtureRequest) -> Iterator[Page]:
    """A page of a browser with script, and of one without."""
    context = browser.new_context(java_script_enabled=request.param, locale="en-GB")
    yield context.new_page()
    context.close()


@pytest.fixture
def scripted(browser: Browser) -> Iterator[Page]:
    """A page of a browser with script."""
    context = browser.new_context(locale="en-GB")
    yield context.new_page()
    context.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core."""
    return (files("axe_playwright_python") / "axe.min.js").read_text()


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


@pytest.fixture
def empty_panel() -> Iterator[ServedPages]:
    """The pages of an installation on its first day."""
    with served_pages(PageData(FakeClock())) as served:
        yield served
