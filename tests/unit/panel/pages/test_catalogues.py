"""The sentences of the pages in each language."""

import re
import string
from collections.abc import Iterable
from dataclasses import fields
from enum import StrEnum
from pathlib import Path
from typing import get_args

import pytest

from consumer.control.records import Action
from consumer.delivery.http.origins import Origin, Part
from consumer.delivery.scheduling.retry_policy import CAUSES
from consumer.events.triggers import Trigger
from consumer.hooks.table import Missing
from consumer.hooks.value_sources import Source
from consumer.journal.log_search import Horizon, SearchEnd
from consumer.journal.records import Followed
from consumer.journal.report_sums import Step
from consumer.matching.explain import Stop
from consumer.panel.pages.catalogue import LANGUAGES, Language, catalogue
from consumer.panel.pages.deliveries_page import horizon_key
from consumer.panel.pages.delivery_page import PHASES
from consumer.panel.pages.form_fields import LINES, LabelRow, RateLimitFields, ValueRow
from consumer.panel.pages.hook_doing import Judgement
from consumer.panel.pages.render import TEMPLATES
from consumer.panel.pages.replica_view import LagCourse
from consumer.panel.pages.visit import Restored
from consumer.reasons import ErrorKind, Reason
from consumer.services.catalogue import HookState
from consumer.settings import ROLES

_CALL = re.compile(r"\b(tn?)\(\s*'([^']+)'(\s*~)?(?:\s+if [^)]*? else '([^']+)')?")
_ROWS = ("headers", "parameters", "signing_secrets")
_FORM_FIELDS = {
    *LINES, *_ROWS, "select", "enabled", "others",
    *(one.name for row in (ValueRow, LabelRow, RateLimitFields) for one in fields(row)),
} - {"written", "secret", "sealed", "sealed_for", "kept", "plain"}  # fmt: skip
"""The fields of a hook's form at which a problem may stand, by their last names."""
LISTS: dict[str, Iterable[str]] = {
    "action": Action, "cause": (*CAUSES, "late"), "doing": Judgement, "form.at": _ROWS,
    "form.field": _FORM_FIELDS, "form.restored": get_args(Restored),
    "error": ErrorKind, "missing": get_args(Missing), "origin": Origin,
    "lag": LagCourse, "outcome": Followed, "part": get_args(Part), "phase": PHASES,
    "reason": Reason,
    "reports.step": Step, "role": ROLES, "source": get_args(Source), "state": HookState,
    "stop": Stop, "trigger": get_args(Trigger), "theme": ("system", "light", "dark"),
}  # fmt: skip
"""Members of closed lists, by the beginning of their messages."""


def _fields(text: str) -> set[str]:
    return {name for _, name, _, _ in string.Formatter().parse(text) if name is not None}


def _used() -> tuple[set[str], set[str]]:
    """The keys that the templates name, and the beginnings of those that they put together."""
    keys, beginnings = set[str](), set[str]()
    for file in TEMPLATES.glob("*.html"):
        for kind, first, joined, second in _CALL.findall(file.read_text()):
            if joined:
                beginnings.add(first)
                continue
            for key in filter(None, (first, second)):
                keys |= {key} if kind == "t" else {f"{key}.one", f"{key}.other"}
    return keys, beginnings


@pytest.mark.parametrize("language", LANGUAGES)
def test_each_language_has_every_message_with_the_same_names(language: Language) -> None:
    """Each language has the messages of English, each with the same names in braces."""
    english, messages = catalogue("en").messages, catalogue(language).messages
    assert messages.keys() == english.keys()
    assert {key: _fields(text) for key, text in messages.items()} == {
        key: _fields(text) for key, text in english.items()
    }
    assert all(text.strip() for text in messages.values())


def test_templates_use_known_messages_only_and_all_of_them() -> None:
    """Every message that a template names exists, and every message is used."""
    keys, beginnings = _used()
    messages = catalogue("en").messages.keys()
    assert keys <= messages, keys - messages
    horizons = {key for key in messages if key.startswith("horizon.")}
    unused = {key for key in messages - keys - horizons if not key.startswith(tuple(beginnings))}
    assert not unused


@pytest.mark.parametrize("beginning", LISTS)
def test_each_member_of_a_closed_list_has_a_message(beginning: str) -> None:
    """A new reason, state, outcome or origin cannot come without its words."""
    messages = catalogue("en").messages
    assert [
        f"{beginning}.{one}" for one in LISTS[beginning] if f"{beginning}.{one}" not in messages
    ] == []


def test_each_state_says_why() -> None:
    """The page of a hook explains each of its states; of one that is on it says how it goes."""
    messages = catalogue("en").messages
    unexplained = [state for state in HookState if f"state.{state}.why" not in messages]
    assert unexplained == [HookState.ON]


@pytest.mark.parametrize("end", SearchEnd)
@pytest.mark.parametrize("searched_to", [None, 1.0])
def test_each_end_of_a_search_has_a_sentence(end: StrEnum, searched_to: float | None) -> None:
    """Whatever ends a search of the log, the page says how far it came."""
    assert horizon_key(Horizon(SearchEnd(end), searched_to, 1, 0)) in catalogue("en").messages


def test_values_of_a_message_are_escaped() -> None:
    """A value in a message is text, whatever it holds."""
    text = catalogue("en").text("audit.none")
    assert str(text) == "No change matches"
    shown = catalogue("en").text("revision", number="<script>")
    assert str(shown) == "revision &lt;script&gt;"


@pytest.mark.parametrize("file", sorted(TEMPLATES.glob("*.html")), ids=lambda file: file.name)
def test_templates_have_no_inline_code_and_no_foreign_address(file: Path) -> None:
    """The policy of the pages forbids inline styles, scripts and handlers, so no template has any,
    and none switches escaping off.
    """
    text = file.read_text()
    assert not re.search(
        r"\sstyle=|\son\w+=|<style|<script(?![^>]*\ssrc=)|\|\s*safe|autoescape", text
    )
    addresses = re.findall(r"(?:src|href|action)=\"(https?:|//)", text)
    assert addresses == []
