"""Files that are exchanged while they are read: one generation, or none."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.documents.files import ATTEMPTS, Files, files, read_consistently
from consumer.errors import ConfigError, Diagnostic
from support.mount import Mount

Change = Callable[[Path], object]


def text(known: Files, path: Path) -> str:
    """What a file holds."""
    with known.open(path) as stream:
        return stream.read().decode()


def read(*paths: Path) -> list[str]:
    """What these files hold."""
    return [text(files(), path) for path in paths]


def pauses() -> tuple[list[float], Callable[[float], None]]:
    """A list, and a `sleep` that only writes it."""
    slept: list[float] = []
    return slept, slept.append


def test_a_mount_that_is_exchanged_between_two_files_is_read_again(tmp_path: Path) -> None:
    """If a mount is exchanged between two files, both are read from the new generation."""
    mount = Mount(tmp_path / "m", {"user": "old", "password": "old"})
    tries = 0

    def pair() -> list[str]:
        nonlocal tries
        tries += 1
        user = read(mount.folder / "user")
        if tries == 1:
            mount.exchange({"user": "new", "password": "new"})
        return user + read(mount.folder / "password")

    assert read_consistently(pair) == ["new", "new"]
    assert tries == 2


@pytest.mark.parametrize("name", ["..data", "current"])
def test_paths_through_one_link_stay_in_one_folder(tmp_path: Path, name: str) -> None:
    """Files behind one link are read from one folder, even if the link is exchanged meanwhile,
    however often.

    A mount is complete with that; with any other link files that are not behind it may have been
    exchanged as well.
    """
    for folder in ("one", "two"):
        (tmp_path / folder).mkdir()
        for file in ("a", "b"):
            (tmp_path / folder / file).write_text(folder)
    link = tmp_path / name
    link.symlink_to("one")
    known = Files()
    assert text(known, link / "a") == "one"
    link.unlink()
    link.symlink_to("two")
    assert text(known, link / "b") == "one"
    assert known.changed() == ("" if name == "..data" else str(link))
    assert text(Files(), link / "b") == "two"


def test_a_name_that_only_one_generation_has_is_read_in_that_one(tmp_path: Path) -> None:
    """A name that the mount has no link for yet is read in the folder that was listed, even if the
    mount leads elsewhere by then.
    """
    mount = Mount(tmp_path / "m", {"a": "one"})
    later = mount.folder / "..later"
    later.mkdir()
    (later / "new").write_text("two")
    data = mount.folder / "..data"
    first = data.readlink()
    data.unlink()
    data.symlink_to(later.name)
    known = Files()
    assert "new" in known.names(mount.folder)
    data.unlink()
    data.symlink_to(first)
    assert text(known, mount.folder / "new") == "two"
    assert known.changed() == ""


def test_a_link_to_a_file_that_is_exchanged_is_noticed(tmp_path: Path) -> None:
    """A link to a file that is exchanged before or after another one was read causes a new read."""
    for name in ("one", "two"):
        (tmp_path / name).write_text(name)
    for name in ("a", "b"):
        (tmp_path / name).symlink_to("one")
    known = Files()
    assert text(known, tmp_path / "a") == "one"
    for name in ("a", "b"):
        (tmp_path / name).unlink()
        (tmp_path / name).symlink_to("two")
    assert text(known, tmp_path / "b") == "two"
    assert known.changed() == str(tmp_path / "a")


def test_a_mount_has_the_names_of_its_generation(tmp_path: Path) -> None:
    """A mount has the names of its new generation before their links exist, and what lies beside
    the mount's links stays.
    """
    mount = Mount(tmp_path / "m", {"a.yaml": "a", "b.yaml": "b", "sub/c.yaml": "c"})
    (mount.folder / "own.yaml").write_text("own")
    new = mount.folder / "..new"
    new.mkdir()
    (new / "b.yaml").write_text("b2")
    (new / "d.yaml").write_text("d")
    mount._rename_to(new)
    known = Files()
    visible = [name for name in known.names(mount.folder) if not name.startswith(".")]
    assert visible == ["b.yaml", "d.yaml", "own.yaml"]
    assert text(known, mount.folder / "d.yaml") == "d"
    assert known.changed() == ""
    (mount.folder / "d.yaml").symlink_to("..data/d.yaml")
    (mount.folder / "a.yaml").unlink()
    assert known.changed() == ""


CHANGES: list[Change] = [
    lambda folder: (folder / "a").write_text("changed"),
    lambda folder: (folder / "new").write_text("x"),
    lambda folder: (folder / "a").unlink(),
    lambda folder: os.replace(folder / "b", folder / "a"),  # noqa: PTH105
    lambda folder: folder.rename(folder.with_name("away")),
    lambda folder: (folder / "missing").write_text("here"),
]


@pytest.mark.parametrize("change", CHANGES)
def test_every_change_is_noticed(tmp_path: Path, change: Change) -> None:
    """A file that was written, replaced, removed or created, and a folder that was removed, is
    noticed.
    """
    folder = tmp_path / "plain"
    folder.mkdir()
    (folder / "a").write_text("a")
    (folder / "b").write_text("b")
    known = Files()
    known.names(folder)
    with pytest.raises(FileNotFoundError):
        known.open(folder / "missing")
    for name in ("a", "b"):
        known.open(folder / name).close()
    assert known.changed() == ""
    change(folder)
    assert known.changed() != ""


def test_a_file_that_was_read_twice_must_be_the_same(tmp_path: Path) -> None:
    """A file that is read twice in one load must be the same both times."""
    file = tmp_path / "a"
    file.write_text("one")
    known = Files()
    known.open(file).close()
    file.write_text("another")
    known.open(file).close()
    assert known.changed() == str(file)


def test_a_folder_that_comes_meanwhile_is_read(tmp_path: Path) -> None:
    """A folder that appears during a load is read, as between the two renames that exchange a
    folder.
    """
    slept, sleep = pauses()
    folder = tmp_path / "hooks"

    def names() -> list[str]:
        try:
            return files().names(folder)
        except OSError as error:
            if not slept:
                folder.mkdir()
            raise ConfigError([Diagnostic("no such file", "make it")]) from error

    assert read_consistently(names, sleep=sleep) == []
    assert len(slept) == 1


def test_what_never_stands_still_is_refused(tmp_path: Path) -> None:
    """Files that change without end are refused, after growing pauses, with one sentence that names
    the file.
    """
    file = tmp_path / "a.yaml"
    file.write_text("")
    slept, sleep = pauses()

    def changing() -> None:
        read(file)
        file.write_text(file.read_text() + "x")

    with pytest.raises(ConfigError) as caught:
        read_consistently(changing, sleep=sleep)
    [diagnostic] = caught.value.diagnostics
    assert diagnostic.file == str(file)
    assert len(slept) == ATTEMPTS - 1
    assert slept == sorted(slept)
    assert sum(slept) < 10


def test_a_refusal_of_what_stands_still_is_final(tmp_path: Path) -> None:
    """A refusal of files that have not changed is final."""
    slept, sleep = pauses()

    def refuse() -> None:
        read(_written(tmp_path / "a"))
        raise ConfigError([Diagnostic("is wrong", "correct it")])

    with pytest.raises(ConfigError, match="is wrong"):
        read_consistently(refuse, sleep=sleep)
    assert slept == []


def _written(file: Path) -> Path:
    if not file.exists():
        file.write_text("a")
    return file


def test_a_pipe_can_be_read() -> None:
    """A pipe can be read as a settings file, as in `--config <(command)`."""
    reading, writing = os.pipe()
    os.write(writing, b"text")
    os.close(writing)
    try:
        assert read_consistently(lambda: read(Path(f"/dev/fd/{reading}"))) == ["text"]
    finally:
        os.close(reading)


NAMES = st.sampled_from(["a", "b", "..", ".", "link", "up", "abs", "loop", "none", ""])


@given(steps=st.lists(NAMES, max_size=6))
def test_a_path_is_resolved_as_the_system_does_it(
    steps: list[str], tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A path is resolved as the system does it: links, links in the middle, `..` behind a link, and
    what does not exist; a circle of links cannot be opened.
    """
    root = Path(os.path.realpath(tmp_path_factory.mktemp("tree")))
    (root / "a" / "b").mkdir(parents=True)
    (root / "link").symlink_to("a/b")
    (root / "a" / "up").symlink_to("../a")
    (root / "a" / "b" / "abs").symlink_to(root / "a")
    (root / "loop").symlink_to("loop")
    path = "/".join([str(root), *steps])
    if "loop" in steps:
        assert Files().mode(path) == 0 or ".." in steps
    else:
        assert Files().resolve(path) == os.path.realpath(path)
