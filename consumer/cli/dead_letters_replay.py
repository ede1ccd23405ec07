"""`hookstream dead-letters replay`: shows a plan, asks, and sends with a progress bar."""

import asyncio

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

from consumer.cli.console import output, print_note
from consumer.cli.dead_letters_list import counts_table, note_others
from consumer.cli.process import run_on_loop
from consumer.clock import SystemClock
from consumer.errors import HookstreamError
from consumer.settings import Settings
from consumer.signals import Signals
from consumer.stream.client import KafkaProducer
from consumer.stream.dead_letters import DeadLetterReader, Selection
from consumer.stream.replay import Plan, Replayer, Route, make_plan
from consumer.stream.topics import existing_topics

SIGINT_EXIT_CODE = 130
"""The shell's exit code for SIGINT."""


class ReplayCommand:
    """One replay, which is first planned and then executed. Both steps raise `HookstreamError`."""

    def __init__(
        self, settings: Settings, selection: Selection, *, limit: int | None, again: bool
    ) -> None:
        self._kafka = settings.kafka
        self._selection = selection
        self._limit = limit
        self._again = again
        self._group = f"{settings.kafka.group_id}.replay.{selection.name}"
        self._route = Route(
            retry_topic=settings.kafka.own_topics.retry(settings.retry.delays[0]),
            sources={source.topic for source in settings.sources},
            group=settings.kafka.group_id,
        )
        self._plan: Plan

    def plan(self) -> bool:
        """Print what would be sent; whether there is anything."""
        self._plan = plan = run_on_loop(self._make_plan)
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

    async def _make_plan(self) -> Plan:
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            plan = await make_plan(
                reader, self._selection, self._route, limit=self._limit, again=self._again
            )
            note_others(reader)
        targets = {target for _, _, target in plan.counts}
        missing = targets.difference(await existing_topics(self._kafka, targets) if targets else ())
        if missing:
            raise HookstreamError(
                f"no such topic: {', '.join(sorted(missing))}: start the daemon once to create its "
                "own topics, and create your source topics"
            )
        return plan

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
        stop, producer = asyncio.Event(), KafkaProducer(self._kafka, SystemClock())
        schedule = asyncio.get_running_loop().call_soon_threadsafe
        with (
            Signals().installed() as signals,
            signals.calling(schedule, on_stop=stop.set, on_reload=stop.set),  # a lost terminal, too
        ):
            return await self._send_until(stop, producer)

    async def _send_until(self, stop: asyncio.Event, producer: KafkaProducer) -> tuple[int, bool]:
        async with DeadLetterReader(self._kafka, group=self._group) as reader:
            replayer = Replayer(
                self._plan, self._route, reader, producer, settings=self._kafka, clock=SystemClock()
            )
            try:
                with _progress_bar() as bar:
                    task = bar.add_task("sent", total=self._plan.total)
                    await replayer.run(
                        stopped=stop.is_set, advanced=lambda count: bar.advance(task, count)
                    )
            except HookstreamError as error:
                raise HookstreamError(
                    f"{error}; {replayer.sent:,} of {self._plan.total:,} sent; "
                    "the same command goes on"
                ) from error
            finally:
                await producer.reset()
        return replayer.sent, stop.is_set()


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
