"""Shows the demo: a live view on a terminal, otherwise a line every few seconds."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import Protocol, Self

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from consumer.demo.numbers import HookNumbers, Numbers, Rate
from consumer.demo.receiver import BEHAVIOURS

_LINE_INTERVAL_SECONDS = 2.0
"""Time between two lines."""
_MAX_SHOWN_LATENCY_SECONDS = 15.0
"""Longer latencies are shown as "> 15 s": the histogram's next edge is beyond most demos' end, so
an estimate between the two could be longer than the demo."""
LATENCY_LEGEND = "p50, p99: from an event to its 2xx; up to 0.5 s of it is the embedded broker's"
_BARS = " ▁▂▃▄▅▆▇█"
_WIDE_COLUMNS = 96
"""Columns of a terminal from which behaviours are shown in words."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state of the demo at one snapshot."""

    phase: str
    """The phase in a few words."""
    elapsed: float
    """Seconds since the first event."""
    numbers: Numbers
    endpoints: Mapping[str, str]
    """The behaviour of each hook's receiver, a key of `BEHAVIOURS`, by hook id."""
    news: str = ""
    """What happened last to the live hook."""


@dataclass(frozen=True, slots=True)
class DemoInfo:
    """The constants of one run."""

    seconds: float
    """Seconds in which events are produced; `inf`: until it is stopped."""
    metrics_url: str


class View(Protocol):
    """Shows snapshots while its context is entered."""

    def show(self, snapshot: Snapshot, now: float) -> None:
        """Draw `snapshot`; `now` is monotonic."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None: ...


def make_view(console: Console, info: DemoInfo) -> View:
    """The live view on a terminal, otherwise the view of lines."""
    return LiveView(console, info) if console.is_terminal else LineView(console, info)


class LiveView:
    """A view that is redrawn in place."""

    def __init__(self, console: Console, info: DemoInfo) -> None:
        self._info = info
        self._console = console
        self._events, self._delivered = Rate(), Rate()
        self._live = Live(console=console, auto_refresh=False, transient=True)

    def show(self, snapshot: Snapshot, now: float) -> None:
        """See `View`."""
        numbers, wide = snapshot.numbers, is_wide(self._console)
        events = self._events.update(now, sum(numbers.events.values()))
        delivered = self._delivered.update(now, numbers.delivered)
        picture = Group(
            _heading(snapshot, self._info),
            Text(snapshot.news, "cyan"),
            _totals(numbers, events, delivered, self._delivered.history),
            hook_table(numbers.hooks, snapshot.endpoints, wide=wide),
            _legend(snapshot, self._info, wide=wide),
        )
        self._live.update(picture, refresh=True)

    def __enter__(self) -> Self:
        self._live.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._live.stop()


class LineView:
    """A view of lines for files, pipes and build logs."""

    def __init__(self, console: Console, info: DemoInfo) -> None:
        self._console = console
        self._info = info
        self._delivered = Rate()
        self._said_at = -math.inf
        self._phase = ""
        self._news = ""

    def show(self, snapshot: Snapshot, now: float) -> None:
        """See `View`."""
        numbers = snapshot.numbers
        rate = self._delivered.update(now, numbers.delivered)
        if snapshot.news != self._news:
            self._news = snapshot.news
            self._console.print(snapshot.news, soft_wrap=True)
        if snapshot.phase == self._phase and now - self._said_at < _LINE_INTERVAL_SECONDS:
            return
        self._said_at, self._phase = now, snapshot.phase
        self._console.print(
            f"{snapshot.elapsed:4.0f} s  {snapshot.phase}: "
            f"events {sum(numbers.events.values()):,}  delivered {numbers.delivered:,} "
            f"({rate:,.0f}/s)  retried {numbers.retried:,}  overflowed {numbers.overflowed:,}  "
            f"dead letters {numbers.dead_lettered:,}  in flight {numbers.in_flight}",
            soft_wrap=True,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Do nothing: lines stay."""


def is_wide(console: Console) -> bool:
    """Whether behaviours are shown in words."""
    return console.width >= _WIDE_COLUMNS


