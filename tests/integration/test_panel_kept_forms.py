"""What is written into any form survives a session's end, a role too low, and another user."""

import pytest

from consumer.panel.credentials import SESSION_SECONDS
from support.hook_form import NEW, SEED, fields
from support.panel import TOKENS
from support.served_pages import ServedPages
from support.visitor import Visitor, field

LOGIN = "/login?kept=1"
HOOK = "/hooks/click-analytics"


@pytest.mark.parametrize(
    ("page", "path", "written"),
    [
        (
            "/compose?trigger=push_click&subject=spring-sale",
            "/compose",
            {"click-analytics.campaign": "written for an hour"},
        ),
        (f"{HOOK}/pause", f"{HOOK}/pause", {"comment": "written for an hour"}),
        (
            f"{HOOK}/rollback?revision=1",
            f"{HOOK}/rollback",
            {"comment": "written for an hour"},
        ),
        (f"{HOOK}/delete", f"{HOOK}/delete", {"comment": "written for an hour"}),
        ("/dead-letters/replay?hook=store-visit", "/dead-letters/replay", {"hook": "store-visit"}),
    ],
)
async def test_no_form_is_lost_with_its_session(
    panel: ServedPages, page: str, path: str, written: dict[str, str]
) -> None:
    """After the log-in the form is there with its text, and nothing was done; likewise if its CSRF
    token is of an earlier session.
    """
    visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("operator")
    name = path if path != "/compose" else '/compose" class="compose'
    form = fields(await visitor("GET", page), name) | written
    stale = await visitor("POST", path, form | {"csrf": "of another session"})
    panel.data.clock.advance(SESSION_SECONDS + 1)
    ended = await visitor("POST", path, form)
    assert b"What you wrote is kept" in ended.body
    shown = await visitor("POST", LOGIN, fields(ended, LOGIN) | {"token": TOKENS["operator"]})
    for answer in (stale, shown):
        assert answer.status == 200
        assert fields(answer, name).items() >= written.items()
    assert len(panel.data.history) == 3


async def test_a_role_too_low_does_not_lose_a_form(panel: ServedPages) -> None:
    """If the user who logs in may not use the form, the page says so, carries the text on, and the
    log-in holds.
    """
    visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
    form = SEED | {"csrf": field(await visitor("GET", NEW), "csrf")}
    panel.data.clock.advance(SESSION_SECONDS + 1)
    ended = await visitor("POST", NEW, form)
    refused = await visitor("POST", LOGIN, fields(ended, LOGIN) | {"token": TOKENS["viewer"]})
    assert refused.status == 403
    assert fields(refused, NEW)["name"] == SEED["name"]
    assert (await visitor("GET", "/hooks")).status == 200


async def test_a_form_that_another_user_wrote_says_whose_it_is(panel: ServedPages) -> None:
    """If another user logs in than wrote the form, the page names both before anything is saved;
    for the same user there is no such sentence.
    """
    visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
    form = fields(await visitor("GET", NEW), NEW) | SEED
    panel.data.clock.advance(SESSION_SECONDS + 1)
    for role, is_other in (("operator", True), ("editor", False)):
        ended = await visitor("POST", NEW, form)
        login = fields(ended, LOGIN) | {"token": TOKENS[role]}
        shown = await visitor("POST", LOGIN, login)
        assert (b"editor wrote this, and you are operator" in shown.body) is is_other
        assert fields(shown, NEW)["writer"] == role
        panel.data.clock.advance(SESSION_SECONDS + 1)
