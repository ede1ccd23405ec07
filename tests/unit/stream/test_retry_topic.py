"""The due time of a deferred record."""

import pytest

from consumer.stream.retry_topic import JITTER_RATIO, RetryTopic

NOW = 1_800_000_000.0
RETRY_TOPIC = RetryTopic("hookstream.retry.1m", 60.0)
DAY = 86_400.0


@pytest.mark.parametrize(
    ("deferred", "not_before", "wait"),
    [
        (NOW, NOW + 60.0, 60.0),
        (NOW, NOW + 72.0, 72.0),
        (NOW - 30.0, NOW + 30.0, 30.0),
        (NOW - 60.0, NOW, 0.0),
        (NOW - DAY, NOW - DAY + 60.0, 0.0),
        (NOW, None, 60.0),
        (NOW - 50.0, None, 10.0),
    ],
)
def test_a_record_is_due_when_it_says(
    deferred: float, not_before: float | None, wait: float
) -> None:
    """A record is due at its header's time, or after the retry topic's delay without one."""
    assert RETRY_TOPIC.seconds_until_due(
        deferred_at=deferred, not_before=not_before, now=NOW
    ) == pytest.approx(wait)


@pytest.mark.parametrize(
    ("deferred", "not_before"),
    [
        (NOW + DAY, NOW + DAY + 60.0),  # the clock was set back a day meanwhile
        (NOW, NOW + 100 * DAY),  # another program wrote the record, or its clock was wrong
        (NOW + 100 * DAY, None),
    ],
)
def test_no_record_waits_longer_than_its_retry_topic(
    deferred: float, not_before: float | None
) -> None:
    """No record waits longer than its retry topic's delay and a fifth, whatever its header says."""
    wait = RETRY_TOPIC.seconds_until_due(deferred_at=deferred, not_before=not_before, now=NOW)
    assert wait == RETRY_TOPIC.delay * (1 + JITTER_RATIO)


@pytest.mark.parametrize("elapsed", [0.0, 40.0, 71.0])
def test_a_far_off_due_time_is_counted_from_the_deferral(elapsed: float) -> None:
    """A due time that is too far off counts from the deferral, not from the moment of reading."""
    wait = RETRY_TOPIC.seconds_until_due(
        deferred_at=NOW, not_before=NOW + 100 * DAY, now=NOW + elapsed
    )
    assert wait == pytest.approx(72.0 - elapsed)


def test_a_record_without_a_time_is_due() -> None:
    """A record without a time (-1 in Kafka's old format) is due at once."""
    assert RETRY_TOPIC.seconds_until_due(deferred_at=-0.001, not_before=None, now=NOW) == 0.0
