"""What stands beside the form of a hook, over HTTP: who sees it, what it shows and sends."""

from collections.abc import Iterator, Mapping
from html import unescape

import pytest

from consumer.panel.pages.form_fields import posted_fields
from consumer.panel.pages.hook_form import form_of
from consumer.panel.pages.trial_page import PARTS
from support.fakes import FakeClock
from support.page_data import full
from support.page_trials import SECRET
from support.receiver import Receiver, response
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field

HOOK = "click-analytics"
EDIT = f"/hooks/{HOOK}/edit"


@pytest.fixture
def panel() -> Iterator[ServedPages]:
    """The pages of an installation at work."""
    with served_pages(full(FakeClock())) as served:
        yield served


async def _form(panel: ServedPages, visitor: Visitor) -> dict[str, str]:
    """The form of the hook as its page has it."""
    entry = await panel.data.hook(HOOK)
    assert entry.definition is not None
    page = await visitor("GET", EDIT)
    marks = {name: field(page, name) for name in ("csrf", "seen")}
    return {**posted_fields(form_of(entry.definition)), **marks}


async def _part(visitor: Visitor, part: str, form: Mapping[str, str]) -> str:
    answer = await visitor("POST", f"/trial/{part}", form)
    assert answer.status == 200, answer.body
    return unescape(answer.body.decode())


async def test_the_sample_is_of_a_real_event_with_each_values_origin(panel: ServedPages) -> None:
    """The request of the newest event for which the hook fires, or of the chosen one, with each
    value and where it comes from; secrets are references, and never their text.
    """
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor)
    shown = await _part(visitor, "sample", form)
    assert "collect/none?uid=user-1&category=shoes" in shown
    assert "X-Api-Key: ${env:ANALYTICS_KEY}" in shown
    assert "default" in shown
    assert SECRET not in shown
    assert "<!doctype" not in shown
    chosen = await _part(visitor, "sample", {**form, "try.ref": "push-click/0/97"})
    assert "uid=user-3" in chosen
    stopped = await _part(visitor, "sample", {**form, "try.ref": "push-click/0/98"})
    assert "It selects other events." in stopped
    assert "uid=user-2" in stopped


async def test_what_is_missing_is_said_with_what_follows(panel: ServedPages) -> None:
    """A value that the event does not have is named with where it was looked for and what follows;
    one that rejects the delivery leaves no request.
    """
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor) | {"parameters.1.value": "data.colour"}
    shown = await _part(visitor, "sample", form)
    assert "nowhere: it is missing" in shown
    assert 'event <span class="code">data.colour</span>' in shown
    misspelt = await _part(visitor, "sample", form | {"parameters.1.value": "data.categry"})
    assert 'Recent events have <span class="code">data.category</span>' in misspelt
    assert "left out" in shown
    rejected = await _part(visitor, "sample", {**form, "parameters.1.missing": "reject"})
    assert "dead-letter topic as rejected" in rejected
    assert "curl -q" not in rejected


async def test_a_form_that_is_not_finished_says_what_is_missing(panel: ServedPages) -> None:
    """Without a URI the sample says so in place of a request; a label that is not written yet does
    not hold it up.
    """
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor)
    unfinished = await _part(visitor, "sample", {**form, "uri": ""})
    assert "The request is shown once these are settled" in unfinished
    assert "curl -q" in await _part(visitor, "sample", {**form, "labels.0.label": ""})
    assert "Choose a trigger" in await _part(visitor, "sample", {**form, "trigger": ""})


async def test_an_event_of_ones_own_takes_the_place_of_a_real_one(panel: ServedPages) -> None:
    """An event that was written as JSON is used, and one that is none is refused with a reason."""
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor)
    own = '{"id": "own", "user": {"id": "zeynep"}, "notification": {"id": "spring-sale"}}'
    assert "uid=zeynep" in await _part(visitor, "sample", {**form, "try.event": own})
    refused = await _part(visitor, "sample", {**form, "try.event": "{"})
    assert 'class="problem"' in refused
    assert "curl -q" not in refused


async def test_the_effect_of_a_change_is_shown_before_it_is_saved(panel: ServedPages) -> None:
    """How many of the last events would fire, how many did before, and which ones change; a new
    hook compares with nothing.
    """
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor) | {"id": HOOK, "select": "other"}
    shown = await _part(visitor, "change", form)
    assert "It would fire for 3 of the last 6 events (before: 3)." in shown
    for text in ("Fires for these now", "Fires for these no more", "01JDCLICK0", "01JDCLICK1"):
        assert text in shown
    new = await _part(visitor, "change", {**form, "seen": "0"})
    assert "It would fire for 3 of the last 6 events." in new
    assert "Fires for these" not in new


