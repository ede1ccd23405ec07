"""Secrets in the form of a hook: no page has them."""

from support.fakes import FakeClock
from support.hook_form import NEW, SEED, definition_in_force, fields, press, save
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
        "signing_secrets.0.secret": "on",
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
