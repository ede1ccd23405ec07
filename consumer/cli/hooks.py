"""`hookstream hooks`: its commands, their options and their help."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from consumer.cli.console import print_note, silence_aiokafka
from consumer.cli.options import ConfigFile

if TYPE_CHECKING:
    from consumer.settings import Settings

hooks = typer.Typer(
    name="hooks",
    help="Show and change live definitions, which are in Kafka (hooks.live in the settings).",
    no_args_is_help=True,
    rich_markup_mode="rich",
)

HookId = Annotated[str, typer.Argument(metavar="HOOK", help="A hook's id.", show_default=False)]
Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask before writing.")]
By = Annotated[
    str | None,
    typer.Option(metavar="NAME", help="Who makes the change.", show_default="the user's name"),
]
Comment = Annotated[
    str, typer.Option("--comment", "-m", metavar="TEXT", help="Why.", show_default=False)
]


hooks.callback()(silence_aiokafka)


@hooks.command(
    name="list",
    epilog="States: on, off (not enabled), problem (replicas do not use the newest record; it says "
    "why). With --replicas it shows the replicas in place of the hooks, and for each whether the "
    "newest definitions are in force there."
    "\n\n[bold]hookstream hooks list | jq -r 'select(.state == \"problem\").hook'[/]",
)
def list_(
    *,
    replicas: Annotated[
        bool, typer.Option("--replicas", help="Show the replicas and what is in force there.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """List live definitions."""
    from consumer.cli.hooks_list import show_hooks
    from consumer.cli.hooks_replicas import show_replicas

    settings = _settings(config)
    (show_replicas if replicas else show_hooks)(settings)


@hooks.command()
def show(
    hook: HookId,
    revision: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="An earlier one.", show_default="the newest"),
    ] = None,
    config: ConfigFile = None,
) -> None:
    """Show one definition."""
    from consumer.cli.hooks_history import show_revision

    show_revision(_settings(config), hook, revision)


@hooks.command(
    epilog="All definitions are checked as the daemon checks them; then the difference is shown, "
    "and after a yes all changes are written in one transaction, or none. Texts of secrets are not "
    "looked at: they are where the daemon runs.\n\n"
    "[bold]hookstream hooks apply -f hooks/ --prune -m 'spring campaign'[/]"
)
def apply(
    file: Annotated[
        Path,
        typer.Option(
            "--file", "-f", metavar="PATH", help="A file or folder of definitions.",
            show_default=False,
        ),
    ],
    *,
    prune: Annotated[
        bool, typer.Option("--prune", help="Delete live hooks that are not in PATH.")
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the difference, and write nothing.")
    ] = False,
    yes: Yes = False,
    by: By = None,
    comment: Comment = "",
    config: ConfigFile = None,
) -> None:  # fmt: skip
    """Create and change live definitions from files."""
    from consumer.cli.hooks_change import apply_files, author

    _refuse_to_guess(yes=yes or dry_run)
    consent = None if dry_run else yes
    apply_files(
        _settings(config), file, prune=prune, consent=consent, by=author(by), comment=comment
    )


@hooks.command(epilog="[bold]hookstream hooks delete survey-partner -m 'contract ended'[/]")
def delete(
    hooks: Annotated[
        list[str], typer.Argument(metavar="HOOK...", help="Ids of hooks.", show_default=False)
    ],
    *,
    yes: Yes = False,
    by: By = None,
    comment: Comment = "",
    config: ConfigFile = None,
) -> None:
    """Delete live definitions, all of them or none."""
    from consumer.cli.hooks_change import author, delete_hooks

    _refuse_to_guess(yes=yes)
    delete_hooks(_settings(config), hooks, consent=yes, by=author(by), comment=comment)


@hooks.command(
    epilog="`hookstream hooks apply` reads what this writes. Sealed secrets stay sealed.\n\n"
    "[bold]hookstream hooks export -o hooks/[/]"
)
def export(
    hooks: Annotated[
        list[str] | None,
        typer.Argument(metavar="[HOOK...]", help="Ids of hooks.", show_default="all"),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="DIR", help="A folder, for a file of each hook.",
            show_default="standard output",
        ),
    ] = None,
    config: ConfigFile = None,
) -> None:  # fmt: skip
    """Write live definitions as YAML."""
    from consumer.cli.hooks_export import export_hooks

    export_hooks(_settings(config), hooks or [], output)


@hooks.command()
def history(hook: HookId, config: ConfigFile = None) -> None:
    """Show a hook's revisions: who, when, why, and what differs."""
    from consumer.cli.hooks_history import show_history

    show_history(_settings(config), hook)


@hooks.command(epilog="[bold]hookstream hooks rollback click-analytics --to 7[/]")
def rollback(
    hook: HookId,
    to: Annotated[
        int, typer.Option("--to", min=1, metavar="N", help="The revision.", show_default=False)
    ],
    *,
    yes: Yes = False,
    by: By = None,
    comment: Comment = "",
    config: ConfigFile = None,
) -> None:
    """Bring back an earlier revision, as a new one."""
    from consumer.cli.hooks_change import author, roll_back

    _refuse_to_guess(yes=yes)
    settings = _settings(config)
    roll_back(settings, hook, to, consent=yes, by=author(by), comment=comment)


@hooks.command(
    epilog="The secret is read from standard input, or asked for without showing it; it is never "
    "an argument. The result goes into a header or parameter with `source: fixed`, or into "
    "signing_secrets, of hooks whose URI has the same scheme, host and port. Needs no broker.\n\n"
    "[bold]hookstream hooks seal --new-key[/]\n\n"
    "[bold]hookstream hooks seal --uri https://crm.example.com/ < token.txt[/]"
)
def seal(
    uri: Annotated[
        str | None,
        typer.Option("--uri", metavar="URI", help="The URI of the hook.", show_default=False),
    ] = None,
    *,
    new_key: Annotated[
        bool, typer.Option("--new-key", help="Make a pair of keys, and seal nothing.")
    ] = False,
    config: ConfigFile = None,
) -> None:
    """Seal a secret so that only the daemon can read it."""
    from consumer.cli.hooks_seal import print_new_key, seal_secret

    if new_key == (uri is not None):
        raise typer.BadParameter("give one of --uri and --new-key", param_hint="--uri")
    if uri is None:
        print_new_key()
    else:
        seal_secret(config, uri)


def _settings(config: Path | None) -> "Settings":
    from consumer.settings import environment, load_settings

    settings = load_settings(config, environment())
    if not settings.hooks.live:
        print_note("hooks.live is not on: a daemon with these settings does not read the topic")
    return settings


def _refuse_to_guess(*, yes: bool) -> None:
    if not (yes or sys.stdin.isatty()):
        raise typer.BadParameter("without a terminal, add --yes", param_hint="--yes")
