"""What is asked when a notification is composed: the labelled fields of its hooks, as a form."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from consumer.events.triggers import TRIGGERS, Trigger
from consumer.hooks.table import Hook
from consumer.panel.pages.choices import choice
from consumer.panel.pages.data import Data
from consumer.panel.pages.visit import PageRoute, Result, Shown, Visit, keep_all
from consumer.services.compose import asking, hook_fields

PATH: Final = "/compose"
MAX_HOOKS: Final = 100
"""Of one notification that are shown: hundreds of them are no form any more."""


@dataclass(frozen=True, slots=True)
class ComposeField:
    """One labelled field."""

    name: str
    """As it is posted: the hook's id, a point, and the name in braces."""
    brace: str
    label: str
    default: str | None
    required: bool
    value: str = ""


@dataclass(frozen=True, slots=True)
class ComposeGroup:
    """The fields of one hook."""

    hook_id: str
    title: str
    fields: Sequence[ComposeField]

    @property
    def values(self) -> dict[str, str]:
        """What was entered, by the name in braces."""
        return {one.brace: one.value for one in self.fields if one.value}

    @property
    def lacking(self) -> Sequence[ComposeField]:
        """The required fields that are empty: the hook does not fire without them."""
        return [one for one in self.fields if one.required and not one.value]

    @property
    def needs_values(self) -> bool:
        """Whether the hook fires only if something is entered."""
        return any(one.required for one in self.fields)


def group_of(hook: Hook, given: Mapping[str, str]) -> ComposeGroup:
    """The fields of one hook with the values that were entered."""
    schema = hook_fields(hook)
    return ComposeGroup(hook.id, str(schema["title"]), list(_fields(hook.id, schema, given)))


def preview(hook: Hook) -> ComposeGroup | None:
    """What is asked for one hook; None: nothing."""
    return group_of(hook, {}) if hook.uri_variables else None


def composed_json(groups: Sequence[ComposeGroup]) -> str:
    """The value of `notification.hooks`: the hooks of which something was entered."""
    found = {group.hook_id: group.values for group in groups if group.values}
    return orjson.dumps(found, option=orjson.OPT_INDENT_2).decode()


def _fields(
    hook_id: str, schema: Mapping[str, Any], given: Mapping[str, str]
) -> Iterator[ComposeField]:
    for brace, field in schema["properties"].items():
        name = f"{hook_id}.{brace}"
        required = brace in schema["required"]
        yield ComposeField(
            name, brace, str(field["title"]), field.get("default"), required, given.get(name, "")
        )


class ComposePage:
    """`/compose`."""

    def __init__(self, data: Data) -> None:
        self._data = data

    def routes(self) -> list[PageRoute]:
        """The routes of this page: its form is posted, since it may have many fields."""
        query = frozenset({"trigger", "subject"})
        return [
            PageRoute("GET", PATH, self.show, "compose", query=query),
            PageRoute("POST", PATH, self.show, "compose", keep=keep_all),
        ]

    async def show(self, visit: Visit) -> Result:
        """The fields of a notification, and the JSON of what was entered."""
        given = visit.query or visit.form
        trigger: Trigger | None = choice(given, "trigger", tuple(TRIGGERS))
        trigger = trigger if trigger is not None else "push_click"
        subject = given.get("subject")
        listing = await self._data.listing()
        hooks = [entry.hook for entry in listing.entries if entry.hook is not None]
        asked = asking(hooks, trigger, subject)
        shown = [group_of(hook, visit.form) for hook in asked[:MAX_HOOKS]]
        values: dict[str, Any] = {
            "query": {"trigger": trigger, "subject": subject or ""},
            "trigger": trigger,
            "subject": subject,
            "triggers": tuple(TRIGGERS),
            "subjects": _subjects(hooks, trigger),
            "groups": shown,
            "more": len(asked) - len(shown),
            "json": composed_json(shown) if visit.form and not visit.restored else None,
        }
        return Shown("compose.html", values)


def _subjects(hooks: Sequence[Hook], trigger: Trigger) -> list[str]:
    """The subjects that hooks of a trigger select, to choose from."""
    selected = (hook.select or () for hook in hooks if hook.trigger == trigger and hook.enabled)
    return sorted({one for subjects in selected for one in subjects})[:MAX_HOOKS]
