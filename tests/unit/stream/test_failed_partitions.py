"""The partitions that new records avoid, and for how long."""

from consumer.stream.failed_partitions import (
    FIRST_AVOIDANCE_SECONDS,
    MAX_AVOIDANCE_SECONDS,
    FailedPartitions,
)

LED = [0, 1, 2]


class Time:
    """Monotonic seconds, moved by hand."""

    now = 100.0


def _failed() -> tuple[FailedPartitions, Time]:
    time = Time()
    return FailedPartitions(lambda: time.now), time


def test_a_partition_that_failed_is_left_alone_for_a_while() -> None:
    """Records avoid a partition that failed for a minute."""
    failed, time = _failed()
    failed.failed("a", 1)
    assert failed.usable("a", LED) == [0, 2]
    assert failed.usable("b", LED) == LED
    time.now += FIRST_AVOIDANCE_SECONDS
    assert failed.usable("a", LED) == LED


def test_a_partition_that_fails_again_is_left_alone_for_longer() -> None:
    """Each failure in a row doubles the time, up to ten minutes; a success ends it."""
    failed, time = _failed()
    taken = []
    for _ in range(6):
        failed.failed("a", 1)
        began = time.now
        while failed.usable("a", LED) != LED:
            time.now += FIRST_AVOIDANCE_SECONDS / 2
        taken.append(time.now - began)
    longest = MAX_AVOIDANCE_SECONDS
    assert taken == [60, 120, 240, 480, longest, longest]
    failed.succeeded("a", 1)
    failed.failed("a", 1)
    time.now += FIRST_AVOIDANCE_SECONDS
    assert failed.usable("a", LED) == LED


def test_if_every_partition_has_failed_none_is_avoided() -> None:
    """If every partition has failed, none is avoided."""
    failed, _ = _failed()
    for partition in LED:
        failed.failed("a", partition)
    assert failed.usable("a", LED) == LED
    failed.succeeded("a", 0)
    assert failed.usable("a", LED) == LED
