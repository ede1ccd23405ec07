"""What is written into the form of a hook survives other editors, a session's end and Kafka."""

from collections.abc import Mapping
from typing import Any

from consumer.control.changes import UnknownOutcomeError
from consumer.panel.credentials import SESSION_SECONDS
from consumer.panel.pages.hook_form_page import MAX_KEPT_SECRETS
from consumer.services.catalogue import HookEntry
from consumer.services.hooks import Changed, Who
from consumer.services.topic_view import UnavailableError
from consumer.settings import PanelSettings
from support.fakes import FakeClock
from support.hook_form import DEFINITION, EDIT, NEW, SEED, definition_in_force, fields, press, save
from support.page_changes import PageChanges
from support.page_data import PageData, full
from support.panel import TOKENS
from support.served_pages import ServedPages, served_pages
from support.visitor import Visitor, field


async def test_two_editors_lose_nothing(panel: ServedPages, editor: Visitor) -> None:
    """The second one to save is told who changed what, and keeps the text; it is saved on top
    after another review, against the hook as it is then.
    """
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    other = await Visitor(panel, {"Accept-Language": "en"}).log_in("operator")
    theirs = fields(await other("GET", EDIT), EDIT) | {"owner": "Theirs"}
    assert (await save(other, EDIT, theirs)).status == 303
    for button in ("review", "save"):
        told = await press(editor, EDIT, mine, button)
        text = told.body.decode()
        assert told.status == 412
        assert "operator has changed this hook while you were writing" in text
        assert "Theirs" in text
        assert fields(told, EDIT)["name"] == "Mine"
        assert fields(told, EDIT)["seen"] == "3"
    assert (await definition_in_force(panel, "click-analytics"))["name"] == "Click analytics"
    review = await press(editor, EDIT, fields(told, EDIT), "mine")
    assert "Save these changes" in review.body.decode()
    assert "Theirs" in review.body.decode()
    assert (await press(editor, EDIT, fields(review, EDIT), "save")).status == 303
    after = await definition_in_force(panel, "click-analytics")
    assert (after["name"], after["owner"]) == ("Mine", "team-crm")


async def test_a_hook_that_was_deleted_meanwhile_is_made_again(
    panel: ServedPages, editor: Visitor
) -> None:
    """An editor whose hook was deleted is told by whom, and may make it again with the text."""
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    await PageChanges(panel.data).delete("click-analytics", 3, Who("mehmet"), dry_run=False)
    told = await press(editor, EDIT, mine, "review")
    assert (told.status, b"mehmet has deleted this hook" in told.body) == (412, True)
    review = await press(editor, EDIT, fields(told, EDIT), "mine")
    assert (await press(editor, EDIT, fields(review, EDIT), "save")).status == 303
    assert (await definition_in_force(panel, "click-analytics"))["name"] == "Mine"


async def test_a_session_that_ends_while_one_writes_loses_nothing(
    panel: ServedPages, editor: Visitor
) -> None:
    """The log-in carries the form, a wrong token included, and shows it again without saving it;
    its secrets are sealed meanwhile, and its text is in no address.
    """
    secret = {"headers.0.source": "fixed", "headers.0.value": "c4nary", "headers.0.secret": "on"}
    form = SEED | {"csrf": field(await editor("GET", NEW), "csrf")} | secret
    panel.data.clock.advance(SESSION_SECONDS + 1)
    page = await editor("POST", NEW, {**form, "save": ""})
    assert page.status == 200
    assert b"What you wrote is kept" in page.body
    assert b"c4nary" not in page.body
    login = "/login?kept=1"
    wrong = await editor("POST", login, fields(page, login) | {"token": "guess"})
    assert wrong.status == 401
    shown = await editor("POST", login, fields(wrong, login) | {"token": TOKENS["editor"]})
    assert (shown.status, b"you are logged in again" in shown.body.lower()) == (200, True)
    again = fields(shown, NEW)
    assert again["name"] == SEED["name"]
    assert again["headers.0.sealed_for"] == "https://e.example"
    assert len(panel.data.entries) == 3
    assert (await save(editor, NEW, again)).status == 303


async def test_a_request_without_a_user_seals_a_few_secrets_only(panel: ServedPages) -> None:
    """Of a form whose session has ended ten secrets are sealed; of one with more none is kept, so
    that a request without a user costs little.
    """
    for count, kept in ((MAX_KEPT_SECRETS, MAX_KEPT_SECRETS), (MAX_KEPT_SECRETS + 1, 0)):
        secrets = dict[str, str]()
        for index in range(count):
            name = f"signing_secrets.{index}"
            secrets[f"{name}.value"] = "c4nary"
        page = (await Visitor(panel)("POST", NEW, SEED | secrets)).body.decode()
        assert "c4nary" not in page
        assert page.count("${sealed:") == kept * 2  # for the log-in, and to go on


