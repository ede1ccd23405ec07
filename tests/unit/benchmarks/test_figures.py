"""The arithmetic of the benchmarks' figures; the runs themselves are `make benchmark`."""

from collections.abc import Callable
from pathlib import Path

import orjson
import pytest

from benchmarks import events
from benchmarks.bench import alternate, compare, rotate
from benchmarks.contestants import Daemon, Endpoint, Task
from benchmarks.receiver import parse_hit
from benchmarks.scenarios.burst import most_in_a_second
from consumer.configuration import read_config


def test_both_sides_are_first_in_turn() -> None:
    """Both sides of a comparison run first alternately, so that a machine that slows down slows
    both.
    """
    order: list[str] = []

    def ours() -> str:
        order.append("ours")
        return "ours"

    def other() -> str:
        order.append("other")
        return "other"

    assert alternate(3, ours, other) == [("ours", "other")] * 3
    assert order == ["ours", "other", "other", "ours", "ours", "other"]


def test_each_side_is_first_in_turn() -> None:
    """Each of three sides begins a round, and the results keep their order."""
    order: list[str] = []

    def runner(name: str) -> Callable[[], str]:
        def run() -> str:
            order.append(name)
            return name

        return run

    assert rotate(3, [runner("a"), runner("b"), runner("c")]) == [["a", "b", "c"]] * 3
    assert order == list("abcbcacab")


def test_the_fullest_second_begins_anywhere() -> None:
    """The fullest second may begin at any moment, since a limit holds in every second and not in
    those of the clock only.
    """
    assert most_in_a_second([0.0, 0.9, 1.2, 1.8, 3.0]) == 3


def test_the_ratio_is_the_median_of_the_pairs_not_of_the_sides() -> None:
    """The ratio is the median of pairs of runs right after each other, on a machine whose speed
    changes.
    """
    row = compare("CPU", "us", [(10.0, 20.0), (90.0, 100.0), (30.0, 50.0)], float, None)
    assert (row.ours, row.other) == (30.0, 50.0)
    assert row.ratio == pytest.approx(0.6)


@pytest.mark.parametrize(
    ("ratio", "limit", "met"),
    [
        (0.5, ("<=", 0.5), True),
        (0.51, ("<=", 0.5), False),
        (0.95, (">=", 0.95), True),
        (0.94, (">=", 0.95), False),
    ],
)
def test_a_target_is_met_up_to_its_limit(ratio: float, limit: tuple[str, float], met: bool) -> None:
    """The table says MISSED if a target is missed."""
    assert compare("any", "", [(ratio, 1.0)], float, limit).met is met


def test_a_line_of_the_receivers_log_is_read_back() -> None:
    """A line of nginx's log is read back with its decoded path, spaces included, and failures are
    no deliveries.
    """
    hit = parse_hit("1764000000.250 204 /0/spring 26 17 1764000000000\n")
    assert (hit.path, hit.number, hit.delivered) == ("/0/spring 26", 17, True)
    assert hit.delay == pytest.approx(0.25)
    assert not parse_hit("1764000000.250 503 /0/spring 26 17 1764000000000\n").delivered


def test_an_event_is_some_500_bytes_of_json() -> None:
    """An event of the benchmark is some 500 bytes of JSON, and the results name that size."""
    value = events.event(12_345, at=1_764_000_000_000)
    assert 450 <= len(value) <= 550
    assert orjson.loads(value)["data"]["n"] == 12_345


def test_the_daemon_accepts_what_is_written_for_it(tmp_path: Path) -> None:
    """The daemon loads the settings and hooks that a benchmark writes."""
    endpoints = [
        Endpoint("one", "http://127.0.0.1:1/0"),
        Endpoint("off", "http://h/", enabled=False),
        Endpoint("slow", "http://h/", rate_limit={"requests": 5, "per": "1s", "burst": 1}),
    ]
    command = Daemon().command(Task("127.0.0.1:1", "events-1", endpoints), tmp_path)
    config = read_config(Path(command[-1]))
    assert config.settings.delivery.per_hook_concurrency == 64
    assert [hook.enabled for hook in config.definitions.hooks.values()] == [True, False, True]
