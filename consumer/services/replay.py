"""Counts what a hook would do for events; it is pure."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from consumer.delivery.http.origins import rejection
from consumer.events.model import Event
from consumer.hooks.table import Hook
from consumer.matching.explain import explain

MAX_EXAMPLES: Final = 3
"""Of each outcome."""


class Result(StrEnum):
    """What a hook would do for an event."""

    FIRES = "fires"
    STOPPED = "stopped"
    REJECTED = "rejected"
    """It would fire, and the delivery be rejected."""


@dataclass(frozen=True, slots=True)
class ReplayExample:
    """An event with this outcome."""

    event_id: str
    record_ref: str
    """`topic/partition/offset`."""
    detail: str
    """A sentence for people; it may name the event's subject and app."""


@dataclass(frozen=True, slots=True)
class ReplayOutcome:
    """How often something would happen."""

    result: Result
    why: str
    """What stops it (`Stop`), or why it is rejected, which never holds a value; empty: it fires."""
    condition: str
    """The test of `when` that stops it (`Explanation.condition`); empty: none does."""
    count: int
    examples: tuple[ReplayExample, ...]
    """The newest."""


@dataclass(frozen=True, slots=True)
class EventOutcome:
    """What a hook would do for one event."""

    result: Result
    why: str
    """See `ReplayOutcome`."""
    detail: str
    """See `ReplayExample`."""
    condition: str = ""
    """See `ReplayOutcome`."""


def outcome(hook: Hook, event: Event) -> EventOutcome:
    """What the hook would do for the event."""
    found = explain(hook, event)
    if found.stop is not None:
        return EventOutcome(Result.STOPPED, str(found.stop), found.detail, found.condition)
    if why := rejection(hook, event):
        return EventOutcome(Result.REJECTED, why, why)
    return EventOutcome(Result.FIRES, "", "")


class ReplayTally:
    """Takes events, newest first, and counts the outcomes."""

    def __init__(self, hook: Hook) -> None:
        self.events = 0
        self._hook = hook
        self._counts: dict[tuple[Result, str, str], int] = {}
        self._examples: dict[tuple[Result, str, str], list[ReplayExample]] = {}

    def take(self, event: Event, record_ref: str) -> EventOutcome:
        """Count the next event. Returns what the hook would do for it."""
        self.events += 1
        found = outcome(self._hook, event)
        key, detail = (found.result, found.why, found.condition), found.detail
        self._counts[key] = self._counts.get(key, 0) + 1
        examples = self._examples.setdefault(key, [])
        if len(examples) < MAX_EXAMPLES:
            examples.append(ReplayExample(event.id, record_ref, detail))
        return found

    def outcomes(self) -> tuple[ReplayOutcome, ...]:
        """What was counted, the most frequent first."""
        return tuple(
            ReplayOutcome(*key, count, tuple(self._examples[key]))
            for key, count in sorted(self._counts.items(), key=lambda entry: (-entry[1], entry[0]))
        )
