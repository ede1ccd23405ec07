"""`hookstream schema`: JSON Schemas for editors and CI."""

from typing import Any

import orjson
import typer

schema = typer.Typer(
    name="schema",
    help="Print the JSON Schema of hook definitions or of the settings file.",
    no_args_is_help=True,
    rich_markup_mode="rich",
)


@schema.command()
def hooks() -> None:
    """Print the JSON Schema of a hook definition."""
    from consumer.services.json_schema import hook_schema

    _print(hook_schema())


@schema.command()
def settings() -> None:
    """Print the JSON Schema of the settings file."""
    from consumer.services.json_schema import settings_schema

    _print(settings_schema())


def _print(document: dict[str, Any]) -> None:
    typer.echo(orjson.dumps(document, option=orjson.OPT_INDENT_2))
