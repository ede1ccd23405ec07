"""`hookstream dead-letters replay`: shows a plan, asks, and sends with a progress bar."""

import asyncio

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.console import output, print_note
from consumer.cli.dead_letters_list import counts_table, note_others
from consumer.cli.process import run_on_loop
from consumer.services.dead_letters import Replay
from consumer.settings import Settings
from consumer.signals import Signals
from consumer.stream.dead_letters import Selection
from consumer.stream.replay import Plan

SIGINT_EXIT_CODE = 130
"""The shell's exit code for SIGINT."""


class ReplayCommand:
    """One replay, which is first planned and then executed. Both steps raise `HookstreamError`."""

    def __init__(
        self, settings: Settings, selection: Selection, *, limit: int | None, again: bool
    ) -> None:
        self._replay = Replay(settings, selection, limit=limit, again=again)
        self._plan: Plan

    def plan(self) -> bool:
        """Print what would be sent; whether there is anything."""
        self._plan = plan = run_on_loop(lambda: self._replay.plan(note_others))
        if plan.sent_before:
            print_note(f"goes on after {plan.sent_before:,} already sent; --again starts over")
        console = output()
        for why, count in plan.not_replayable.most_common():
            print_note(f"{count:,} cannot be sent back: {why}")
        if not plan.total:
            console.print(f"nothing to send{' that was not sent before' * bool(plan.sent_before)}")
            return False
        console.print(counts_table(plan.counts.most_common(), ("hook", "reason", "goes to")))
        console.print(f"{plan.total:,} dead letter{'s' * (plan.total > 1)} to send")
        return True

    def execute(self, *, ask: bool) -> None:
        """Send what was planned; with `ask`, once the person has agreed.

        Raises:
            typer.Exit: 1 if the person does not agree, 130 after SIGINT or SIGTERM.
        """
        if ask and not typer.confirm("Send them?"):
            print_note("nothing was sent")
            raise typer.Exit(1)
        sent, stopped = run_on_loop(self._send)
        if stopped and sent < self._plan.total:
            print_note(f"stopped: {sent:,} of {self._plan.total:,} sent; the same command goes on")
            raise typer.Exit(SIGINT_EXIT_CODE)
        output().print(f"{sent:,} sent")

    async def _send(self) -> tuple[int, bool]:
        """The number of sent dead letters, and whether a signal stopped it."""
        stop = asyncio.Event()
        schedule = asyncio.get_running_loop().call_soon_threadsafe
        with (
            Signals().installed() as signals,
            signals.calling(schedule, on_stop=stop.set, on_reload=stop.set),  # a lost terminal, too
            _progress_bar() as bar,
        ):
            task = bar.add_task("sent", total=self._plan.total)
            sent = await self._replay.send(
                self._plan, stopped=stop.is_set, advanced=lambda count: bar.advance(task, count)
            )
        return sent, stop.is_set()


def _progress_bar() -> Progress:
    # Standard error, so that a file or pipe gets the results only.
    console = Console(stderr=True)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )
