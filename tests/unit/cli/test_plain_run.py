"""`hookstream run` starts without what it does not need."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from consumer import __main__ as entry
from consumer.cli import commands, run

Called = list[object]


@pytest.fixture
def called(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Called:
    """The daemon's settings file, or `parser`, for each call; the current folder has a `file`."""
    found: Called = []
    (tmp_path / "file").touch()
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(run, "run", found.append)
    monkeypatch.setattr(commands, "commands", lambda: found.append("parser"))
    return found


@pytest.mark.parametrize(
    ("arguments", "file"),
    [(("run",), None), (("run", "--config", "file"), "file"), (("run", "-c", "file"), "file")],
)
def test_run_without_a_mistake_needs_no_parser(
    arguments: Sequence[str], file: str | None, called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`run` alone or with a readable settings file calls the daemon without the parser."""
    monkeypatch.setattr(sys, "argv", ["hookstream", *arguments])
    entry.main()
    assert called == [file and Path(file)]


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("check",),
        ("run", "--help"),
        ("run", "file"),
        ("run", "--config"),
        ("run", "--config", "missing"),
        ("run", "--config", "file", "--config", "file"),
        ("run", "--config=file"),
        ("--version", "run"),
    ],
)
def test_the_parser_judges_every_other_command_line(
    arguments: Sequence[str], called: Called, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A command line that is not plainly right, and every other command, is the parser's."""
    monkeypatch.setattr(sys, "argv", ["hookstream", *arguments])
    entry.main()
    assert called == ["parser"]


def test_the_daemon_starts_without_aiohttp() -> None:
    """No module that the daemon needs for its first delivery imports aiohttp, which would take a
    quarter of the start's CPU time, or the parser of command lines.
    """
    shown = "import sys, consumer.cli.run; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", shown], capture_output=True, check=True)
    modules = set(done.stdout.decode().split())
    assert {"consumer.app", "consumer.admin", "aiokafka", "pycurl"} <= modules
    assert not {"aiohttp", "typer", "rich"} & modules
