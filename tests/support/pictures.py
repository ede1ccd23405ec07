"""Takes the pictures of the panel that the README shows, of pages with made-up data.

`make pictures` writes them to `docs/pictures`. They change with the pages, and are looked at by a
person before they are committed.
"""

import os
from typing import Final, Literal, NamedTuple

from playwright.sync_api import sync_playwright

from support.fakes import FakeClock
from support.find_browser import find_browser
from support.page_data import full
from support.panel_browser import PATHS, log_in
from support.project import ROOT
from support.served_pages import served_pages

FOLDER: Final = ROOT / "docs/pictures"
_WIDTH, _HEIGHT = 1280, 800


class Picture(NamedTuple):
    """One picture; `name`: of its file."""

    name: str
    page: str
    """A key of `PATHS`."""
    scheme: Literal["light", "dark"]


PICTURES: Final = (
    Picture("hooks", "hooks", "light"),
    Picture("form", "change of a hook", "light"),
    Picture("delivery", "delivery", "light"),
    Picture("reports", "reports", "dark"),
)


def main() -> None:
    """Take all pictures."""
    FOLDER.mkdir(exist_ok=True)
    arguments = ["--no-sandbox"] if os.geteuid() == 0 else []
    with sync_playwright() as playwright, served_pages(full(FakeClock())) as served:
        browser = playwright.chromium.launch(executable_path=find_browser(), args=arguments)
        for picture in PICTURES:
            page = browser.new_page(
                viewport={"width": _WIDTH, "height": _HEIGHT},
                color_scheme=picture.scheme,
                locale="en-GB",
            )
            log_in(page, served.url)
            page.goto(served.url + PATHS[picture.page])
            page.wait_for_load_state("networkidle")
            page.screenshot(path=FOLDER / f"{picture.name}.png")
            page.close()
        browser.close()


if __name__ == "__main__":
    main()
