"""What commands say: results on standard output, everything else on standard error."""

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from consumer.errors import Diagnostic
from consumer.logs import printable

# Colours only where a terminal reads them (and NO_COLOR does not forbid them): rich decides.
_ERROR_CONSOLE = Console(stderr=True, soft_wrap=True, highlight=False)
_PIPE_WIDTH_COLUMNS = 120
"""Columns of a table that no terminal shows: a file or a pipe has no width of its own."""


def output() -> Console:
    """Where results go."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH_COLUMNS
    return console


def print_error(sentence: str) -> None:
    """One thing that went wrong, on a line of its own."""
    _say("error", "bold red", sentence)


def print_note(sentence: str) -> None:
    """Something that a person should know beside the result."""
    _say("note", "bold yellow", sentence)


def print_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Every problem, one a line, then how many there are."""
    for diagnostic in diagnostics:
        print_error(str(diagnostic))
    if len(diagnostics) > 1:
        _ERROR_CONSOLE.print(Text(f"{len(diagnostics)} problems", style="bold"))


def _say(kind: str, style: str, sentence: str) -> None:
    # Sentences quote file names and fields: nothing in them may move a terminal's cursor.
    _ERROR_CONSOLE.print(Text.assemble((f"{kind}: ", style), printable(sentence)))
