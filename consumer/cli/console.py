"""Output of the commands: results on standard output, everything else on standard error."""

import logging
from collections.abc import Mapping, Sequence
from types import TracebackType
from typing import Any, Self

import orjson
import typer
from rich.console import Console
from rich.text import Text

from consumer.errors import Diagnostic
from consumer.logs import printable

# rich uses colours only on a terminal, and not with NO_COLOR.
_ERROR_CONSOLE = Console(stderr=True, soft_wrap=True, highlight=False)
_PIPE_WIDTH_COLUMNS = 120
"""Width of a table in a file or pipe."""
_MAX_LINES = 200
"""Lines that wait to be printed; each has some 500 bytes."""


def output() -> Console:
    """The console for results: standard output."""
    console = Console(highlight=False)
    if not console.is_terminal:
        console.width = _PIPE_WIDTH_COLUMNS
    return console


def silence_aiokafka() -> None:
    """Let aiokafka log nothing: the commands print one sentence for an error."""
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def print_json(line: Mapping[str, Any]) -> None:
    """Print one object on a line of standard output."""
    typer.echo(orjson.dumps(line))


class JsonLines:
    """Objects for standard output, each on a line, printed many at once: a write for each would
    cost more than its line. What was added is printed at the end of the block, whatever ends it.
    """

    def __init__(self) -> None:
        self._lines: list[bytes] = []

    def add(self, line: Mapping[str, Any]) -> None:
        """Print `line` with the next ones."""
        self._lines.append(orjson.dumps(line))
        if len(self._lines) >= _MAX_LINES:
            self.flush()

    def flush(self) -> None:
        """Print what was added."""
        lines, self._lines = self._lines, []
        if lines:
            typer.echo(b"\n".join(lines))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.flush()


def print_error(sentence: str) -> None:
    """Print an error on a line of its own."""
    _say("error", "bold red", sentence)


def print_note(sentence: str) -> None:
    """Print a note beside the result."""
    _say("note", "bold yellow", sentence)


def print_diagnostics(diagnostics: Sequence[Diagnostic]) -> None:
    """Print each problem on a line, then their number."""
    for diagnostic in diagnostics:
        print_error(str(diagnostic))
    if len(diagnostics) > 1:
        _ERROR_CONSOLE.print(Text(f"{len(diagnostics)} problems", style="bold"))


def _say(kind: str, style: str, sentence: str) -> None:
    # Sentences quote file names and fields, which must not control the terminal.
    _ERROR_CONSOLE.print(Text.assemble((f"{kind}: ", style), printable(sentence)))
