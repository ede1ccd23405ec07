"""The soft limit of file descriptors follows the bounds."""

import pytest

from consumer.delivery.http.descriptors import descriptors_needed, idle_connections, soft_limit

NO_LIMIT = -1


@pytest.mark.parametrize(
    ("soft", "hard", "expected"),
    [
        (1_024, 524_288, 3_000),
        (1_024, 2_000, 2_000),
        (1_024, 1_024, 1_024),
        (1_024, NO_LIMIT, 3_000),
        (3_000, 4_096, 3_000),
        (65_536, 524_288, 65_536),
        (NO_LIMIT, NO_LIMIT, NO_LIMIT),
    ],
)
def test_the_limit_is_raised_to_what_is_needed(soft: int, hard: int, expected: int) -> None:
    """The soft limit is raised to what is needed as far as the hard limit allows, and never
    lowered.
    """
    assert soft_limit(3_000, soft, hard) == expected


def test_what_is_needed_covers_the_bounds() -> None:
    """The descriptors that are needed are the kept connections, and for each request in flight one
    connection and one lookup.
    """
    assert descriptors_needed(256) > idle_connections(256) + 256
    assert descriptors_needed(1_256) - descriptors_needed(256) == 5_000
