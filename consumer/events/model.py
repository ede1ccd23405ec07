"""The event in memory."""

from typing import Any, Final

from consumer.settings import TRIGGERS, Trigger

__all__ = ["TRIGGERS", "Event", "Trigger", "is_plausible"]

_YEAR_2001: Final = 978_307_200.0
"""Epoch seconds. A time before it comes of a clock that was never set, or is in seconds where
milliseconds are expected."""
_AHEAD: Final = 86_400.0
"""Seconds by which a sender's clock may be wrong: a day, for a wrong time zone."""


def is_plausible(moment: float, now: float) -> bool:
    """Whether something can have happened at `moment`; both are epoch seconds."""
    return _YEAR_2001 <= moment <= now + _AHEAD


class Event:
    """One decoded record; only `id` is certain to be there.

    Slots and no validation framework: this is built once per record on the hot path.
    """

    __slots__ = ("app", "document", "id", "notification", "occurred_at", "subject", "trigger")

    def __init__(
        self,
        *,
        id: str,
        trigger: Trigger,
        occurred_at: float,
        app: str | None,
        subject: str | None,
        notification: dict[str, Any] | None,
        document: dict[str, Any],
    ) -> None:
        self.id = id
        self.trigger = trigger
        self.occurred_at = occurred_at
        """Seconds since the Unix epoch."""
        self.app = app
        self.subject = subject
        """What a hook's `select` names: a notification, a geofence or an event key."""
        self.notification = notification
        self.document = document
        """The whole event in the shape of docs/reference/events.md (`user`, `device`, `data`, ...),
        with every unknown field kept; a foreign shape has been mapped before."""
