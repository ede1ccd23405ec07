"""`hookstream dead-letters`: its two commands, their options and their help."""

import sys
from typing import Annotated

import typer

from consumer.cli.console import silence_aiokafka
from consumer.cli.options import ConfigFile
from consumer.clock import SystemClock
from consumer.reasons import Reason

DEFAULT_LIST_LIMIT = 50
"""Dead letters in a list on a terminal without `--limit`."""

dead_letters = typer.Typer(
    name="dead-letters",
    help="List dead letters, and send chosen ones back to be delivered.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

HookFilter = Annotated[
    str | None,
    typer.Option("--hook", metavar="HOOK", help="Only those of this hook.", show_default=False),
]
ReasonFilter = Annotated[
    str | None,
    typer.Option(
        "--reason",
        metavar="REASON",
        help=f"Only those with this reason: {', '.join(Reason)}.",
        show_default=False,
    ),
]
Since = Annotated[
    str | None,
    typer.Option(
        metavar="TIME",
        help="Only those since this time: 2026-11-24T10:00:00Z, or 2h for the last two hours.",
        show_default=False,
    ),
]


dead_letters.callback()(silence_aiokafka)


@dead_letters.command(
    name="list",
    epilog="On a terminal it prints a table, the newest last, and a count by hook and reason. Into "
    "a file or a pipe it prints one JSON object a line, the oldest first. Event values are users' "
    "data and are not shown."
    "\n\n[bold]hookstream dead-letters list --hook click-analytics --since 6h[/]\n\n"
    "[bold]hookstream dead-letters list | jq -r 'select(.reason == \"permanent\").detail'[/]",
)
def list_(
    hook: HookFilter = None,
    reason: ReasonFilter = None,
    since: Since = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only the newest N.",
            show_default=f"{DEFAULT_LIST_LIMIT} on a terminal",
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show dead letters."""
    from consumer.cli.dead_letters_choice import choose
    from consumer.cli.dead_letters_list import show
    from consumer.settings import environment, load_settings

    settings = load_settings(config, environment())
    show(choose(hook, reason, since, SystemClock()), limit, settings.kafka)


@dead_letters.command(
    epilog="Each dead letter goes to the first retry topic with its delivery id, by which a "
    "receiver recognises it; undecodable records go back to their source. Progress is kept in "
    "Kafka for each pair of --hook and --reason. After Ctrl-C (exit code 130) or a crash, the same "
    "command sends the rest; after it has finished, only newer dead letters.\n\n"
    "[bold]hookstream dead-letters replay --hook click-analytics --reason exhausted[/]"
)
def replay(
    hook: HookFilter = None,
    reason: ReasonFilter = None,
    since: Since = None,
    limit: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="At most N, the oldest first.", show_default=False),
    ] = None,
    *,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would be sent, and send nothing.")
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before sending.")] = False,
    again: Annotated[
        bool, typer.Option("--again", help="Start over, with those that were sent before.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Send dead letters back to be delivered."""
    from consumer.cli.dead_letters_choice import choose
    from consumer.cli.dead_letters_replay import ReplayCommand
    from consumer.settings import environment, load_settings

    selection = choose(hook, reason, since, SystemClock())
    if not (yes or dry_run or sys.stdin.isatty()):
        raise typer.BadParameter("without a terminal, add --yes or --dry-run", param_hint="--yes")
    settings = load_settings(config, environment())
    command = ReplayCommand(settings, selection, limit=limit, again=again)
    if command.plan() and not dry_run:
        command.execute(ask=not yes)
