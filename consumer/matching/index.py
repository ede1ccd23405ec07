"""The compiled index from (trigger, subject) to hooks."""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any

from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook, HookTable, clear_gradually
from consumer.throttle import unhurried

_NONE: tuple[Hook, ...] = ()


class Index:
    """A hook table with its look-ups; built once per load, then only read."""

    disabled: "Index | None"

    def __init__(self, table: HookTable) -> None:
        self._hooks: dict[str, Hook] = {}
        self.hooks: Mapping[str, Hook] = MappingProxyType(self._hooks)
        everything: dict[Trigger, list[Hook]] = defaultdict(list)
        selected: dict[tuple[Trigger, str], list[Hook]] = defaultdict(list)
        disabled: dict[str, Hook] = {}
        for hook in unhurried(table.hooks.values()):
            self._hooks[hook.id] = hook
            if not hook.enabled:
                disabled[hook.id] = replace(hook, enabled=True)
                continue
            if hook.select is None:
                everything[hook.trigger].append(hook)
            else:
                for subject in hook.select:
                    selected[hook.trigger, subject].append(hook)
        self._everything = {trigger: tuple(found) for trigger, found in everything.items()}
        self._selected = {key: tuple(found) for key, found in unhurried(selected.items())}
        clear_gradually(selected)
        self.disabled = Index(HookTable(disabled)) if disabled else None
        """The hooks with `enabled: false`, as if they were enabled; None if there are none."""

    def clear_gradually(self) -> None:
        """Free the hooks little by little, in any thread; for an index that is no longer used."""
        for part in (self._selected, self._everything, self._hooks):
            clear_gradually(part)
        if self.disabled is not None:
            self.disabled.clear_gradually()

    def match(self, event: Event) -> tuple[Hook, ...]:
        """The hooks that fire for `event`, each once; their order carries no meaning."""
        candidates = self._everything.get(event.trigger, _NONE)
        if event.subject is not None:
            candidates += self._selected.get((event.trigger, event.subject), _NONE)
        if not candidates or _silenced(event):
            return _NONE
        return tuple([hook for hook in candidates if fires(hook, event)])


def fires(hook: Hook, event: Event) -> bool:
    """What a look-up by subject cannot tell: the hook's app, and whether it was composed."""
    if hook.app is not None and hook.app != event.app:
        return False
    return not hook.needs_composed or type(composed_values(event).get(hook.id)) is dict


def composed_values(event: Event) -> Mapping[str, Any]:
    """Hook id to the values that the operator entered when composing the notification.

    A click on a button takes the button's values in the place of the notification's own,
    if the button has any (docs/reference/events.md#fields).
    """
    notification = event.notification
    if notification is None:
        return {}
    hooks = _clicked_button(event, notification).get("hooks")
    if type(hooks) is not dict:
        hooks = notification.get("hooks")
    return hooks if type(hooks) is dict else {}


def _clicked_button(event: Event, notification: dict[str, Any]) -> dict[str, Any]:
    buttons, data = notification.get("buttons"), event.document.get("data")
    if type(buttons) is not dict or type(data) is not dict:
        return {}
    action = data.get("action_id")
    button = buttons.get(action) if type(action) is str else None
    return button if type(button) is dict else {}


def _silenced(event: Event) -> bool:
    notification = event.notification
    return notification is not None and notification.get("hooks_disabled") is True
