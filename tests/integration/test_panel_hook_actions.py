"""A hook is paused, resumed and brought back over its pages: who may, what is asked and told."""

from collections.abc import Iterator

import pytest

from consumer.panel.pages.hook_actions import ACTIONS
from support.fakes import FakeClock
from support.page_data import PageData, full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field

HOOK = "click-analytics"
PATH = f"/hooks/{HOOK}"


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


def _is_on(data: PageData, hook_id: str = HOOK) -> bool:
    [found] = [one for one in data.entries if one.hook_id == hook_id]
    assert found.hook is not None
    return found.hook.enabled


async def _form(visitor: Visitor, path: str) -> dict[str, str]:
    page = await visitor("GET", path)
    assert page.status == 200, page.body
    return {name: field(page, name) for name in ("csrf", "seen")}


async def test_an_operator_pauses_a_hook_and_resumes_it(panel: ServedPages) -> None:
    """A pause says what becomes of events meanwhile, and writes one revision with its author and
    comment; a resume writes the next one.
    """
    visitor = await Visitor(panel).log_in("operator")
    assert f'href="{PATH}/pause"'.encode() in (await visitor("GET", PATH)).body
    asked = await visitor("GET", f"{PATH}/pause")
    for text in ("are not sent later", "dead letters when they are due", "enabled"):
        assert text in asked.body.decode()
    form = {**await _form(visitor, f"{PATH}/pause"), "comment": "the receiver moves"}
    done = await visitor("POST", f"{PATH}/pause", form)
    assert (done.status, done.headers["Location"]) == (303, f"{PATH}?done=pause")
    assert not _is_on(panel.data)
    last = panel.data.history[-1]
    assert (last.by, last.revision, last.comment) == ("operator", 4, "the receiver moves")
    shown = (await visitor("GET", f"{PATH}?done=pause")).body.decode()
    assert "The hook is paused." in shown
    assert f'href="{PATH}/resume"' in shown
    await visitor("POST", f"{PATH}/resume", await _form(visitor, f"{PATH}/resume"))
    assert _is_on(panel.data)


async def test_an_earlier_revision_comes_back_after_its_difference_was_shown(
    panel: ServedPages,
) -> None:
    """The history has a link for each revision that is not in force; the page behind it shows what
    differs from now, and its form makes that revision the newest one.
    """
    visitor = await Visitor(panel).log_in("operator")
    page = (await visitor("GET", PATH)).body.decode()
    assert f"{PATH}/rollback?revision=1" in page
    assert f"{PATH}/rollback?revision=3" not in page
    asked = await visitor("GET", f"{PATH}/rollback?revision=1")
    for text in ("summer-sale", "<del>", "<ins>", "Click analytics"):
        assert text in asked.body.decode()
    form = {**await _form(visitor, f"{PATH}/rollback?revision=1"), "revision": "1"}
    done = await visitor("POST", f"{PATH}/rollback", form)
    assert done.headers["Location"] == f"{PATH}?done=rollback"
    assert panel.data.history[-1].revision == 4
    assert (await panel.data.hook(HOOK)).name == "Clicks"


@pytest.mark.parametrize("action", ACTIONS)
async def test_of_two_operators_the_second_is_told_what_changed(
    panel: ServedPages, action: str
) -> None:
    """A form of an older revision writes nothing: the answer is 412 and says who wrote which
    revision since, and its form is of the newest one.
    """
    visitor = await Visitor(panel).log_in("operator")
    form = await _form(visitor, f"{PATH}/pause") | {"revision": "1"}
    other = await _form(visitor, f"{PATH}/rollback?revision=1") | {"revision": "1"}
    assert (await visitor("POST", f"{PATH}/rollback", other)).status == 303
    if action == "resume":
        await visitor("POST", f"{PATH}/pause", await _form(visitor, f"{PATH}/pause"))
    before = len(panel.data.history)
    late = await visitor("POST", f"{PATH}/{action}", form)
    assert late.status == 412
    assert b"operator has changed the hook" in late.body
    assert len(panel.data.history) == before
    if action != "rollback":
        again = form | {"seen": field(late, "seen")}
        assert (await visitor("POST", f"{PATH}/{action}", again)).status == 303


@pytest.mark.parametrize("role", ["viewer", "editor"])
async def test_actions_are_for_operators(panel: ServedPages, role: str) -> None:
    """Others see no link to an action, and neither its page nor its form is theirs; an operator's
    form of an earlier session is shown again, and not carried out.
    """
    visitor, operator = await Visitor(panel).log_in(role), await Visitor(panel).log_in("operator")
    page = (await visitor("GET", PATH)).body
    form = await _form(operator, f"{PATH}/pause") | {"revision": "1"}
    for action in ACTIONS:
        assert f"{PATH}/{action}".encode() not in page
        assert (await visitor("GET", f"{PATH}/{action}")).status == 403
        own = form | {"csrf": await visitor.csrf()}
        assert (await visitor("POST", f"{PATH}/{action}", own)).status == 403
        stale = await operator("POST", f"{PATH}/{action}", form | {"csrf": "other"})
        assert stale.status == 200
    assert len(panel.data.history) == 3


async def test_a_hook_in_a_file_has_no_actions(panel: ServedPages) -> None:
    """A definition in a file is changed there, so its page offers nothing else."""
    visitor = await Visitor(panel).log_in("operator")
    page = (await visitor("GET", "/hooks/purchase-feed")).body
    assert b"/hooks/purchase-feed/pause" not in page


@pytest.mark.parametrize(
    ("action", "form"),
    [("pause", {}), ("pause", {"seen": "x"}), ("rollback", {"seen": "3"}),
     ("pause", {"seen": "3", "comment": "x" * 501})],
)  # fmt: skip
async def test_a_form_with_a_mistake_is_refused(
    panel: ServedPages, action: str, form: dict[str, str]
) -> None:
    """A form without what its page gave it, or with a comment that is too long, writes nothing and
    says which field is meant.
    """
    visitor = await Visitor(panel).log_in("operator")
    csrf = field(await visitor("GET", f"{PATH}/pause"), "csrf")
    answer = await visitor("POST", f"{PATH}/{action}", form | {"csrf": csrf})
    assert answer.status == 422
    assert len(panel.data.history) == 3


async def test_a_page_says_at_how_many_replicas_a_change_is_in_force(panel: ServedPages) -> None:
    """Behind a change its page says at how many replicas it is in force, and the part that script
    asks for afterwards waits until that is all of them.
    """
    visitor = await Visitor(panel).log_in("operator")
    page = (await visitor("GET", f"{PATH}?done=pause")).body.decode()
    assert "In force on 1 of 2 replicas." in page
    assert f'data-fragment="{PATH}/in-force"' in page
    panel.data.running = [panel.data.running[0]] * 3
    part = (await visitor("GET", f"{PATH}/in-force")).body.decode()
    assert part.strip() == "In force on 3 of 3 replicas."
    whole = (await visitor("GET", f"{PATH}?done=pause")).body.decode()
    assert "data-fragment" not in whole
    assert (await visitor("GET", f"{PATH}?done=jump")).status == 422
