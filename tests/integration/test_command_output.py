"""Standard output that cannot be written, for every command."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import IO, NamedTuple

import pytest
import typer

from consumer.cli.commands import commands
from support.broker import free_port
from support.command import CLICK, EVENT, SECRETS, TIME_LIMIT, environment, write_config

FULL = Path("/dev/full")
"""A file on a disk that has no room: each write fails."""
SENTENCE = "error: standard output cannot be written: No space left on device\n"
ARGUMENTS = {
    "run": ["--help"],
    "check": [],
    "sample": ["click-analytics", "--event", "event.json"],
    "explain": ["--event", "event.json"],
    "send": ["click-analytics", "--event", "event.json"],
    "demo": [],
    "hooks list": ["--help"],  # tests/kafka/test_hooks_commands.py has these with a broker
    "hooks show": ["--help"],
    "hooks apply": ["--help"],
    "hooks delete": ["--help"],
    "hooks export": ["--help"],
    "hooks history": ["--help"],
    "hooks rollback": ["--help"],
    "hooks seal": ["--new-key"],
    "deliveries list": ["--help"],  # tests/kafka/test_deliveries_command.py has these themselves
    "deliveries tail": ["--help"],
    "reports": ["--help"],
    "dead-letters list": ["--help"],  # tests/kafka/test_dead_letters_command.py has the list itself
    "dead-letters replay": ["--help"],
    "panel": ["--help"],
    "panel token": ["ayse", "--role", "editor"],
    "schema hooks": [],
    "schema settings": [],
}
"""What each command is given here, so that it prints something; some need Kafka to print more."""
OPTIONS = {"": ["--help"], " ": ["--version"]}


def _names(group: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        assert command.callback is not None
        yield prefix + (command.name or command.callback.__name__)
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        own = sub.typer_instance.registered_callback
        if own is not None and own.invoke_without_command is True:  # a command with commands
            yield f"{prefix}{sub.typer_instance.info.name}"
        yield from _names(sub.typer_instance, f"{sub.typer_instance.info.name} ")


class Ended(NamedTuple):
    """How a command ended, and what it said on standard error."""

    code: int
    stderr: str


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder with settings, a hook to a port that refuses connections, and an event."""
    write_config(tmp_path, {**CLICK, "uri": "http://127.0.0.1:1/x", "uri_parameters": {}})
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    return tmp_path


def _run(
    folder: Path, command: str, stdout: IO[bytes], stderr: IO[bytes] | int = subprocess.PIPE
) -> Ended:
    words = [*command.split(), *(ARGUMENTS | OPTIONS)[command]]
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *words],
        cwd=folder,
        env=environment(SECRETS),
        stdin=subprocess.DEVNULL,
        stdout=stdout,
        stderr=stderr,
        timeout=TIME_LIMIT,
        check=False,
    )
    return Ended(done.returncode, (done.stderr or b"").decode())


def test_every_command_is_tried_here() -> None:
    """Every command of the program has its standard output tested here."""
    assert set(ARGUMENTS) == set(_names(commands))


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
@pytest.mark.parametrize("command", [*ARGUMENTS, *OPTIONS])
def test_a_full_disk_is_told_in_one_sentence(folder: Path, command: str) -> None:
    """A command whose output does not fit on the disk says so, without a traceback, and fails."""
    with FULL.open("wb") as full:
        assert _run(folder, command, full) == (1, SENTENCE)


@pytest.mark.parametrize("command", [*ARGUMENTS, *OPTIONS])
def test_a_reader_that_went_away_is_no_news(folder: Path, command: str) -> None:
    """A command whose output is not read to its end prints no error and ends."""
    with subprocess.Popen([sys.executable, "-c", ""], stdin=subprocess.PIPE) as reader:
        assert reader.stdin is not None
        reader.wait(TIME_LIMIT)
        assert _run(folder, command, reader.stdin) == (1, "")


@pytest.mark.skipif(not FULL.exists(), reason="this system has no /dev/full")
def test_an_exit_code_does_not_need_standard_error(folder: Path) -> None:
    """A problem that cannot be printed still ends in its exit code."""
    write_config(folder, {**CLICK, "uri": "no URI"})
    with FULL.open("wb") as full:
        assert _run(folder, "check", full, full).code == 2


@pytest.mark.parametrize("number", [1, 2])
def test_a_closed_stream_ends_no_command(tmp_path: Path, number: int) -> None:
    """A command whose standard output or standard error is closed ends with its own exit code,
    though a connection would get that number.
    """
    write_config(tmp_path, CLICK, kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    command = [sys.executable, "-m", "consumer", "deliveries", "list"]
    done = subprocess.run(
        ["sh", "-c", f'exec "$@" {number}>&-', "sh", *command],
        cwd=tmp_path,
        env=environment(SECRETS),
        capture_output=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    assert done.returncode == 1, done.stderr
