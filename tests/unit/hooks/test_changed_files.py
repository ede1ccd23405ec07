"""A folder that is read again: what has not changed is neither read nor replaced."""

import json
import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from consumer.documents.reader import read_documents
from consumer.documents.tree import Document
from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import SETTLED_SECONDS, FileSource, load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.source import Delete, Upsert
from support.fakes import FakeClock

AHEAD_SECONDS = 1_000 * SETTLED_SECONDS
"""By so much the clock of a test is ahead of the time at which its files are written."""


class Folder:
    """Definition files, and their loads."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.environ = {"KEY": "first"}
        self.clock = FakeClock()
        self.set_time(time.time() + AHEAD_SECONDS)
        self.read: list[str] = []
        """Names of the files that were read since the last load began."""

    def write(self, name: str, *hooks: str, key: str = "") -> None:
        """Write hooks with these ids; `key` is a fixed header."""
        headers = [{"key": "X-Key", "source": "fixed", "value": key}] if key else []
        found = [
            {"id": hook, "trigger": "event", "uri": "https://a.example/", "headers": headers}
            for hook in hooks
        ]
        (self.path / name).write_text("[" + ",\n".join(map(json.dumps, found)) + "]")

    def set_time(self, now: float) -> None:
        """Let it be this time, in seconds since 1970."""
        self.clock.set_back(self.clock.now() - now)

    def load(self, before: FileSource | None = None) -> FileSource:
        """Read the folder."""
        self.read.clear()
        reader = SecretReader(self.environ, ["KEY"])
        return load_hooks(self.path, LoadContext(reader), before, self.clock)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Folder:
    """One with three files, whose reads are noted."""
    found = Folder(tmp_path)

    def noting(file: Path) -> Iterator[Document]:
        found.read.append(file.name)
        return read_documents(file)

    monkeypatch.setattr("consumer.hooks.loader.read_documents", noting)
    found.write("a.json", "a1", "a2")
    found.write("b.json", "b1")
    found.write("c.json", "c1", key="${env:KEY}")
    return found


def changes(before: FileSource | None, after: FileSource) -> tuple[set[str], set[str]]:
    """Ids of the upserts and of the deletes."""
    found = list(after.changes(before))
    return (
        {change.hook.id for change in found if isinstance(change, Upsert)},
        {change.hook_id for change in found if isinstance(change, Delete)},
    )


def test_the_first_load_is_an_upsert_of_each_hook(folder: Folder) -> None:
    """A source begins with its snapshot."""
    assert changes(None, folder.load()) == ({"a1", "a2", "b1", "c1"}, set())


def test_only_a_changed_file_is_read_and_only_its_changed_hooks_change(folder: Folder) -> None:
    """The others are the same objects, so that nothing that depends on them is made anew."""
    before = folder.load()
    folder.write("a.json", "a1", "a3")
    after = folder.load(before)
    assert folder.read == ["a.json"]
    assert changes(before, after) == ({"a3"}, {"a2"})
    assert set(after.hooks) == {"a1", "a3", "b1", "c1"}
    assert after.hooks["a1"] is before.hooks["a1"]
    assert after.hooks["b1"] is before.hooks["b1"]


def test_an_unchanged_folder_changes_nothing(folder: Folder) -> None:
    """No file is read, and no hook is replaced."""
    before = folder.load()
    after = folder.load(before)
    assert folder.read == []
    assert changes(before, after) == (set(), set())


def test_a_file_that_went_takes_its_hooks_along(folder: Folder) -> None:
    """A hook may move to another file meanwhile: that is no delete."""
    before = folder.load()
    (folder.path / "a.json").unlink()
    folder.write("d.json", "a1")
    after = folder.load(before)
    assert changes(before, after) == ({"a1"}, {"a2"})
    assert after.hooks["a1"].file == str(folder.path / "d.json")


def test_an_id_of_an_unchanged_file_is_already_used(folder: Folder) -> None:
    """The file that was not read again is named with the line of the hook."""
    before = folder.load()
    folder.write("c.json", "a2")
    with pytest.raises(ConfigError, match=r"c\.json:1: .*a2 is already used in .*/a\.json:2"):
        folder.load(before)


def test_a_refused_load_is_not_remembered(folder: Folder) -> None:
    """The next load starts from the hooks in force, and tells the problem again."""
    before = folder.load()
    folder.write("a.json", "Bad Id")
    for _ in range(2):
        with pytest.raises(ConfigError, match="is not a hook id"):
            folder.load(before)
    folder.write("a.json", "a1", "a2")
    assert changes(before, folder.load(before)) == (set(), set())


def test_a_rotated_secret_reads_every_file_again(folder: Folder) -> None:
    """Only the hooks that it stands in are replaced."""
    before = folder.load()
    folder.environ["KEY"] = "second"
    after = folder.load(before)
    assert folder.read == ["a.json", "b.json", "c.json"]
    assert changes(before, after) == ({"c1"}, set())
    assert after.hooks["c1"].headers[0].value.text == "second"


def test_a_secret_that_may_not_be_read_any_more_refuses_the_load(folder: Folder) -> None:
    """A definition that was right before is checked against the secrets of now."""
    before = folder.load()
    del folder.environ["KEY"]
    with pytest.raises(ConfigError, match=r"c\.json:1: .*KEY is not set"):
        folder.load(before)


def test_a_file_that_was_just_written_is_read_again(folder: Folder) -> None:
    """A second write within the step of the file system's clock would leave the same time."""
    folder.set_time(time.time())
    before = folder.load()
    folder.set_time(time.time() + AHEAD_SECONDS)
    folder.load(before)
    assert folder.read == ["a.json", "b.json", "c.json"]


def test_a_file_of_equal_size_and_time_in_the_place_of_another_is_read(folder: Folder) -> None:
    """A rename brings another file, and its identity is a part of the stamp."""
    before = folder.load()
    file, other = folder.path / "b.json", folder.path / ".b"
    other.write_text(file.read_text().replace("b1", "b2"))
    stat = file.stat()
    os.utime(other, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    other.replace(file)
    assert changes(before, folder.load(before)) == ({"b2"}, {"b1"})
