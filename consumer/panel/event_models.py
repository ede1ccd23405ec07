"""The JSON of the API about events: explained, replayed, recent and composed."""

from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from consumer.events.triggers import Trigger
from consumer.hooks.texts import HOOK_ID
from consumer.panel.models import MAX_TEXT, AboutHook, Body, Query, Result
from consumer.services.events import MAX_EVENTS

DEFAULT_COUNT = 100
_HOOK_ID = f"^{HOOK_ID}$"


class ExplainBody(Body):
    """What is explained."""

    event: dict[str, Any]
    hook: str | None = Field(default=None, pattern=_HOOK_ID, description="Without it all hooks.")
    trigger: Trigger | None = Field(
        default=None, description="What the event is, if its fields do not tell."
    )


class ValueOrigin(Result):
    """One value of a request, and where it comes from."""

    part: str
    name: str
    origin: str
    reference: str | None
    hidden: bool = Field(description="It is never shown: it may be a key.")
    missing: str | None = Field(description="What follows from a missing value.")
    looked_at: list[str]
    rejection: str | None
    text: str | None


class HookExplanation(Result):
    """What one hook makes of an event."""

    hook: str
    fires: bool
    stop: str | None = Field(description="The first thing that stops it.")
    detail: str
    condition: str | None = Field(description="The test of `when` that stops it.")
    value: str | None = Field(description="The event's value that failed that test, as JSON.")
    rejection: str | None = Field(description="Why the delivery would be rejected.")
    values: list[ValueOrigin]


class Explained(Result):
    """What hooks make of an event, those that fire first."""

    event: str
    trigger: Trigger
    hooks: list[HookExplanation]
    refused: list[str] = Field(description="Hooks whose definition is refused, left out.")


class ReplayRecentBody(AboutHook):
    """What is tried on recent events."""

    count: int = Field(default=DEFAULT_COUNT, ge=1, le=MAX_EVENTS)


class OutcomeExample(Result):
    """An event with this outcome."""

    event: str
    record: str = Field(description="topic/partition/offset")
    detail: str


class OutcomeCount(Result):
    """How often something would happen."""

    result: str
    why: str
    condition: str | None = Field(description="The test of `when` that stops it.")
    count: int
    examples: list[OutcomeExample]


class ReplayedRecent(Result):
    """A definition against the last events of its trigger."""

    events: int
    undecodable: int
    stopped_by: str | None = Field(description="The bound that ended it early.")
    outcomes: list[OutcomeCount]


class RecentQuery(Query):
    """How many events are looked at."""

    count: int = Field(default=DEFAULT_COUNT, ge=1, le=MAX_EVENTS)


class NameItem(Result):
    """A name or subject, and in how many events it is."""

    name: str
    count: int
    examples: list[str] | None = Field(description="Values: for editors only.")


class Recent(Result):
    """What the last events of a trigger hold, the most frequent first."""

    events: int
    undecodable: int
    stopped_by: str | None
    subjects: list[NameItem]
    apps: list[NameItem]
    parts: dict[str, list[NameItem]] = Field(description="By part of the event.")
    left_out: int


class ComposeQuery(Query):
    """Which notification is composed."""

    trigger: Trigger
    subject: str | None = Field(default=None, max_length=MAX_TEXT)


class ComposeForm(BaseModel):
    """A JSON Schema of `notification.hooks`."""

    model_config = ConfigDict(extra="allow")

    title: str
    type: str
    properties: dict[str, Any]
