"""Counts the subjects and names that events hold, to choose from; it is pure."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from consumer.delivery.http.values import RejectedError, request_text
from consumer.events.model import Event
from consumer.events.path import walk

MAX_NAMES: Final = 500
"""Different subjects, and different names of each part; more are counted together."""
MAX_EXAMPLES: Final = 3
"""Different values of each name."""
MAX_EXAMPLE_CHARACTERS: Final = 100
_MAX_NAME_CHARACTERS: Final = 200
_MAX_DEPTH: Final = 3
"""Levels of names below `data` and `notification`."""
_PARTS: Final = (
    ("user.attributes", 1),
    ("device.attributes", 1),
    ("data", _MAX_DEPTH),
)
"""Paths in an event, and how deep their names are listed."""


@dataclass(frozen=True, slots=True)
class NameCount:
    """A name or subject, and in how many of the events it is."""

    name: str
    count: int
    examples: Sequence[str] = ()
    """Values; only if they were asked for."""


@dataclass(frozen=True, slots=True)
class EventNames:
    """What events hold, the most frequent first."""

    events: int
    subjects: Sequence[NameCount]
    apps: Sequence[NameCount]
    parts: Mapping[str, Sequence[NameCount]]
    """By part of the event (`user.attributes`, `device.attributes`, `data`)."""
    left_out: int
    """How often a name or subject was not counted, since there were too many different ones."""


class NameTally:
    """Takes events, and counts."""

    def __init__(self, *, values: bool) -> None:
        """`values`: whether examples of values are kept, which are users' data."""
        self.left_out = 0
        self._values = values
        self._events = 0
        self._subjects: Counter[str] = Counter()
        self._apps: Counter[str] = Counter()
        self._parts: dict[str, Counter[str]] = {part: Counter() for part, _ in _PARTS}
        self._examples: dict[tuple[str, str], list[str]] = {}

    def take(self, event: Event) -> None:
        """Count what an event holds."""
        self._events += 1
        if event.subject is not None:
            self._count(self._subjects, event.subject)
        if event.app is not None:
            self._count(self._apps, event.app)
        for part, depth in _PARTS:
            for name, value in _names(walk(event.document, tuple(part.split("."))), depth):
                counted = self._count(self._parts[part], name)
                if counted and self._values:
                    self._keep_example(part, name, value)

    def names(self) -> EventNames:
        """What was counted."""
        return EventNames(
            self._events,
            [NameCount(*one) for one in self._subjects.most_common()],
            [NameCount(*one) for one in self._apps.most_common()],
            {
                part: [
                    NameCount(name, count, tuple(self._examples.get((part, name), ())))
                    for name, count in counts.most_common()
                ]
                for part, counts in self._parts.items()
            },
            self.left_out,
        )

    def _count(self, counts: Counter[str], name: str) -> bool:
        too_many = name not in counts and len(counts) >= MAX_NAMES
        if too_many or len(name) > _MAX_NAME_CHARACTERS:
            self.left_out += 1
            return False
        counts[name] += 1
        return True

    def _keep_example(self, part: str, name: str, value: Any) -> None:
        examples = self._examples.setdefault((part, name), [])
        if len(examples) == MAX_EXAMPLES:
            return
        try:
            text = request_text(name, value)
        except RejectedError:
            return
        if text is not None and (text := text[:MAX_EXAMPLE_CHARACTERS]) not in examples:
            examples.append(text)


def _names(part: Any, depth: int) -> Iterator[tuple[str, Any]]:
    """The names in an object with their values, those of inner objects with dots."""
    if type(part) is not dict:
        return
    for name, value in part.items():
        if type(value) is dict and depth > 1:
            for inner, its in _names(value, depth - 1):
                yield f"{name}.{inner}", its
        else:
            yield name, value
