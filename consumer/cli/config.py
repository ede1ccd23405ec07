"""The hook that a command is about."""

from collections.abc import Mapping
from difflib import get_close_matches

import typer

from consumer.hooks.table import Hook


def find_hook(hooks: Mapping[str, Hook], id: str) -> Hook:
    """The hook of this id.

    Raises:
        typer.BadParameter: there is none; names the nearest id.
    """
    hook = hooks.get(id)
    if hook is not None:
        return hook
    close = get_close_matches(id, hooks, n=1)
    known = f"did you mean {close[0]}?" if close else f"there are: {', '.join(hooks)}"
    raise typer.BadParameter(f"no hook has the id {id!r}; {known}", param_hint="HOOK")
