"""The form that an operator fills in when composing a notification; it is pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from consumer.events.triggers import Trigger
from consumer.hooks.table import Hook, UriVariable

_DRAFT = "https://json-schema.org/draft/2020-12/schema"


def compose_form(hooks: Iterable[Hook], trigger: Trigger, subject: str | None) -> Mapping[str, Any]:
    """A JSON Schema of `notification.hooks`: for each enabled hook that fires for the subject the
    labelled parameters of its URI. A `subject` of None is one that no hook selects.

    A name is required if it has neither a default nor a parameter. A hook may be left out as a
    whole: one with a required name then does not fire for the notification.
    """
    return {
        "$schema": _DRAFT,
        "title": f"Values of the hooks for {trigger}" + (f" {subject}" if subject else ""),
        "type": "object",
        "properties": {hook.id: hook_fields(hook) for hook in asking(hooks, trigger, subject)},
        "additionalProperties": False,
    }


def asking(hooks: Iterable[Hook], trigger: Trigger, subject: str | None) -> list[Hook]:
    """The hooks that ask for values, by id; `subject`: see `compose_form`."""
    found = (hook for hook in hooks if _fires(hook, trigger, subject) and hook.uri_variables)
    return sorted(found, key=lambda hook: hook.id)


def _fires(hook: Hook, trigger: Trigger, subject: str | None) -> bool:
    return (
        hook.enabled and hook.trigger == trigger and (hook.select is None or subject in hook.select)
    )


def hook_fields(hook: Hook) -> Mapping[str, Any]:
    """A JSON Schema of the values that are asked for one hook."""
    variables = {variable.name: variable for variable in hook.uri_variables}
    required = [
        name
        for name, variable in variables.items()
        if variable.entry is None and variable.default is None
    ]
    return {
        "title": hook.name,
        "type": "object",
        "properties": {name: _field(variable) for name, variable in variables.items()},
        "required": required,
        "additionalProperties": False,
    }


def _field(variable: UriVariable) -> Mapping[str, Any]:
    field: dict[str, Any] = {"title": variable.label, "type": "string"}
    if variable.default is not None:
        field["default"] = variable.default
    return field
