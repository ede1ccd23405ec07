"""`Retry-After` in the aiohttp adapter; libcurl reads it by itself in the other one."""

from datetime import UTC, datetime
from email.utils import format_datetime

from hypothesis import example, given
from hypothesis import strategies as st

from consumer.delivery.http.aiohttp import _retry_after
from consumer.delivery.http.transport import MAX_RETRY_AFTER_SECONDS

NOW = datetime(2026, 11, 24, 10, tzinfo=UTC).timestamp()


@given(st.text(max_size=60) | st.from_regex(r"\w{3}, \d+ \w{3} \d+ \d+:\d+:\d+ [-+\w]+"))
@example("Fri, 99 Xyz 99999999999999999999 99:99:99 GMT")
@example("9" * 400)
def test_never_raises(text: str) -> None:
    """Any `Retry-After` text is read as None or as a wait within the bounds."""
    wait = _retry_after(text, NOW)
    assert wait is None or 0 < wait <= MAX_RETRY_AFTER_SECONDS


@given(st.integers(min_value=1, max_value=10**12))
def test_seconds(seconds: int) -> None:
    """A `Retry-After` in seconds is taken as it is, up to the limit."""
    assert _retry_after(str(seconds), NOW) == min(seconds, MAX_RETRY_AFTER_SECONDS)


@given(st.integers(min_value=-(10**9), max_value=10**9))
def test_dates(ahead: int) -> None:
    """A `Retry-After` date counts from now, and one that is past asks for no wait."""
    date = format_datetime(datetime.fromtimestamp(NOW + ahead, UTC), usegmt=True)
    assert _retry_after(date, NOW) == (min(ahead, MAX_RETRY_AFTER_SECONDS) if ahead > 0 else None)
