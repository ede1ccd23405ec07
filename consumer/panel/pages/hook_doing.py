"""What became of a hook's deliveries lately, and its last answer; it is pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum
from http import HTTPStatus
from typing import Final

from consumer.journal.log_search import FoundDelivery
from consumer.journal.records import DeliveryRecord
from consumer.panel.pages.figures import Day, Figures
from consumer.panel.pages.formats import moment

_SUCCESS: Final = range(200, 300)


class Judgement(StrEnum):
    """How a hook's deliveries went in a time."""

    UNKNOWN = "unknown"
    """There are no reports, or they cannot be read."""
    NOTHING = "nothing"
    """There were no deliveries."""
    UNCOUNTED = "uncounted"
    """The log has an attempt, and the reports that were read have none yet."""
    WELL = "well"
    """Every attempt succeeded, and nothing was given up."""
    IN_PART = "in_part"
    """Some attempts failed, or some deliveries were given up."""
    NONE_DELIVERED = "none_delivered"
    """Every attempt failed."""
    NONE_SENT = "none_sent"
    """There was no attempt: deliveries were given up before."""
    NONE_YET = "none_yet"
    """There was no attempt: deliveries wait."""


_BAD: Final = frozenset({Judgement.NONE_DELIVERED, Judgement.NONE_SENT, Judgement.NONE_YET})


@dataclass(frozen=True, slots=True)
class Doing:
    """What became of the deliveries since a time: the hour before this one, or the last 24 hours if
    there were none since then.
    """

    judgement: Judgement
    figures: Figures
    since: float
    """Epoch seconds."""

    @property
    def is_bad(self) -> bool:
        """Whether nothing gets through."""
        return self.judgement in _BAD

    @property
    def main_error(self) -> str | None:
        """The class of status or kind of error of most failed attempts; None: none failed."""
        return _most({kind: n for kind, n in self.figures.attempts.items() if kind != "2xx"})

    @property
    def main_reason(self) -> str | None:
        """The reason of most dead letters; None: there are none."""
        return _most(self.figures.dead_lettered)


@dataclass(frozen=True, slots=True)
class LastAnswer:
    """The newest attempt that the log has."""

    record: DeliveryRecord
    seconds: float | None
    """How long ago; None: its time cannot be read."""

    @property
    def phrase(self) -> str:
        """HTTP's own words for the status, in English; empty if there are none."""
        try:
            return HTTPStatus(self.record.status or 0).phrase
        except ValueError:
            return ""

    @property
    def is_success(self) -> bool:
        """Whether it was answered with 2xx."""
        return self.record.status in _SUCCESS


def doing(day: Day | None, last: LastAnswer | None, now: float) -> Doing:
    """What the last 24 hours of a hook say; None: they are not known. `last`: the newest attempt of
    its log, which the reports may not have counted yet; `now`: epoch seconds.
    """
    if day is None:
        return Doing(Judgement.UNKNOWN, Figures(), 0.0)
    lately, figures = day.lately, day.figures
    if _judge(lately) is not Judgement.NOTHING:
        return Doing(_judge(lately), lately, day.lately_since)
    judgement = _judge(figures)
    if judgement is Judgement.NOTHING and last is not None and last.seconds is not None:
        judgement = Judgement.UNCOUNTED if now - last.seconds >= day.since else judgement
    return Doing(judgement, figures, day.since)


def _judge(figures: Figures) -> Judgement:
    attempts, given_up = figures.attempt_count, figures.given_up
    if not attempts:
        if given_up:
            return Judgement.NONE_SENT
        return Judgement.NONE_YET if figures.overflowed else Judgement.NOTHING
    if figures.failed == attempts:
        return Judgement.NONE_DELIVERED
    return Judgement.IN_PART if figures.failed or given_up else Judgement.WELL


def last_answer(newest_first: Iterable[FoundDelivery], now: float) -> LastAnswer | None:
    """The newest attempt of what was found in the log; `now`: epoch seconds."""
    for found in newest_first:
        if found.record.attempt:
            at = moment(found.record.at)
            seconds = None if at is None else max(0.0, now - at.timestamp())
            return LastAnswer(found.record, seconds)
    return None


def _most(counts: dict[str, int] | Counter[str]) -> str | None:
    return max(counts, key=lambda one: counts[one]) if any(counts.values()) else None
