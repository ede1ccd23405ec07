"""What the page of a hook says of its last deliveries."""

from typing import Any

import pytest

from consumer.journal.log_search import FoundDelivery
from consumer.journal.records import Followed
from consumer.journal.report_sums import HOUR_SECONDS, Report
from consumer.panel.pages.figures import days, no_day
from consumer.panel.pages.hook_doing import Doing, Judgement, doing, last_answer
from support.page_data import attempt, report

NOW = 1_800_000_000.0 + 1_800
HOUR = 1_800_000_000.0


def _doing(*reports: Report) -> Doing:
    return doing(days(reports, NOW)["h"], None, NOW)


@pytest.mark.parametrize(
    ("counts", "judgement"),
    [
        ({"good": 0}, Judgement.NOTHING),
        ({"good": 5}, Judgement.WELL),
        ({"good": 5, "bad": 1}, Judgement.IN_PART),
        ({"good": 5, "dead": 1}, Judgement.IN_PART),
        ({"good": 0, "bad": 4}, Judgement.NONE_DELIVERED),
        ({"good": 0, "dead": 4}, Judgement.NONE_SENT),
        ({"good": 0, "overflowed": 4}, Judgement.NONE_YET),
    ],
)
def test_the_counts_say_how_it_goes(counts: dict[str, int], judgement: Judgement) -> None:
    """A hook whose deliveries all fail, or are all rejected, is not said to be well."""
    assert _doing(report("h", HOUR, **counts)).judgement is judgement


def test_the_last_hours_count_more_than_the_day() -> None:
    """A hook that worked all day and fails now is judged by this hour and the one before."""
    earlier = report("h", HOUR - 5 * HOUR_SECONDS, good=1_000)
    failing = _doing(earlier, report("h", HOUR - HOUR_SECONDS, good=0, bad=3, dead=2))
    assert failing.judgement is Judgement.NONE_DELIVERED
    assert (failing.is_bad, failing.since) == (True, HOUR - HOUR_SECONDS)
    assert (failing.main_error, failing.main_reason) == ("5xx", "exhausted")
    quiet = _doing(earlier)
    assert (quiet.judgement, quiet.since) == (Judgement.WELL, HOUR - 23 * HOUR_SECONDS)
    assert (quiet.is_bad, quiet.main_error, quiet.main_reason) == (False, None, None)


def test_without_reports_nothing_is_claimed() -> None:
    """While the reports are not known, no judgement is made."""
    assert doing(None, None, NOW).judgement is Judgement.UNKNOWN


@pytest.mark.parametrize(
    ("age", "judgement"), [(5.0, Judgement.UNCOUNTED), (30 * HOUR_SECONDS, Judgement.NOTHING)]
)
def test_a_delivery_that_is_not_counted_yet_is_not_denied(age: float, judgement: Judgement) -> None:
    """Right after the first delivery of a hook its page does not say that there was none, although
    the reports that it has read are older.
    """
    last = last_answer([FoundDelivery(attempt(NOW - age, "h", "e1", 1), 0, 0, 0)], NOW)
    assert last is not None
    assert doing(no_day(NOW), last, NOW).judgement is judgement


def test_the_last_answer_is_the_newest_attempt() -> None:
    """Entries without an attempt, as of a queue behind an open circuit, hide no answer."""
    unsent: dict[str, Any] = {"outcome": Followed.OVERFLOW, "status": None, "reason": "behind"}
    records = [
        attempt(NOW - 1, "h", "e3", 0, **unsent),
        attempt(NOW - 12, "h", "e2", 1, outcome=Followed.RETRY, status=503),
        attempt(NOW - 60, "h", "e1", 1),
    ]
    found = [FoundDelivery(one, 0, 0, index) for index, one in enumerate(records)]
    last = last_answer(found, NOW)
    assert last is not None
    assert (last.phrase, last.seconds, last.is_success) == ("Service Unavailable", 12.0, False)
    assert last_answer(found[:1], NOW) is None
    after = last_answer(found[2:], NOW)
    assert after is not None
    assert after.is_success


@pytest.mark.parametrize("fields", [{"status": 599}, {"status": None, "error": "timeout"}])
def test_a_status_without_a_phrase_has_none(fields: dict[str, Any]) -> None:
    """A status that HTTP does not name, or an error in its place, has no words of HTTP."""
    record = attempt(NOW, "h", "e1", 1, outcome=Followed.RETRY, **fields)
    last = last_answer([FoundDelivery(record, 0, 0, 0)], NOW)
    assert last is not None
    assert last.phrase == ""
