"""A browser's side of the form of a hook: its fields, its buttons, and what it saves."""

import re
from collections.abc import Mapping
from html import unescape
from typing import Any, Final

from support.panel import Reply
from support.served_pages import ServedPages
from support.visitor import Visitor, field

NEW: Final = "/new-hook"
EDIT: Final = "/hooks/click-analytics/edit"
DEFINITION: Final = {"id": "h", "name": "Hook", "trigger": "event", "uri": "https://e.example/"}
SEED: Final[dict[str, str]] = {
    "name": "Category views", "uri": "https://e.example/c/{campaign}", "trigger": "event",
    "method": "GET", "select": "view", "enabled": "on",
    "labels.0.name": "campaign", "labels.0.label": "Campaign code",
    "headers.0.key": "X-Category", "headers.0.source": "event",
    "headers.0.value": "data.category",
}  # fmt: skip
"""The fields of a new hook."""
_INPUT = re.compile(r"<input\b[^>]*>")
_SELECT = re.compile(r'<select id="[^"]*" name="([^"]*)".*?</select>', re.DOTALL)
_TEXT = re.compile(r'<textarea id="[^"]*" name="([^"]*)"[^>]*>\n(.*?)</textarea>', re.DOTALL)


def fields(page: Reply, action: str) -> dict[str, str]:
    """The fields of a page's form as a browser would post them, without its buttons."""
    text = re.sub(r"<template.*?</template>", "", page.body.decode(), flags=re.DOTALL)
    start = text.index(f'action="{action}"')
    text, found = text[start : text.index("</form>", start)], dict[str, str]()
    for tag in _INPUT.findall(text):
        given = {name: unescape(value) for name, value in re.findall(r'([\w-]+)="([^"]*)"', tag)}
        if given.get("type") != "checkbox" or " checked" in tag:
            found[given["name"]] = given.get("value", "")
    for match in _SELECT.finditer(text):
        chosen = re.search(r'<option(?: value="([^"]*)")? selected>([^<]*)', match[0])
        first = re.search(r'<option value="([^"]*)"', match[0])
        value = (chosen[1] if chosen[1] is not None else chosen[2]) if chosen else None
        found[match[1]] = unescape(value if value is not None else first[1] if first else "")
    found |= {name: unescape(value) for name, value in _TEXT.findall(text)}
    return found


async def press(visitor: Visitor, path: str, form: Mapping[str, str], button: str) -> Reply:
    """The answer to a form that a button posts."""
    csrf = form.get("csrf") or field(await visitor("GET", NEW), "csrf")
    return await visitor("POST", path, {**form, "csrf": csrf, button: ""})


async def save(visitor: Visitor, path: str, form: Mapping[str, str]) -> Reply:
    """The answer to a form that is reviewed and saved."""
    review = await press(visitor, path, form, "review")
    assert review.status == 200, review.body.decode()
    return await press(visitor, path, fields(review, path), "save")


async def definition_in_force(panel: ServedPages, hook_id: str) -> Mapping[str, Any]:
    """The definition of a hook that is in force."""
    found = (await panel.data.hook(hook_id)).definition
    assert found is not None
    return found
