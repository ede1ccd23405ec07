"""Parses `--hook`, `--reason` and `--since`."""

import typer

from consumer.clock import Clock
from consumer.errors import InvalidValue
from consumer.services import dead_letters
from consumer.stream.dead_letters import Selection


def choose(hook: str | None, reason: str | None, since: str | None, clock: Clock) -> Selection:
    """The selection of dead letters that the options name.

    Raises:
        typer.BadParameter: an option is invalid; the message says what is valid.
    """
    try:
        return dead_letters.choose(hook, reason, since, clock)
    except InvalidValue as invalid:
        [option] = invalid.path
        told = f"{invalid.message}; {invalid.hint}"
        raise typer.BadParameter(told, param_hint=f"--{option}") from None
