"""What happened in a run, in time order, for a person who reads why it failed."""

import logging
from collections.abc import Callable, Iterable
from typing import NamedTuple, Self

_MAX_SHOWN = 60
"""Of the entries, the last ones are shown."""


class Entry(NamedTuple):
    """One thing that happened."""

    at: float
    text: str
    deliveries: tuple[str, ...]
    """The deliveries that it happened to; none if it may concern all."""


class Violation(Exception):  # noqa: N818  # the name of what it is
    """A promise that was broken, and the delivery concerned, if it is one."""

    def __init__(self, text: str, delivery: str = "") -> None:
        super().__init__(text)
        self.text = text
        self.delivery = delivery


class Story:
    """The entries of one run; none are kept if nobody will read them."""

    def __init__(self, time: Callable[[], float], *, is_kept: bool) -> None:
        self._time = time
        self._begin = time()
        self.is_kept = is_kept
        self.entries: list[Entry] = []

    def tell(self, text: str, *deliveries: str) -> None:
        """Note that something happened, to `deliveries` or to all."""
        if self.is_kept:
            self.entries.append(Entry(self._time() - self._begin, text, deliveries))

    def of(self, delivery: str) -> Iterable[str]:
        """The last lines about a delivery, and about what concerns all."""
        about = [e for e in self.entries if not e.deliveries or delivery in e.deliveries]
        return [f"{entry.at:8.3f}  {entry.text}" for entry in about[-_MAX_SHOWN:]]


class Lines(logging.Handler):
    """The daemon's log lines: each goes into the story, and a bug's is kept."""

    def __init__(self, story: Story) -> None:
        super().__init__(logging.INFO if story.is_kept else logging.ERROR)
        self._story = story
        self.bug = ""
        """The first line that tells of an exception."""

    def emit(self, record: logging.LogRecord) -> None:
        """See `logging.Handler`."""
        fields = getattr(record, "fields", {})
        text = f"{record.getMessage()} {fields}"
        if record.exc_info and record.exc_info[1] is not None and not self.bug:
            self.bug = f"{text}: {record.exc_info[1]!r}"
        self._story.tell(f"log: {text}")

    def __enter__(self) -> Self:
        logger = logging.getLogger("consumer")
        self._before = logger.level, logger.propagate
        logger.addHandler(self)
        logger.setLevel(self.level)
        logger.propagate = False
        return self

    def __exit__(self, *_error: object) -> None:
        logger = logging.getLogger("consumer")
        logger.removeHandler(self)
        logger.level, logger.propagate = self._before
