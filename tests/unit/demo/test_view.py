"""The demo's picture fits its terminal, and without a terminal lines say the same."""

import io
import math
from dataclasses import replace

import pytest
from rich.console import Console

from consumer.demo.numbers import HookNumbers, Numbers
from consumer.demo.receiver import BEHAVIOURS
from consumer.demo.summary import Costs, print_summary
from consumer.demo.view import (
    DemoInfo,
    LineView,
    LiveView,
    Snapshot,
    hook_table,
    make_view,
    sparkline,
)

HOOKS = {
    "click-analytics": HookNumbers(123_456, 9_999, 0, 0, circuit_open=False, p50=0.012, p99=0.9),
    "legacy-loyalty": HookNumbers(0, 9_999, 10, 999, circuit_open=True, p50=math.nan, p99=math.nan),
}
HOOKS |= {f"another-hook-{n}": HOOKS["click-analytics"] for n in range(6)}
ENDPOINTS = {name: list(BEHAVIOURS)[n % len(BEHAVIOURS)] for n, name in enumerate(HOOKS)}
NUMBERS = Numbers(
    events={"push_click": 40_000, "message_log": 40_000, "geofence": 20_000, "event": 30_000},
    hooks=HOOKS,
    in_flight=64,
    waiting=12_345,
    reasons={"rejected": 90, "exhausted": 9},
)
NEWS = "15 s: live hook app-opens, revision 2, in force 9 ms after it was written"
NEWS = "15 s: live hook app-opens, revision 2: saved and in force in 29 ms"
SCENE = DemoInfo(seconds=30, metrics_url="http://127.0.0.1:54321/metrics")


def _console(width: int, height: int, *, terminal: bool) -> Console:
    return Console(
        file=io.StringIO(), width=width, height=height, force_terminal=terminal, color_system=None
    )


@pytest.mark.parametrize("seconds", [30, math.inf])
@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30)])
def test_the_picture_fits(width: int, height: int, seconds: float) -> None:
    """The picture of eight hooks, the last change and large numbers fits the screen, and no line is
    cut short; it says how the demo ends.
    """
    console = _console(width, height, terminal=True)
    view = LiveView(console, replace(SCENE, seconds=seconds))
    for second in range(60):
        view.show(Snapshot("events arrive", second, NUMBERS, ENDPOINTS, NEWS), second)
    rows = console.render_lines(view._live.get_renderable())
    lines = ["".join(segment.text for segment in row) for row in rows]
    assert len(lines) < height
    text = "\n".join(lines)
    assert "…" not in text
    assert NEWS in text
    assert ("59 s, Ctrl-C ends it" if seconds == math.inf else "30 of 30 s") in text
    for words in ("arrive", "123,456", "130,000", "12,345", "another-hook-5", "54321/metrics"):
        assert words in text


def test_lines_without_a_terminal() -> None:
    """Without a terminal the demo prints one plain line every two seconds and one for each new
    phase and each change of the live hook.
    """
    console = _console(120, 25, terminal=False)
    view = make_view(console, SCENE)
    assert isinstance(view, LineView)
    with view:
        for tenth in range(50):
            view.show(Snapshot("events arrive", tenth / 10, NUMBERS, ENDPOINTS), tenth / 10)
        view.show(Snapshot("stopping", 5.0, NUMBERS, ENDPOINTS, NEWS), 5.0)
    assert isinstance(console.file, io.StringIO)
    lines = console.file.getvalue().splitlines()
    assert [line.split()[0] for line in lines] == ["0", "2", "4", "15", "5"]
    assert "stopping" in lines[-1]
    assert "dead letters 999" in lines[0]


def test_no_latency_is_longer_than_the_demo() -> None:
    """No estimated latency is longer than the demo has run."""
    slow = HookNumbers(345, 411, 0, 0, circuit_open=False, p50=9.8, p99=86.9)
    console = _console(100, 30, terminal=False)
    console.print(hook_table({"view-counter": slow}, {"view-counter": "healthy"}, wide=True))
    assert isinstance(console.file, io.StringIO)
    assert "9.8 s > 15 s" in " ".join(console.file.getvalue().split())


def test_a_terminal_gets_the_live_view() -> None:
    """A terminal gets the live view."""
    assert isinstance(make_view(_console(80, 24, terminal=True), SCENE), LiveView)


def test_the_summary_adds_up() -> None:
    """The summary has totals, reasons and costs that add up."""
    console = _console(100, 30, terminal=False)
    table = hook_table(HOOKS, ENDPOINTS, wide=True)
    print_summary(console, NUMBERS, table, Costs(seconds=10.0, cpu=1.0, requests=700_000))
    assert isinstance(console.file, io.StringIO)
    text = console.file.getvalue()
    assert "130,000 (push_click 40,000, message_log 40,000" in text
    assert "999 (rejected 90, exhausted 9)" in text
    assert "10% of a core" in text
    assert "hookstream check" in text


def test_sparkline() -> None:
    """The highest bar of a sparkline is full, none is empty, and no values make no bars."""
    assert sparkline([0, 5, 10]) == " ▄█"
    assert sparkline([0, 0]) == "  "
    assert sparkline([]) == ""
