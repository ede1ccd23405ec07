"""Secrets in the form of a hook: no page has them."""

import re

from consumer.services.hooks import Who
from support.fakes import FakeClock
from support.hook_form import EDIT, NEW, SEED, definition_in_force, fields, press, save
from support.page_changes import PageChanges
from support.page_data import full
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor


async def test_a_typed_secret_is_in_no_answer(panel: ServedPages, editor: Visitor) -> None:
    """Whatever button is pressed, and whatever else is wrong, a typed secret is sealed or gone: no
    answer has it, and the definition has the sealed one.
    """
    canary = "c4nary-secret"
    secret = {
        "headers.1.key": "X-Key", "headers.1.source": "fixed", "headers.1.value": canary,
        "headers.1.secret": "on", "signing_secrets.0.value": canary,
    }  # fmt: skip
    for change in ({}, {"uri": "https:/bad"}, {"trigger": ""}):
        for button in ("validate", "review", "save", "add-header", "edit", "remove-parameter.0"):
            page = await press(editor, NEW, SEED | secret | change, button)
            assert canary not in page.body.decode(), (change, button)
    page = await press(editor, NEW, SEED | secret, "review")
    assert page.status == 422  # the signing secret is no base64
    form = fields(page, NEW) | {"signing_secrets.0.value": "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"}
    assert form["headers.1.sealed_for"] == "https://e.example"
    assert (await save(editor, NEW, form)).status == 303
    made = await definition_in_force(panel, "category-views")
    assert made["headers"][1]["value"].startswith("${sealed:")
    assert made["signing_secrets"][0].startswith("${sealed:")
    path = "/hooks/category-views/edit"
    kept = fields(await editor("GET", path), path)
    assert kept["headers.1.value"] == ""
    moved = await press(editor, path, kept | {"uri": "https://other.example/{campaign}"}, "review")
    assert moved.status == 422
    assert (
        b"is sealed for https://e.example, and the URI has the origin https://other" in moved.body
    )
    assert (await save(editor, path, kept | {"name": "Kept"})).status == 303
    after = await definition_in_force(panel, "category-views")
    assert after["headers"] == made["headers"]


async def test_without_a_key_the_form_says_how_secrets_are_entered() -> None:
    """Without hooks.seal_public_key there is no box for secrets, and a sentence says why."""
    with served_pages(full(FakeClock()), sealing=False) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        page = await visitor("GET", NEW)
        assert b"hooks.seal_public_key must be in the settings" in page.body
        assert b".secret" not in page.body
        canary = {"signing_secrets.0.value": "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0"}
        review = await press(visitor, NEW, SEED | canary, "review")
        assert (review.status, b"it is not kept" in review.body) == (422, True)
        assert canary["signing_secrets.0.value"].encode() not in review.body


async def test_no_page_shows_a_signing_secret_that_stands_in_plain(panel: ServedPages) -> None:
    """A signing secret that is not sealed is hidden on the hook's page, as YAML, in the form and
    its review, in the history and in questions, for every role; that it was changed is told. The
    form keeps it: what is saved still has it, and so has a test send.
    """
    old, new = "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0", "whsec_OTg3NjU0MzIxMDk4NzY1NDMyMTA5ODc2"
    changes, seen = PageChanges(panel.data), 3
    usual = await definition_in_force(panel, "click-analytics")
    for text in (old, new):
        definition = {**usual, "signing_secrets": [text]}
        await changes.change("click-analytics", definition, seen, Who("api"), dry_run=False)
        seen += 1
    operator = await Visitor(panel, {"Accept-Language": "en"}).log_in("operator")
    viewer = await Visitor(panel, {"Accept-Language": "en"}).log_in("viewer")
    rollback = "/hooks/click-analytics/rollback?revision=4"
    for visitor, path in (
        (viewer, "/hooks/click-analytics"), (operator, "/hooks/click-analytics"),
        (viewer, "/audit"), (operator, rollback),
    ):  # fmt: skip
        text = (await visitor("GET", path)).body.decode()
        assert "(hidden)" in text, path
        assert old[6:] not in text, path
        assert new[6:] not in text, path
    turkish = await viewer("GET", "/hooks/click-analytics", Accept_Language="tr")
    assert turkish.body.decode().count("(hidden)") == 1  # as YAML
    assert "(gizli)" in turkish.body.decode()
    page = await operator("GET", EDIT)
    form = fields(page, EDIT)
    review = await press(operator, EDIT, form | {"name": "Kept"}, "review")
    copied = await operator("GET", f"{NEW}?from=click-analytics")
    sent = await press(operator, EDIT, form, "try-test")
    assert b"webhook-signature" in sent.body
    for one in (page, review, copied, sent):
        assert new[6:] not in one.body.decode()
    assert "enter it again" in copied.body.decode()
    assert (await press(operator, EDIT, fields(review, EDIT), "save")).status == 303
    assert (await definition_in_force(panel, "click-analytics"))["signing_secrets"] == [new]
    form = fields(await operator("GET", EDIT), EDIT)
    review = await press(operator, EDIT, form | {"signing_secrets.0.value": old}, "review")
    difference = review.body.decode().split('class="difference"')[1].split("</dl>")[0]
    assert "${sealed:" in difference
    assert "(hidden)" in difference
    assert old[6:] not in review.body.decode()
    stale = form | {"signing_secrets.0.kept": "another"}
    answer = (await press(operator, EDIT, stale, "review")).body.decode()
    assert "is another one by now" in answer


async def test_a_review_warns_of_secrets_that_would_be_stored_in_plain(editor: Visitor) -> None:
    """A fixed value whose key sounds like a credential is named before it is saved; references,
    sealed ones and signing secrets, which are sealed, are not.
    """
    plain = {
        "headers.1.key": "X-Api-Key", "headers.1.source": "fixed", "headers.1.value": "abc",
        "signing_secrets.0.value": "whsec_MTIzNDU2Nzg5MDEyMzQ1Njc4OTAxMjM0",
    }  # fmt: skip
    review = (await press(editor, NEW, SEED | plain, "review")).body.decode()
    warned = review.split('id="plain"')[1].split("</section>")[0]
    assert "Header 2, Value" in warned
    assert "Signing secret" not in warned
    marked = {"headers.1.secret": "on"}
    review = (await press(editor, NEW, SEED | plain | marked, "review")).body.decode()
    assert 'id="plain"' not in review
    page = (await press(editor, NEW, SEED | plain, "validate")).body.decode()
    assert re.search(r'id="f-signing_secrets.0.value"[^>]* type="password"', page)


async def test_a_reference_that_is_marked_as_secret_stays_one(
    panel: ServedPages, editor: Visitor
) -> None:
    """A whole reference in a field that is marked as secret is not sealed as if it were the secret
    itself.
    """
    form = SEED | {
        "headers.0.source": "fixed", "headers.0.value": "${env:ANALYTICS_KEY}",
        "headers.0.secret": "on",
    }  # fmt: skip
    assert (await save(editor, NEW, form)).status == 303
    [header] = (await definition_in_force(panel, "category-views"))["headers"]
    assert header["value"] == "${env:ANALYTICS_KEY}"
