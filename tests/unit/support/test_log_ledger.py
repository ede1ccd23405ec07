"""The comparison of the delivery log with the receivers' requests finds each kind of difference."""

from typing import Any

from support.log_ledger import Row, Sent, compare

KILL = (95.0, 100.0)


def _sent(status: int | None = 200, at: float = 50.0, delivery: str = "e1:a") -> Sent:
    return Sent("a", delivery, status, at)


def _row(number: int, **fields: Any) -> Row:
    row = {"at": f"t{number}", "hook": "a", "delivery": "e1:a", "attempt": number, "status": 200}
    row |= {"outcome": "delivered"} | fields
    return {name: value for name, value in row.items() if value is not None}


def test_equal_lists_have_no_difference() -> None:
    """Requests that are all in the log with their answers, errors and attempts are no difference;
    nor are attempts that reached no receiver.
    """
    rows = [
        _row(1, status=503, outcome="retry"),
        _row(2, status=None, error="timeout", outcome="retry"),
        _row(3, status=None, error="dns", outcome="retry"),
        _row(4),
    ]
    assert compare([_sent(503), _sent(None), _sent(200)], rows) == []


def test_a_missing_row_is_found() -> None:
    """A request that is not in the log is a difference."""
    [error] = compare([_sent(), _sent()], [_row(1)])
    assert "a request is missing" in error
    assert compare([_sent(None)], [])


def test_a_row_too_many_is_found() -> None:
    """A row without a request, with another answer, or of another hook is a difference."""
    assert compare([], [_row(1)])
    assert compare([_sent(500)], [_row(1)])
    assert compare([_sent()], [_row(1, hook="b")])


def test_a_repeated_row_is_found() -> None:
    """A row that is there twice is a difference, even if its receiver cannot tell."""
    refused = _row(1, status=None, error="connect")
    assert compare([], [refused]) == []
    assert compare([], [refused, refused])


def test_numbers_of_attempts_have_no_gap() -> None:
    """Attempts that are not numbered from 1 on are a difference."""
    assert compare([_sent(), _sent()], [_row(1), _row(3)])
    assert compare([_sent(), _sent()], [_row(1), _row(1, at="t2")]) == []


def test_a_kill_excuses_the_last_answers_before_it() -> None:
    """Before a kill an answer of the last seconds, and a request without one, may be missing; an
    earlier or later one may not.
    """
    assert compare([_sent(at=96.0)], [], [KILL]) == []
    assert compare([_sent(None, at=120.0)], [], [KILL]) == []
    assert compare([_sent(at=94.0)], [], [KILL])
    assert compare([_sent(at=101.0)], [], [KILL])
    assert compare([_sent(200, at=94.0), _sent(503, at=96.0)], [_row(1, status=503)], [KILL])


def test_as_many_may_be_missing_as_were_dropped() -> None:
    """Requests may be missing in the log as often as rows are counted as dropped, and no more."""
    requests = [_sent(delivery="e1:a"), _sent(delivery="e2:a")]
    assert compare(requests, [], dropped=2) == []
    assert len(compare(requests, [], dropped=1)) == len(requests)


def test_a_delivery_that_is_deferred_under_way_is_in_the_log() -> None:
    """A request without an answer is in the log as the deferral of its delivery."""
    deferral = _row(0, status=None, outcome="retry", reason="shutdown")
    assert compare([_sent(None)], [deferral]) == []
    assert compare([_sent(200)], [deferral])
