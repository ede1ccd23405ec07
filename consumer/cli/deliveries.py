"""`hookstream deliveries`: its two commands, their options and their help."""

from typing import Annotated

import typer

from consumer.cli.console import silence_aiokafka
from consumer.cli.options import ConfigFile

DEFAULT_LIST_LIMIT = 50
"""Deliveries in a list on a terminal without `--limit`."""

deliveries = typer.Typer(
    name="deliveries",
    help="Search the delivery log: what was sent, and what became of it.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

HookFilter = Annotated[
    str | None,
    typer.Option("--hook", metavar="HOOK", help="Only those of this hook.", show_default=False),
]
OutcomeFilter = Annotated[
    str | None,
    typer.Option(
        "--outcome",
        metavar="OUTCOME",
        help="Only those with this outcome: delivered, retry, overflow, dead_letter.",
        show_default=False,
    ),
]
StatusFilter = Annotated[
    str | None,
    typer.Option(
        "--status",
        metavar="STATUS",
        help="Only attempts with this status (503), class (5xx) or kind of error (timeout, "
        "connect, dns, tls, blocked).",
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
Until = Annotated[
    str | None,
    typer.Option(metavar="TIME", help="Only those before this time.", show_default=False),
]
UserFilter = Annotated[
    str | None,
    typer.Option(
        "--user",
        metavar="USER",
        help="Only those for this user's events. The log holds a keyed hash of the id.",
        show_default=False,
    ),
]
IdFilter = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="ID", help="Only this delivery: its webhook-id.", show_default=False
    ),
]
EventFilter = Annotated[
    str | None,
    typer.Option(
        "--event", metavar="ID", help="Only those of the event with this id.", show_default=False
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="Print JSON lines on a terminal too, as in a pipe.")
]


deliveries.callback()(silence_aiokafka)


@deliveries.command(
    name="list",
    epilog="On a terminal it prints a table, the newest last. Into a file or a pipe it prints one "
    "JSON object a line as they are found, the newest first. A note says how far back was "
    "searched, and whether the log ends there. With --hook only the records of one partition are "
    "read. The log holds all failures, and the share of successes that delivery_log.successes sets."
    "\n\n[bold]hookstream deliveries list --hook click-analytics --status 5xx --since 6h[/]\n\n"
    "[bold]hookstream deliveries list --user u42 | jq -r .outcome | sort | uniq -c[/]",
)
def list_(
    *,
    hook: HookFilter = None,
    outcome: OutcomeFilter = None,
    status: StatusFilter = None,
    since: Since = None,
    until: Until = None,
    user: UserFilter = None,
    id: IdFilter = None,
    event: EventFilter = None,
    limit: Annotated[
        int | None,
        typer.Option(
            min=1,
            metavar="N",
            help="Only the newest N.",
            show_default=f"{DEFAULT_LIST_LIMIT} on a terminal",
        ),
    ] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Show what was sent, and what became of it."""
    from consumer.cli.deliveries_list import show
    from consumer.settings import environment, load_settings

    texts = {
        "hook": hook, "outcome": outcome, "status": status, "since": since, "until": until,
        "user": user, "id": id, "event": event,
    }  # fmt: skip
    show(load_settings(config, environment()), _given(texts), limit, as_json=json)


@deliveries.command(
    epilog="Prints each delivery as it is logged, until Ctrl-C (exit code 130). With --since those "
    "from then on come first.\n\n"
    "[bold]hookstream deliveries tail --hook click-analytics --outcome dead_letter[/]"
)
def tail(
    *,
    hook: HookFilter = None,
    outcome: OutcomeFilter = None,
    status: StatusFilter = None,
    since: Since = None,
    user: UserFilter = None,
    id: IdFilter = None,
    event: EventFilter = None,
    limit: Annotated[
        int | None, typer.Option(min=1, metavar="N", help="End after N.", show_default=False)
    ] = None,
    json: AsJson = False,
    config: ConfigFile = None,
) -> None:
    """Follow what is sent, and what becomes of it."""
    from consumer.cli.deliveries_tail import follow
    from consumer.settings import environment, load_settings

    texts = {
        "hook": hook, "outcome": outcome, "status": status, "since": since, "user": user, "id": id,
        "event": event,
    }  # fmt: skip
    follow(load_settings(config, environment()), _given(texts), limit, as_json=json)


def _given(texts: dict[str, str | None]) -> dict[str, str]:
    return {name: text for name, text in texts.items() if text is not None}
