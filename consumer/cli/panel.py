"""`hookstream panel`: its commands, their options and their help."""

from typing import Annotated

import typer

from consumer.cli.options import ConfigFile
from consumer.settings import RoleName

panel = typer.Typer(
    name="panel",
    help="Serve the panel and its API.",
    epilog="Without tokens and proxies in the settings it listens on this machine only, and prints "
    "a link that lets one person in, once. SIGHUP takes changed tokens and proxies; SIGTERM and "
    "SIGINT end it. It needs Kafka only to answer, and any number of panels may run."
    "\n\n[bold]hookstream panel token ayse --role editor[/]",
    rich_markup_mode="rich",
)


@panel.callback(invoke_without_command=True)
def serve(context: typer.Context, config: ConfigFile = None) -> None:
    """Serve the panel and its API."""
    if context.invoked_subcommand is not None:
        return
    from consumer.cli.panel_serve import serve as serve_panel

    serve_panel(config)


@panel.command(
    epilog="The token is shown this once: the settings have only its hash.\n\n"
    "[bold]hookstream panel token ayse --role editor[/]"
)
def token(
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Who gets it: the author of their changes.", show_default=False
        ),
    ],
    *,
    role: Annotated[
        RoleName,
        typer.Option(help="What they may do: see, also change hooks, also replay and roll back."),
    ],
) -> None:
    """Make a token, and print its entry for the settings."""
    from consumer.cli.panel_token import print_token
    from consumer.settings.panel import TOKEN_NAME

    if not TOKEN_NAME.fullmatch(name):
        raise typer.BadParameter(
            "write 1 to 64 letters, digits and . _ @ -, a letter or digit first", param_hint="NAME"
        )
    print_token(name, role)
