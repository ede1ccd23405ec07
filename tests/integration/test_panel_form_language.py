"""The form of a hook, and what stands beside it, for a reader of Turkish: nothing is in English."""

import re
from collections.abc import Iterable, Mapping
from html import unescape
from typing import Final

import pytest

from consumer.panel.pages.trial_page import PARTS
from support.fakes import FakeClock
from support.hook_form import NEW, SEED, press
from support.page_data import full
from support.panel import Reply
from support.served_pages import served_pages
from support.visitor import Visitor

_ENGLISH: Final = re.compile(r'<[a-z]+ [^>]*lang="en"[^>]*>([^<]*)')
_QUOTED: Final = ("Failed to connect to 127.0.0.1", "did not find", "unexpected character")
"""What libcurl, libyaml and the reader of JSON say, in their own words."""
_FORMS: dict[str, dict[str, str]] = {
    "in order": {},
    "words": {"trigger": "foo", "method": "POST", "headers.0.encode": "x", "labels.0.missing": "x"},
    "numbers": {"rate_limit.requests": "0", "rate_limit.burst": "x", "others": "retry_on: 5"},
    "texts": {"owner": "a\x01b", "name": "x" * 300, "id": "", "uri": "ftp://e.example/"},
    "fields": {"others": "timout: 5s\norder: zip\nwhen: {a: {foo: 1}}"},
    "YAML": {"others": "a: ["},
    "secrets": {
        "headers.0.source": "fixed", "headers.0.value": "${env:NOPE}",
        "signing_secrets.0.value": "${sealed:abc}", "signing_secrets.1.value": "${file:/nope}",
    },
}  # fmt: skip
"""Forms of a hook, most of them with mistakes of one kind."""
_EVENTS: dict[str, dict[str, str]] = {
    "sent": {"try.event": '{"id": "1"}'},
    "of another app": {"app": "other", "try.event": '{"id": "1", "app": "shop"}'},
    "without a value": {
        "parameters.5.key": "a", "parameters.5.source": "event", "parameters.5.value": "data.a",
        "parameters.5.missing": "reject", "try.event": '{"id": "1"}',
    },
    "stopped": {
        "others": "when: {data.price: {below: 5}, any: [{a: 1}]}", "try.event": '{"id": "1"}',
    },
    "stopped by each": {"others": "when: {any: [{a: 1}, {b: 2}]}", "try.event": '{"id": "1"}'},
    "none": {"try.event": "x"},
}  # fmt: skip
"""What a form is tried on."""


async def _tried(visitor: Visitor, form: Mapping[str, str]) -> list[Reply]:
    """The parts beside a form."""
    posted = {**form, "csrf": await visitor.csrf()}
    answers = [await visitor("POST", f"/trial/{part}", posted) for part in PARTS]
    assert {one.status for one in answers} == {200}
    return answers


def _english(answers: Iterable[Reply]) -> list[str]:
    """The texts that are marked as English, but for those that are quoted from libraries."""
    found = (text for one in answers for text in _ENGLISH.findall(unescape(one.body.decode())))
    return [text for text in found if not text.startswith(_QUOTED)]


@pytest.mark.parametrize("form", _FORMS)
async def test_mistakes_in_a_form_are_told_in_the_readers_language(form: str) -> None:
    """Whatever is wrong with a hook's form, a Turkish reader is told in Turkish, above the form, at
    its fields and beside it.
    """
    with served_pages(full(FakeClock())) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "tr"}).log_in("editor")
        posted = SEED | _FORMS[form]
        answers = [await press(visitor, NEW, posted, "review")]
        answers += await _tried(visitor, posted)
    assert _english(answers) == []


@pytest.mark.parametrize("event", _EVENTS)
async def test_what_a_form_would_do_is_told_in_the_readers_language(event: str) -> None:
    """The sample, the effect of a change and a test send are in Turkish for a Turkish reader, also
    if nothing can be sent.
    """
    with served_pages(full(FakeClock())) as panel:
        visitor = await Visitor(panel, {"Accept-Language": "tr"}).log_in("editor")
        posted = SEED | {"uri": "http://127.0.0.1:1/"} | _EVENTS[event]
        answers = await _tried(visitor, posted)
    assert _english(answers) == []
