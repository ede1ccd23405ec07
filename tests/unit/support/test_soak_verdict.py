"""The verdict of a soak run: what counts as flat."""

import pytest

from support.soak import Limits, Sample, judge

_LIMITS = Limits(peak=105, growth=6, more=40, sockets=1_200)


def _sample(at: int, memory: float = 80.0, files: int = 60, sockets: int = 50) -> Sample:
    return Sample(at, memory, files, sockets, answered=at * 2_000, waiting=400)


def test_a_level_run_is_flat() -> None:
    """A run whose figures rise while it warms up and then stay the same breaks no limit."""
    warm = [_sample(at, 60 + at / 5, 20 + at // 3, 10 + at // 3) for at in range(100)]
    assert judge(warm + [_sample(at) for at in range(100, 400)], _LIMITS) == []


def test_a_short_peak_is_told() -> None:
    """A single moment above the limit breaks it, wherever it is."""
    samples = [_sample(at) for at in range(100)]
    samples[3] = _sample(3, memory=120)
    assert judge(samples, _LIMITS) == ["memory reached 120 MiB, more than 105"]


def test_too_many_sockets_are_told() -> None:
    """More sockets than the pools may keep are told, although their number is level."""
    samples = [_sample(at, sockets=1_500) for at in range(100)]
    assert judge(samples, _LIMITS) == ["1500 sockets were open, more than 1200"]


@pytest.mark.parametrize(
    ("grown", "sentence"),
    [
        ({"memory": 90.0}, "80 MiB of memory in the second quarter, 90 in the last"),
        ({"files": 200}, "60 open files in the second quarter, 200 in the last"),
        ({"sockets": 120}, "50 sockets in the second quarter, 120 in the last"),
    ],
)
def test_growth_is_told(grown: dict[str, float], sentence: str) -> None:
    """Each figure that is higher in the last quarter than in the second one is told with both
    values.
    """
    samples = [_sample(at) for at in range(300)]
    samples += [_sample(at, **grown) for at in range(300, 400)]  # type: ignore[arg-type]
    assert judge(samples, _LIMITS) == [sentence]
