"""Fixtures of the tests that run commands and serve pages on this machine."""

from collections.abc import Iterator

import pytest

from support.fakes import FakeClock
from support.page_data import full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


@pytest.fixture
async def editor(panel: ServedPages) -> Visitor:
    """An editor who is logged in, and reads English."""
    return await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
