"""`hookstream hooks list`, `show`, `export`, `history` and `rollback`."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from consumer.control.changes import WantedChange
from consumer.control.status import ReplicaStatus
from support.command import CLICK, call_command, write_config
from support.live_command import PING, apply, define, hooks, lines, live
from support.live_topics import AT, LiveTopicsHarness


def test_what_is_exported_can_be_applied(topics: LiveTopicsHarness, folder: Path) -> None:
    """An export is what `apply` reads: applied again it changes nothing, and applied after a loss
    of the topic it restores every definition.
    """
    topics.define(CLICK, {**PING, "rate_limit": {"requests": 5, "per": "1s", "burst": 5}})
    assert hooks(folder, "export", "-o", "out").returncode == 0
    names = sorted(path.name for path in (folder / "out").iterdir())
    assert names == ["click-analytics.yaml", "ping.yaml"]
    assert "requests: 5\n" in (folder / "out" / "ping.yaml").read_text()
    assert lines(hooks(folder, "apply", "-f", "out", "--prune", "--yes")) == []
    topics.written.clear()
    assert len(lines(hooks(folder, "apply", "-f", "out", "--yes"))) == 2
    (folder / "all.yaml").write_text(hooks(folder, "export").stdout)
    assert lines(hooks(folder, "apply", "-f", "all.yaml", "--prune", "--yes")) == []
    assert len(list(yaml.safe_load_all(hooks(folder, "export", "ping").stdout))) == 1


def test_an_export_stays_in_its_folder(topics: LiveTopicsHarness, folder: Path) -> None:
    """A record whose id is a path is left out of an export, with a note."""
    topics.define({**PING, "id": "../evil"}, PING)
    done = hooks(folder, "export", "-o", "out")
    assert "left out: '../evil' is not a hook id" in done.stderr
    assert not (folder / "evil.yaml").exists()
    assert (folder / "out" / "ping.yaml").exists()


def test_history_and_rollback(topics: LiveTopicsHarness, folder: Path) -> None:
    """`history` tells who, when, why and what differs; `rollback` makes an earlier revision the
    newest as a new one, also after a deletion.
    """
    topics.define(PING)
    define(folder, {**PING, "timeout": "5s"})
    apply(folder, "--yes", "-m", "slower")
    assert hooks(folder, "delete", "ping", "--yes", "--by", "mehmet").returncode == 0
    [line] = lines(hooks(folder, "rollback", "ping", "--to", "1", "--yes", "--by", "zeynep"))
    assert (line["action"], line["revision"]) == ("restored", 4)
    found = lines(hooks(folder, "history", "ping"))
    told = [(one["revision"], one["action"], one["by"], one["comment"]) for one in found]
    assert told == [
        (1, "created", "ayse", ""),
        (2, "changed", "ayse", "slower"),
        (3, "deleted", "mehmet", ""),
        (4, "restored", "zeynep", "revision 1 restored"),
    ]
    assert {one["at"] for one in found} == {AT}
    assert found[1]["fields"] == [{"field": "timeout", "before": None, "after": "5s"}]
    [shown] = lines(hooks(folder, "show", "ping", "--revision", "2"))
    assert (shown["definition"]["timeout"], shown["by"]) == ("5s", "ayse")
    [newest] = lines(hooks(folder, "show", "ping"))
    assert (newest["revision"], newest["definition"]) == (4, PING)


@pytest.mark.parametrize(
    ("revision", "sentence"),
    [
        ("7", "has no revision 7 of hook ping; newest there: 1, 2"),
        ("2", "revision 2 of hook ping is its deletion"),
    ],
)
def test_a_revision_that_cannot_be_restored_is_told(
    topics: LiveTopicsHarness, folder: Path, revision: str, sentence: str
) -> None:
    """A revision that is not there, or is a deletion, is not restored, with exit code 1."""
    topics.define(PING)
    topics.commit([WantedChange("ping", None, None)], "ayse", "")
    done = hooks(folder, "rollback", "ping", "--to", revision, "--yes")
    assert done.returncode == 1
    assert sentence in done.stderr


def test_an_earlier_revision_is_checked_again(topics: LiveTopicsHarness, folder: Path) -> None:
    """A rollback to a definition that is no longer valid is refused with its problem."""
    topics.define({**PING, "trigger": "gone"})
    topics.define(PING)
    done = hooks(folder, "rollback", "ping", "--to", "1", "--yes")
    assert done.returncode == 2
    assert "trigger: is not one of the allowed words" in done.stderr
    assert live(topics) == {"ping": 2}


def test_list_tells_states_and_problems(topics: LiveTopicsHarness, folder: Path) -> None:
    """`list` tells on, off and problem with the reason: a record that cannot be read, a definition
    that is refused, an id that a file has, too.
    """
    write_config(folder, {**PING, "id": "filed"}, hooks={"live": True})
    topics.define(PING, {**PING, "id": "off", "enabled": False}, {**PING, "id": "filed"})
    topics.define({**PING, "id": "refused", "trigger": "gone"}, {**PING, "id": "gone"})
    topics.commit([WantedChange("gone", None, None)], "ayse", "")
    topics.append("hookstream.hooks", (b"poisoned", b"\xff", []))
    rows = {line["hook"]: line for line in lines(hooks(folder, "list"))}
    states = {hook_id: row["state"] for hook_id, row in rows.items()}
    assert states == {
        "filed": "problem", "off": "off", "ping": "on", "poisoned": "problem", "refused": "problem",
    }  # fmt: skip
    assert rows["ping"] == {
        "hook": "ping", "state": "on", "trigger": "event", "revision": 1, "by": "ayse", "at": AT,
        "problem": None,
    }  # fmt: skip
    assert "config/hooks/hooks.yaml, which wins" in rows["filed"]["problem"]
    assert "is no JSON object" in rows["poisoned"]["problem"]
    assert "trigger: is not one of the allowed words" in rows["refused"]["problem"]


def test_an_unknown_hook_is_told_with_the_nearest(topics: LiveTopicsHarness, folder: Path) -> None:
    """A misspelt id ends with exit code 2 and the nearest one."""
    topics.define(PING)
    for words in (("show", "pign"), ("delete", "pign", "--yes"), ("export", "pign"),
                  ("history", "pign")):  # fmt: skip
        done = hooks(folder, *words)
        assert done.returncode == 2
        assert "did you mean ping?" in " ".join(done.stderr.split())


def _status(name: str, offset: int, at: str) -> ReplicaStatus:
    return ReplicaStatus(
        replica=name, version="1", started_at=AT, at=at, hooks=2, hooks_offset=offset,
        problem_count=0, problems=(), partitions={}, lag={}, in_flight=0, open_circuits=(),
        learned_rates={},
    )  # fmt: skip


def test_list_replicas_says_where_the_newest_is_in_force(
    topics: LiveTopicsHarness, folder: Path
) -> None:
    """`list --replicas` says for each replica that runs whether the newest record is applied there;
    one that stopped, or was silent for long, is left out.
    """
    topics.define(PING, {**PING, "id": "b"})
    now = datetime.now(UTC).isoformat()
    for status in (_status("one", 1, now), _status("two", 0, now), _status("old", 1, AT)):
        topics.append("hookstream.status", status.write())
    topics.append("hookstream.status", _status("stopped", 1, now).write())
    topics.append("hookstream.status", (b"stopped", None, []))
    done = hooks(folder, "list", "--replicas")
    assert [(line["replica"], line["in_force"]) for line in lines(done)] == [
        ("one", True),
        ("two", False),
    ]
    assert "1 of 2 had not applied the newest record" in done.stderr


def test_a_missing_topic_is_told(topics: LiveTopicsHarness, folder: Path) -> None:
    """Without the topic a command ends with exit code 1 and one sentence."""
    topics.missing = True
    done = hooks(folder, "list")
    assert done.returncode == 1
    assert done.stderr == "error: there is no topic hookstream.hooks: start the daemon once\n"


def test_settings_without_live_hooks_are_noticed(topics: LiveTopicsHarness, folder: Path) -> None:
    """If hooks.live is not on, the commands say that a daemon with these settings takes no notice,
    and `check` of live settings says that it looks at files only.
    """
    write_config(folder, PING)
    topics.define(PING)
    assert "hooks.live is not on" in hooks(folder, "list").stderr
    assert "live definitions" not in call_command("check", folder=folder).stderr
    write_config(folder, PING, hooks={"live": True})
    assert "hooks.live is not on" not in hooks(folder, "list").stderr
    done = call_command("check", folder=folder)
    assert "live definitions are not looked at here" in done.stderr


def test_files_are_the_default_of_sample(topics: LiveTopicsHarness, folder: Path) -> None:
    """Without --live `sample` looks at files, and says how to look at the topic."""
    topics.define(PING)
    done = call_command("sample", "ping", folder=folder)
    assert done.returncode == 2
    assert "live ones are looked at with --live" in " ".join(done.stderr.split())


def test_explain_looks_at_live_definitions(topics: LiveTopicsHarness, folder: Path) -> None:
    """`explain --live` looks at all live definitions, or at one, and leaves out those that are
    refused with a note; without the flag it says so.
    """
    topics.define(PING, {**PING, "id": "off", "enabled": False}, {**PING, "id": "b", "trigger": ""})
    (folder / "event.json").write_text('{"id": "e1", "data": {"event_key": "k"}}')
    words = ("explain", "--event", "event.json", "--trigger", "event")
    done = call_command(*words, "--live", folder=folder)
    assert [(line["hook"], line["fires"]) for line in lines(done)] == [
        ("ping", True),
        ("off", False),
    ]
    assert "hook b left out: hookstream.hooks, revision 1: hook b: trigger: is not" in done.stderr
    [line] = lines(call_command(*words, "off", "--live", folder=folder))
    assert line["stop"] == "disabled"
    done = call_command(*words, folder=folder)
    assert (done.stdout, "looked at with --live" in done.stderr) == ("", True)