def hook_table(
    hooks: Mapping[str, HookNumbers], endpoints: Mapping[str, str], *, wide: bool
) -> Table:
    """The table with one row for each hook."""
    table = Table(box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False, expand=False)
    table.add_column("hook", no_wrap=True)
    table.add_column("receiver", no_wrap=True)
    for heading in ("delivered", "retried", "dead", "circuit", "p50", "p99"):
        table.add_column(heading, justify="right", no_wrap=True, min_width=6)
    for hook_id, numbers in hooks.items():
        behaviour = endpoints[hook_id]
        words = BEHAVIOURS[behaviour] if wide else behaviour
        table.add_row(
            Text(hook_id, "bold"),
            Text(words, "green" if behaviour == "healthy" else "yellow"),
            _count(numbers.delivered, "green"),
            _count(numbers.retried, "yellow"),
            _count(numbers.dead_lettered, "red"),
            Text("open", "bold red") if numbers.circuit_open else Text("closed", "dim"),
            _seconds(numbers.p50),
            _seconds(numbers.p99),
        )
    return table


def _heading(snapshot: Snapshot, info: DemoInfo) -> RenderableType:
    done, is_endless = min(snapshot.elapsed, info.seconds), math.isinf(info.seconds)
    line = Table.grid(expand=True, padding=(0, 1))
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_column(no_wrap=True, justify="right")
    line.add_row(
        Text.assemble(("hookstream", "bold cyan"), " demo  ", (snapshot.phase, "italic")),
        ""
        if is_endless
        else ProgressBar(total=info.seconds, completed=done, complete_style="cyan"),
        Text(
            f"{done:.0f} s, Ctrl-C ends it" if is_endless else f"{done:.0f} of {info.seconds:.0f} s"
        ),
    )
    return line


def _totals(
    numbers: Numbers, events: float, delivered: float, history: Iterable[float]
) -> RenderableType:
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", min_width=10)
    for _ in range(2):
        grid.add_column(justify="right", min_width=8)
    grid.add_column(style="dim")
    grid.add_column(justify="right", min_width=6)
    triggers = "  ".join(f"{name} {count:,}" for name, count in numbers.events.items())
    grid.add_row(
        "events", f"{sum(numbers.events.values()):,}", f"{events:,.0f}/s", "in flight",
        f"{numbers.in_flight:,}",
    )  # fmt: skip
    grid.add_row(
        "delivered", Text(f"{numbers.delivered:,}", "green"), f"{delivered:,.0f}/s",
        "waiting", Text(f"{numbers.waiting:,}", "yellow" if numbers.waiting else ""),
    )  # fmt: skip
    grid.add_row(
        "retried", Text(f"{numbers.retried:,}", "yellow" if numbers.retried else ""), "",
        "dead letters", Text(f"{numbers.dead_lettered:,}", "red" if numbers.dead_lettered else ""),
    )  # fmt: skip
    return Group(
        grid,
        Text.assemble(("per second  ", "dim"), (sparkline(list(history)), "green")),
        Text(f"triggers    {triggers}", "dim"),
    )


def _legend(snapshot: Snapshot, info: DemoInfo, *, wide: bool) -> RenderableType:
    lines = Text(style="dim", overflow="fold")
    if not wide:
        used = dict.fromkeys(snapshot.endpoints[hook] for hook in snapshot.numbers.hooks)
        lines.append(", ".join(f"{name} {BEHAVIOURS[name]}" for name in used) + "\n")
    return lines.append(f"{LATENCY_LEGEND}\n{info.metrics_url}")


def sparkline(values: Sequence[float]) -> str:
    """One bar for each value; the highest value has the full bar."""
    top = max(values, default=0.0) or 1.0
    return "".join(_BARS[round(value / top * (len(_BARS) - 1))] for value in values)


def _count(count: int, style: str) -> Text:
    return Text(f"{count:,}", style) if count else Text("-", "dim")


def _seconds(seconds: float) -> Text:
    if math.isnan(seconds):
        return Text("-", "dim")
    if seconds > _MAX_SHOWN_LATENCY_SECONDS:
        return Text(f"> {_MAX_SHOWN_LATENCY_SECONDS:.0f} s")
    return Text(f"{seconds * 1000:.0f} ms" if seconds < 1 else f"{seconds:.1f} s")
