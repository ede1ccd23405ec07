"""The event in memory."""

from typing import Any, Final

from consumer.events.triggers import Trigger

_MIN_EPOCH_SECONDS: Final = 978_307_200.0
"""The year 2001. An earlier time comes from an unset clock, or is in seconds instead of
milliseconds."""
_MAX_CLOCK_ERROR_SECONDS: Final = 86_400.0
"""A day, for a sender's clock in another time zone."""


def is_plausible(moment: float, now: float) -> bool:
    """Whether an event can have occurred at `moment`; both are epoch seconds."""
    return _MIN_EPOCH_SECONDS <= moment <= now + _MAX_CLOCK_ERROR_SECONDS


class Event:
    """One decoded record; of a document's parts only `id` is certain to exist.

    Slots and no validation framework: built once per record on the hot path.
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
        """The text that a hook's `select` names: a notification, geofence or event key."""
        self.notification = notification
        self.document = document
        """The whole event in the shape of docs/reference/events.md (`user`, `device`, `data`, ...),
        unknown fields included; a source's `fields` are already applied."""
