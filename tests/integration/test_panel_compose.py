"""The page that composes a notification, over HTTP."""

from collections.abc import Iterator
from html import unescape

import pytest

from support.fakes import FakeClock
from support.page_data import full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


async def test_a_notification_is_composed(panel: ServedPages) -> None:
    """Trigger and subject are in the address; what is entered comes back in its field, and as the
    JSON that the notification's events are to hold.
    """
    visitor = await Visitor(panel).log_in("viewer")
    page = await visitor("GET", "/compose?trigger=push_click&subject=spring-sale")
    for text in ("Campaign code", "{campaign}", 'placeholder="none"'):
        assert text in page.body.decode()
    assert "<pre" not in page.body.decode()
    form = {
        "csrf": field(page, "csrf"), "trigger": "push_click", "subject": "spring-sale",
        "click-analytics.campaign": "spring 26",
    }  # fmt: skip
    done = unescape((await visitor("POST", "/compose", form)).body.decode())
    assert '"click-analytics": {\n    "campaign": "spring 26"\n  }' in done
    assert 'value="spring 26"' in done
    empty = await visitor("POST", "/compose", {**form, "click-analytics.campaign": ""})
    assert "the defaults and the event" in empty.body.decode()


async def test_a_subject_that_no_hook_selects_asks_for_nothing(panel: ServedPages) -> None:
    """Hooks that select other notifications are not asked for, and a hook's own page shows its
    fields as a form that cannot be filled in there.
    """
    visitor = await Visitor(panel).log_in("viewer")
    for query in ("", "?trigger=push_click&subject=other", "?trigger=geofence"):
        page = (await visitor("GET", f"/compose{query}")).body
        assert b"No hook asks for anything" in page
    assert (await visitor("GET", "/compose?trigger=email")).status == 422
    own = (await visitor("GET", "/hooks/click-analytics")).body.decode()
    assert "compose-group" in own
    assert "/compose?trigger=push_click&amp;subject=spring-sale" in own
