"""Options and arguments that several commands share."""

from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated

import typer

LiveHook = Annotated[
    bool, typer.Option("--live", help="Look at live definitions, which are in Kafka.")
]
_MAX_SHOWN_IDS = 50

ConfigFile = Annotated[
    Path | None,
    typer.Option(
        "--config",
        "-c",
        metavar="FILE",
        help="Settings file.",
        show_default="config/hookstream.yaml",
    ),
]


def choose_id(known: Iterable[str], id: str, more: str = "") -> str:
    """`id`, if it is one of the known hooks; `more` is said if it is not.

    Raises:
        typer.BadParameter: it is not; names the nearest one.
    """
    ids = list(known)
    if id in ids:
        return id
    close = get_close_matches(id, ids, n=1)
    shown = ", ".join(ids[:_MAX_SHOWN_IDS]) + ("" if len(ids) <= _MAX_SHOWN_IDS else ", ...")
    hint = f"did you mean {close[0]}?" if close else f"there are: {shown or 'none'}"
    raise typer.BadParameter(f"no hook has the id {id!r}; {hint}{more}", param_hint="HOOK")
