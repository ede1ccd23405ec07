"""The jars' cache is filled once, complete or absent, and safe for runs side by side."""

import threading
from pathlib import Path

import pytest

from support.jars import MavenError, fetch_with_maven, kafka_jars


class Fetch:
    """Stands in for Maven: counts its calls, and waits inside for as long as a test wants."""

    def __init__(self, *, held: bool = False) -> None:
        self.times = 0
        self.inside = threading.Event()
        self.go_on = threading.Event()
        if not held:
            self.go_on.set()

    def __call__(self, folder: Path) -> None:
        """Put one jar there."""
        self.times += 1
        self.inside.set()
        assert self.go_on.wait(10)
        (folder / "kafka.jar").write_bytes(b"jar")


def test_the_second_call_fetches_nothing(tmp_path: Path) -> None:
    """A filled cache needs no Maven."""
    fetch = Fetch()
    first = kafka_jars(tmp_path, fetch)
    assert kafka_jars(tmp_path, fetch) == first
    assert fetch.times == 1
    assert (first / "kafka.jar").exists()


def test_a_failed_fetch_leaves_nothing_that_looks_complete(tmp_path: Path) -> None:
    """After a failed fetch the next call fetches again."""

    def fail(folder: Path) -> None:
        (folder / "half.jar").write_bytes(b"half")
        raise MavenError("no network")

    with pytest.raises(MavenError):
        kafka_jars(tmp_path, fail)
    jars = kafka_jars(tmp_path, Fetch())
    assert [jar.name for jar in jars.iterdir()] == ["kafka.jar"]


def test_runs_side_by_side_fetch_once(tmp_path: Path) -> None:
    """Of two runs side by side the second waits for the first one's lock and finds the jars."""
    slow, late = Fetch(held=True), Fetch()
    first = threading.Thread(target=kafka_jars, args=(tmp_path, slow))
    second = threading.Thread(target=kafka_jars, args=(tmp_path, late))
    first.start()
    assert slow.inside.wait(10)
    second.start()
    slow.go_on.set()
    first.join(10)
    second.join(10)
    assert (slow.times, late.times) == (1, 0)


def test_a_missing_tool_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without Maven the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MavenError, match="java, mvn"):
        fetch_with_maven(tmp_path)


def test_mavens_words_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Maven fails, the error holds its output."""
    for tool in ("java", "mvn"):
        program = tmp_path / tool
        program.write_text("#!/bin/sh\necho the repository is closed\nexit 1\n")
        program.chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(MavenError, match="the repository is closed"):
        fetch_with_maven(tmp_path)