async def test_a_form_of_an_earlier_session_is_shown_again(
    panel: ServedPages, editor: Visitor
) -> None:
    """A form whose CSRF token is another session's is not carried out, and not lost either; one
    of another site is refused.
    """
    page = await editor("POST", NEW, {**SEED, "csrf": "of another session", "save": ""})
    assert (page.status, b"of an earlier session" in page.body) == (200, True)
    assert fields(page, NEW)["uri"] == SEED["uri"]
    foreign = await editor("POST", NEW, {**SEED, "save": ""}, Sec_Fetch_Site="cross-site")
    assert foreign.status == 403
    assert SEED["name"].encode() not in foreign.body
    assert len(panel.data.entries) == 3


async def test_behind_a_proxy_the_form_goes_on_after_its_log_in() -> None:
    """If the proxy names no user any more, the page offers to go on; then the form is shown again,
    and nothing is saved.
    """
    settings = PanelSettings(trusted_proxies=("127.0.0.1",))
    with served_pages(full(FakeClock()), panel=settings) as panel:
        visitor = Visitor(panel, {"Accept-Language": "en", "Sec-Fetch-Site": "same-origin"})
        page = await visitor("POST", NEW, {**SEED, "save": ""})
        assert (page.status, b'name="token"' in page.body) == (200, False)
        visitor.headers |= {"X-Forwarded-User": "ayse", "X-Forwarded-Role": "editor"}
        shown = await visitor("POST", NEW, fields(page, NEW))
        assert (shown.status, fields(shown, NEW)["name"]) == (200, SEED["name"])
        assert len(panel.data.entries) == 3


async def test_the_one_time_link_goes_on_with_the_form() -> None:
    """After the link was opened in another tab, the tab with the form goes on with its text."""
    with served_pages(full(FakeClock()), panel=PanelSettings()) as panel:
        visitor = Visitor(panel, {"Accept-Language": "en"})
        page = await visitor("POST", NEW, {**SEED, "save": ""})
        assert b"opened by the link" in page.body
        await visitor("GET", f"/login?code={panel.gate.link}")
        shown = await visitor("POST", NEW, fields(page, NEW))
        assert (shown.status, fields(shown, NEW)["name"]) == (200, SEED["name"])
        assert len(panel.data.entries) == 3


class _AwayData(PageData):
    """An installation whose Kafka is away at times."""

    is_away = False

    async def hook(self, hook_id: str) -> HookEntry:
        """One hook, if Kafka is there."""
        if self.is_away:
            raise UnavailableError("Kafka has not answered")
        return await super().hook(hook_id)


async def test_a_failure_of_kafka_keeps_the_form() -> None:
    """If the change cannot be written, the form comes back with its text and says why."""
    data = _AwayData(FakeClock())
    data.add_hook({**DEFINITION, "id": "click-analytics"}, revision=3)
    with served_pages(data) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        form = fields(await visitor("GET", EDIT), EDIT) | {"name": "Mine"}
        data.is_away = True
        page = await press(visitor, EDIT, form, "review")
        assert page.status == 503
        assert b"Kafka has not answered" in page.body
        assert fields(page, EDIT)["name"] == "Mine"
        data.is_away = False
        assert (await save(visitor, EDIT, fields(page, EDIT))).status == 303


async def test_a_page_that_answers_a_form_has_nothing_that_would_lose_it(editor: Visitor) -> None:
    """A page that answers a form says so to its script, which asks before one leaves it, and has
    no switches of language and colours, which would lead away from what is written.
    """
    empty = await editor("GET", NEW)
    assert b'action="/preferences"' in empty.body
    assert b"data-written" not in empty.body
    for button in ("validate", "review", "add-header"):
        page = await press(editor, NEW, SEED, button)
        assert b'action="/preferences"' not in page.body, button
        assert b"data-written" in page.body, button
        assert b"unsaved." in page.body, button


class _DoubtfulChanges(PageChanges):
    """Writes of which it is not known whether they were done."""

    async def create(self, definition: Mapping[str, Any], who: Who, *, dry_run: bool) -> Changed:
        """Create a hook, without an answer of Kafka."""
        done = await super().create(definition, who, dry_run=dry_run)
        if not dry_run:
            raise UnknownOutcomeError("Kafka has not confirmed the change")
        return done