async def test_a_test_send_shows_phases_and_the_answer_as_text(panel: ServedPages) -> None:
    """A test goes to the real receiver with an id of its own, also of an event that was pasted with
    its id, and with the hook's secret; its status, its phases and the beginning of its answer are
    shown as text, without what was secret.
    """
    body = f"<script>alert(1)</script> {SECRET} typed-secret".encode()
    async with Receiver(response(503, body=body)) as receiver:
        visitor = await Visitor(panel).log_in("editor")
        form = await _form(panel, visitor) | {
            "uri": f"{receiver.origin}/{{campaign}}", "headers.2.key": "X-Typed",
            "headers.2.source": "fixed", "headers.2.value": "typed-secret",
            "headers.2.secret": "on",
        }  # fmt: skip
        answer = (await visitor("POST", "/trial/test", form)).body.decode()
        pasted = {**form, "try.event": '{"id": "real-1", "notification": {"id": "spring-sale"}}'}
        await visitor("POST", "/trial/test", pasted)
    request, second = receiver.requests
    assert b"webhook-id: test-" in second
    assert b"real-1" not in second
    assert request.startswith(b"GET /none?uid=user-1&category=shoes ")
    assert f"X-Api-Key: {SECRET}".encode() in request
    assert b"X-Typed: typed-secret" in request
    assert b"webhook-id: test-" in request
    for text in ("503", "first byte", "phase-first_byte", "&lt;script&gt;alert(1)", "[secret]"):
        assert text in answer
    for text in ("<script>", SECRET, "typed-secret"):
        assert text not in answer


async def test_a_test_send_says_what_was_sent_and_where_it_is_led(panel: ServedPages) -> None:
    """A test shows the request as it was sent, with secrets hidden; of an answer of 1 MiB the first
    part, and that there is more; and of a redirect where it leads, as text, which is not followed.
    """
    long = response(200, body=b"y" * (1 << 20))
    moved = response(302, "Location: /<b>&next=1")
    async with Receiver(long, moved) as receiver:
        visitor = await Visitor(panel).log_in("editor")
        form = await _form(panel, visitor) | {
            "uri": f"{receiver.origin}/{{campaign}}", "headers.2.key": "X-Typed",
            "headers.2.source": "fixed", "headers.2.value": "typed-secret",
            "headers.2.secret": "on",
        }  # fmt: skip
        shown = [await _part(visitor, "test", form) for _ in range(2)]
    request = receiver.requests[0].decode()
    for line in request.splitlines():
        name = line.partition(":")[0]
        if name in {"webhook-id", "webhook-timestamp", "X-City"}:
            assert line in shown[0], line
    url = form["uri"].replace("{campaign}", "none")
    assert f"GET {url}?uid=user-1&category=shoes" in shown[0]
    assert "X-Typed: <secret>" in shown[0]
    assert "typed-secret" not in shown[0]
    assert SECRET not in shown[0]
    assert "y" * 1024 in shown[0]
    assert "longer than what is shown" in shown[0]
    assert "no body" not in shown[0]
    assert "/<b>&next=1" in shown[1]
    assert "Redirects are not followed" in shown[1]
    assert len(receiver.requests) == 2


async def test_a_test_that_the_guard_refuses_says_why(panel: ServedPages) -> None:
    """An address that the guard refuses is not dialled, and the page has the guard's sentence."""
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor) | {"uri": "http://169.254.169.254/latest"}
    shown = await _part(visitor, "test", form)
    assert "169.254.169.254" in shown
    assert "phase-" not in shown


@pytest.mark.parametrize("part", PARTS)
async def test_nothing_of_it_is_for_viewers(panel: ServedPages, part: str) -> None:
    """A viewer gets no part of it, and so no value of an event; a form of another session, of
    another site, or without a session gets none either.
    """
    editor, viewer = await Visitor(panel).log_in("editor"), await Visitor(panel).log_in("viewer")
    form = await _form(panel, editor)
    own = form | {"csrf": await viewer.csrf()}
    for visitor, posted, headers in (
        (viewer, own, {}),
        (editor, form, {"Origin": "https://evil.example"}),
    ):
        refused = await visitor("POST", f"/trial/{part}", posted, **headers)
        assert refused.status == 403
        assert b"user-1" not in refused.body
    stale = await editor("POST", f"/trial/{part}", {**form, "csrf": "other"})
    assert (stale.status, b"user-1" in stale.body) == (403, False)
    assert (await Visitor(panel)("POST", f"/trial/{part}", form)).status == 303


async def test_without_script_each_part_has_a_button(panel: ServedPages) -> None:
    """The form's page shows the part whose button was pressed, and all that was typed stays; the
    button of a subject selects it.
    """
    visitor = await Visitor(panel).log_in("editor")
    form = await _form(panel, visitor) | {"name": "Not saved yet"}
    sample = await visitor("POST", EDIT, {**form, "try-sample": ""})
    assert (sample.status, b"uid=user-1" in sample.body) == (200, True)
    assert b'value="Not saved yet"' in sample.body
    change = await visitor("POST", EDIT, {**form, "select": "other", "try-change": ""})
    assert b"(before: 3)" in change.body
    assert b"curl -q" not in change.body
    chosen = await visitor("POST", EDIT, {**form, "add-subject": "other"})
    assert b"summer-sale\nother</textarea>" in chosen.body
    assert b'name="add-subject"' in (await visitor("GET", EDIT)).body
    assert b'<datalist id="names-profile">' in chosen.body


async def test_names_to_choose_from_are_no_values(panel: ServedPages) -> None:
    """The names that fields suggest come from recent events, by value source."""
    visitor = await Visitor(panel).log_in("editor")
    shown = await _part(visitor, "events", await _form(panel, visitor))
    assert '<option value="data.category">' in shown
    assert '<option value="city">' in shown
    assert "İstanbul" not in shown
