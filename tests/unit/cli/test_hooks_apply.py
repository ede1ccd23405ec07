"""`hookstream hooks apply` and `delete`: what is written, and what is refused."""

import json
from pathlib import Path

import pytest

from support.live_command import PING, apply, define, hooks, lines, live
from support.live_topics import AT, LiveTopicsHarness


def test_apply_writes_what_differs(topics: LiveTopicsHarness, folder: Path) -> None:
    """`apply` writes new and changed definitions only, says which fields changed, and leaves out
    those that are in force already.
    """
    topics.define(PING, {**PING, "id": "other"})
    changed = {**PING, "uri": "https://a.example.com/pong", "timeout": "5s"}
    define(folder, changed, {**PING, "id": "other"}, {**PING, "id": "zeta"})
    created, change = lines(apply(folder, "--yes", "-m", "spring"))
    assert (created["hook"], created["action"], created["revision"]) == ("zeta", "created", 1)
    assert (change["hook"], change["action"], change["seen"], change["revision"]) == (
        "ping", "changed", 1, 2,
    )  # fmt: skip
    assert change["fields"] == [
        {"field": "uri", "before": PING["uri"], "after": "https://a.example.com/pong"},
        {"field": "timeout", "before": None, "after": "5s"},
    ]
    record = topics.table().records["ping"]
    assert (record.by, record.comment) == ("ayse", "spring")
    assert live(topics) == {"ping": 2, "other": 1, "zeta": 1}


def test_apply_twice_changes_nothing(topics: LiveTopicsHarness, folder: Path) -> None:
    """A second `apply` of the same files writes nothing, whatever types another writer gave to the
    numbers, and whether or not it wrote nulls.
    """
    limited = {**PING, "rate_limit": {"requests": 50, "per": "1s", "burst": 50}, "enabled": True}
    topics.define({**limited, "name": None})
    define(folder, limited)
    done = apply(folder, "--yes")
    assert (done.returncode, done.stdout) == (0, "")
    assert "nothing to change" in done.stderr
    assert live(topics) == {"ping": 1}


def test_apply_refuses_with_file_and_line(topics: LiveTopicsHarness, folder: Path) -> None:
    """One bad definition refuses the whole `apply` with file, line, hook and field, and exit
    code 2.
    """
    (folder / "new" / "hooks.yaml").write_text(
        "id: good\ntrigger: event\nuri: https://a.example.com\n---\n"
        "id: bad\ntrigger: evnt\nuri: https://{host}/x\n---\n"
        "id: good\ntrigger: event\nuri: http://10.0.0.1/\n"
    )
    done = apply(folder, "--yes")
    assert done.returncode == 2
    assert "new/hooks.yaml:6: hook bad: trigger: is not one of the allowed words" in done.stderr
    assert "new/hooks.yaml:7: hook bad: uri: has a brace before its path" in done.stderr
    assert "new/hooks.yaml:9: hook good: id: good is already used in new/hooks.yaml:1" in (
        done.stderr
    )
    assert "new/hooks.yaml:11: hook good: uri: no request may go there" in done.stderr
    assert not topics.written


@pytest.mark.parametrize("path", ["missing", "empty"])
def test_apply_of_nothing_deletes_nothing(
    topics: LiveTopicsHarness, folder: Path, path: str
) -> None:
    """A folder that is missing or empty is refused: with --prune it would delete every hook."""
    topics.define(PING)
    (folder / "empty").mkdir()
    done = hooks(folder, "apply", "-f", path, "--prune", "--yes")
    assert done.returncode == 2
    assert live(topics) == {"ping": 1}


def test_apply_reads_one_file(topics: LiveTopicsHarness, folder: Path) -> None:
    """`apply -f` takes a file, too."""
    (folder / "one.json").write_text(json.dumps(PING))
    [line] = lines(hooks(folder, "apply", "-f", "one.json", "--yes"))
    assert line["revision"] == 1
    assert live(topics) == {"ping": 1}


def test_prune_deletes_what_has_no_file(topics: LiveTopicsHarness, folder: Path) -> None:
    """`--prune` deletes live hooks that are not in the folder; without it they stay."""
    topics.define(PING, {**PING, "id": "old"})
    define(folder, PING)
    assert lines(apply(folder, "--yes")) == []
    [line] = lines(apply(folder, "--yes", "--prune"))
    assert (line["hook"], line["action"], line["revision"]) == ("old", "deleted", 2)
    assert live(topics) == {"ping": 1, "old": 0}


def test_a_dry_run_writes_nothing(topics: LiveTopicsHarness, folder: Path) -> None:
    """`--dry-run` shows the difference and writes nothing."""
    define(folder, PING)
    [line] = lines(apply(folder, "--dry-run"))
    assert (line["action"], line["revision"]) == ("created", None)
    assert not topics.written["hookstream.hooks"]


@pytest.mark.parametrize(
    "words", [("apply", "-f", "new"), ("delete", "ping"), ("rollback", "ping", "--to", "1")]
)
def test_without_a_terminal_nothing_is_guessed(
    topics: LiveTopicsHarness, folder: Path, words: tuple[str, ...]
) -> None:
    """Without a terminal to ask on, a change wants --yes and otherwise ends with exit code 2."""
    topics.define(PING)
    define(folder, {**PING, "timeout": "5s"})
    done = hooks(folder, *words)
    assert done.returncode == 2
    assert "add --yes" in done.stderr
    assert live(topics) == {"ping": 1}


def test_of_two_writers_one_is_told(topics: LiveTopicsHarness, folder: Path) -> None:
    """If another writer comes between the look and the write, nothing is written; the sentence
    says who wrote what when, and what to do.
    """
    topics.define(PING)
    define(folder, {**PING, "timeout": "5s"}, {**PING, "id": "fresh"})
    topics.before_write = lambda: topics.define({**PING, "timeout": "9s"}, by="mehmet")
    done = apply(folder, "--yes")
    assert done.returncode == 1
    assert f"revision 2 was written by mehmet at {AT}; you saw revision 1" in done.stderr
    assert "`hookstream hooks history`, and run the command again" in done.stderr
    assert live(topics) == {"ping": 2}


def test_a_poisoned_record_is_replaced_or_deleted(topics: LiveTopicsHarness, folder: Path) -> None:
    """An `apply` of the definition that was in force, or a `delete`, repairs a poisoned hook."""
    topics.define(PING)
    for key in (b"ping", b"junk"):
        topics.append("hookstream.hooks", (key, b"\xff", []))
    define(folder, PING)
    [line] = lines(apply(folder, "--yes"))
    assert (line["hook"], line["revision"], line["fields"]) == ("ping", 2, [])
    assert hooks(folder, "delete", "junk", "--yes").returncode == 0
    assert not topics.table().unreadable