async def test_a_save_without_an_answer_leads_to_the_hook_first() -> None:
    """If it is not known whether a new hook was written, the page leads to that hook before
    another try, which says that it is written; another id would make a second hook.
    """
    data = PageData(FakeClock())
    with served_pages(data, changes=_DoubtfulChanges(data)) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "en"}).log_in("editor")
        review = await press(visitor, NEW, SEED, "review")
        told = await press(visitor, NEW, fields(review, NEW), "save")
        text = told.body.decode()
        assert told.status == 503
        assert "it may be saved already" in text
        assert 'href="/hooks/category-views"' in text
        assert "is kept: try it again" not in text
        again = await press(visitor, NEW, fields(told, NEW), "review")
        assert (again.status, b"Nothing of Category views" in again.body) == (200, True)
        assert 'href="/hooks/category-views"' in again.body.decode()


async def test_a_hook_that_was_made_again_meanwhile_is_a_newer_one(
    panel: ServedPages, editor: Visitor
) -> None:
    """If another editor has made a deleted hook again, or a form names no revision, the page says
    so and offers to save on top; an id that cannot be changed is never to blame.
    """
    changes = PageChanges(panel.data)
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    await changes.delete("click-analytics", 3, Who("mehmet"), dry_run=False)
    told = await press(editor, EDIT, mine, "review")
    review = await press(editor, EDIT, fields(told, EDIT), "mine")
    await changes.create({**DEFINITION, "id": "click-analytics"}, Who("mehmet"), dry_run=False)
    for form in (fields(review, EDIT), fields(review, EDIT) | {"seen": ""}):
        told = await press(editor, EDIT, form, "save")
        assert told.status == 412
        assert b"mehmet has changed this hook while you were writing" in told.body
    review = await press(editor, EDIT, fields(told, EDIT), "mine")
    assert (await press(editor, EDIT, fields(review, EDIT), "save")).status == 303
    assert (await definition_in_force(panel, "click-analytics"))["name"] == "Mine"


async def test_a_comment_of_several_lines_is_told_before_it_is_saved(editor: Visitor) -> None:
    """A comment that no history may have is a problem of the comment, in the review and not only
    when the hook is saved; there is a field to correct it in.
    """
    for comment in ("why\tso", "x" * 501):
        for button in ("review", "save"):
            page = await press(editor, NEW, SEED | {"comment": comment}, button)
            assert page.status == 422
            assert b'id="p-comment"' in page.body
            assert fields(page, NEW)["comment"] == comment
    assert b'type="hidden" name="comment"' in (await editor("GET", NEW)).body


async def test_a_second_editor_sees_each_field_that_a_save_would_undo(
    panel: ServedPages, editor: Visitor
) -> None:
    """A conflict marks each field that others changed and that a save on top would change again:
    those that the second editor never touched, and those that both have changed, and no other.
    """
    mine = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine", "parameters.0.key": "user"}
    other = await Visitor(panel, {"Accept-Language": "en"}).log_in("operator")
    theirs = fields(await other("GET", EDIT), EDIT)
    theirs |= {"owner": "Theirs", "name": "Their name", "select": "autumn"}
    assert (await save(other, EDIT, theirs)).status == 303
    mine["select"] = "autumn"
    text = (await press(editor, EDIT, mine, "review")).body.decode()
    assert "would change 2 fields of theirs again" in text
    for name in ("owner", "name"):
        assert f'id="o-{name}"' in text
        assert f'href="#f-{name}"' in text
    for name in ("select", "parameters.0.key"):
        assert f'id="o-{name}"' not in text
    owner, name = (text[text.index(f'id="o-{one}"') :][:400] for one in ("owner", "name"))
    assert "not by you: yours would undo it" in owner
    assert "team-crm" in owner
    assert "by others and by you" in name
    assert "Their name" in name


async def test_a_second_save_of_the_same_writes_nothing(
    panel: ServedPages, editor: Visitor
) -> None:
    """A review that is saved again, as after a way back in the browser, is no conflict: the page
    says that the hook is so already, for a change and for a new hook.
    """
    changed = fields(await editor("GET", EDIT), EDIT) | {"name": "Mine"}
    for path, form in ((EDIT, changed), (NEW, SEED)):
        review = fields(await press(editor, path, form, "review"), path)
        assert (await press(editor, path, review, "save")).status == 303
        again = await press(editor, path, review, "save")
        assert (again.status, b"would change" in again.body) == (200, True)
        assert b'name="save"' not in again.body
    assert len(panel.data.history) == 5
