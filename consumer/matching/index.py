"""The compiled index from (trigger, subject) to hooks."""

from collections.abc import Iterator, Mapping
from typing import Any

from consumer.events.model import Event
from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook
from consumer.matching.layers import Layers

_NONE: tuple[Hook, ...] = ()

Everything = dict[Trigger, tuple[Hook, ...]]
"""By trigger: the enabled hooks with neither `select` nor conditions."""
Selected = Layers[tuple[Trigger, str], tuple[Hook, ...]]
"""By trigger and subject: the enabled hooks without conditions that select it."""


class Index:
    """An immutable view of all hooks, with the look-ups of matching; `HookStore` makes it, as a
    `ConditionalIndex` if a hook has conditions.
    """

    def __init__(
        self,
        hooks: Layers[str, Hook],
        everything: Everything,
        selected: Selected,
        disabled: "Index | None",
    ) -> None:
        self.hooks = hooks
        """Every hook by id, enabled or not."""
        self.everything = everything
        self.selected = selected
        # Of the layers, since each event looks into them: a method would cost it more.
        self._selected: dict[tuple[Trigger, str], tuple[Hook, ...]] = selected.base
        self._recent: dict[tuple[Trigger, str], tuple[Hook, ...] | None] = selected.recent
        self.disabled = disabled
        """The hooks with `enabled: false`, as if they were enabled; None if there are none."""

    def match(self, event: Event) -> tuple[Hook, ...]:
        """The hooks that fire for `event`, each once; their order carries no meaning."""
        candidates = self.everything.get(event.trigger, _NONE)
        if event.subject is not None:
            key = (event.trigger, event.subject)
            if self._recent and key in self._recent:
                candidates += self._recent[key] or _NONE
            else:
                candidates += self._selected.get(key, _NONE)
        if not candidates or is_silenced(event):
            return _NONE
        return tuple([hook for hook in candidates if fires(hook, event)])

    def filtered(self) -> Iterator[tuple[str, int]]:
        """By id of each hook with conditions: the events for which it would have fired, but for
        these, since its definition came into force.
        """
        return iter(())


def fires(hook: Hook, event: Event) -> bool:
    """Whether the hook's app fits, and the notification was composed with it if it must be."""
    if hook.app is not None and hook.app != event.app:
        return False
    return not hook.needs_composed or type(composed_values(event).get(hook.id)) is dict


def composed_values(event: Event) -> Mapping[str, Any]:
    """Hook id to the values that the operator entered when composing the notification.

    A click on a button takes the button's values in place of the notification's own, if the button
    has any (docs/reference/events.md#fields).
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


def is_silenced(event: Event) -> bool:
    """Whether the notification says that no hook fires for it."""
    notification = event.notification
    return notification is not None and notification.get("hooks_disabled") is True
