"""What a hook makes of an event: whether it fires, and each value of its request; it is pure."""

from dataclasses import dataclass
from typing import Any

from consumer.delivery.http.origins import RequestValue, rejection, request_values
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.explain import Explanation, explain


@dataclass(frozen=True, slots=True)
class ExplainedHook:
    """What one hook makes of one event."""

    explanation: Explanation
    values: tuple[RequestValue, ...] = ()
    """Of its request, if it fires. Texts are users' data: whoever shows them decides for whom."""
    rejection: str = ""
    """Why the daemon would reject the delivery; empty: it would not, or it does not fire."""


def explain_hook(hook: Hook, event: Event) -> ExplainedHook:
    """Whether the hook fires for the event, and each value of its request with its origin."""
    explanation = explain(hook, event)
    if explanation.stop is not None:
        return ExplainedHook(explanation)
    return ExplainedHook(explanation, tuple(request_values(hook, event)), rejection(hook, event))


def value_facts(value: RequestValue, *, user_data: bool) -> dict[str, Any]:
    """A value of a request as JSON; without `user_data` its text is left out."""
    facts: dict[str, Any] = {
        "part": value.part,
        "name": value.name,
        "origin": value.origin,
        "reference": value.reference or None,
        "hidden": value.is_hidden,
        "missing": value.follows,
        "looked_at": list(value.looked_at),
        "rejection": value.rejection or None,
    }
    return facts | {"text": value.text} if user_data else facts
