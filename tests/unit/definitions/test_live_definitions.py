"""Live definitions beside files: which one is in force, and what is refused."""

import pytest

from consumer.hooks.table import Hook
from support.definitions_harness import DefinitionsHarness, definition, naming_secret


def secret_of(hook: Hook) -> str:
    """The text of the hook's first header."""
    return hook.headers[0].value.text


def problem_of(harness: DefinitionsHarness, hook_id: str) -> str:
    """Why a definition is not in force as it was written."""
    [problem] = [one for one in harness.definitions.live.problems if one.hook == hook_id]
    return problem.message


def test_a_record_is_in_force_without_a_reload() -> None:
    """A definition that is written, changed and deleted is in force each time, and its neighbours
    stay the same objects.
    """
    harness = DefinitionsHarness(definition("file"))
    harness.put(definition("a", "/1"), definition("b"))
    neighbour = harness.hooks["b"]
    harness.put(definition("a", "/2"), revision=2)
    assert harness.targets == {"file": "/", "a": "/2", "b": "/"}
    assert harness.hooks["b"] is neighbour
    assert harness.hooks["a"].file == "hookstream.hooks@3"
    harness.delete("a")
    assert set(harness.hooks) == {"file", "b"}
    assert harness.definitions.live.offset == 4


def test_a_deletion_of_nothing_changes_nothing() -> None:
    """A tombstone may come first, and for a hook that never was."""
    harness = DefinitionsHarness(definition("file"))
    view = harness.definitions.view
    harness.delete("a")
    harness.delete("file")
    assert harness.definitions.view is view
    assert harness.definitions.live.problem_count == 0


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (b"not json", "no JSON object"),
        (b"\xff\xfe", "no JSON object"),
        (b"[" * 900 + b"]" * 900, "no JSON object"),
        (b'{"format": 1, "revision": 2, "definition": {"id": "a", "name": %s}}'
         % (b"[" * 900 + b"]" * 900), "hookstream.hooks@3"),
        ({"format": 2, "revision": 2, "definition": definition("a")}, "format"),
        ({"format": 1, "revision": 2, "definition": definition("b")}, "another id"),
        ({"format": 1, "revision": 2, "definition": definition("a", uri="ftp://x/")}, "uri"),
        ({"format": 1, "revision": 2, "definition": {**definition("a"), "name": "x" * 2_000_000}},
         ""),
        ({"format": 1, "revision": 2, "definition": {**definition("a"), **naming_secret("NO")}},
         "the environment variable NO is not set"),
    ],
)  # fmt: skip
def test_a_bad_record_turns_off_nothing(value: object, said: str) -> None:
    """A record that cannot be used leaves its hook's last good revision in force and every other
    hook alone; the next good one ends the problem.
    """
    harness = DefinitionsHarness()
    harness.put(definition("a", "/good"), definition("b"))
    harness.take(harness.record("a", value))
    live = harness.definitions.live
    if said:
        assert harness.targets == {"a": "/good", "b": "/"}
        assert live.problem_count == 1
        assert said in problem_of(harness, "a")
        assert live.problems[0].revision == 1
    assert live.offset == 3
    harness.put(definition("a", "/next"), revision=3)
    assert harness.targets == {"a": "/next", "b": "/"}
    assert live.problem_count == 0


def test_a_definition_that_was_never_good_is_off() -> None:
    """Without a good revision in this process a refused definition is off, and says so."""
    harness = DefinitionsHarness()
    harness.take(harness.record("a", b"bad"))
    assert harness.hooks == {}
    assert harness.definitions.live.problems[0].revision == 0
    harness.delete("a")
    assert harness.definitions.live.problem_count == 0


def test_a_key_that_is_no_text_is_a_problem_until_it_is_deleted() -> None:
    """A record whose key is no hook's id is reported under its key, and its deletion ends that."""
    harness = DefinitionsHarness()
    record = harness.record("x", b"{}")
    record.key = b"\xff"
    harness.take(record)
    assert harness.definitions.live.problems[0].hook == "\\xff"
    record = harness.record("x", None)
    record.key = b"\xff"
    harness.take(record)
    assert harness.definitions.live.problem_count == 0


def test_a_file_wins() -> None:
    """Of a file's and a live definition with the same id the file's is in force, the live one is a
    problem, and comes into force when the file's goes.
    """
    harness = DefinitionsHarness(definition("a", "/file"), definition("b"))
    harness.put(definition("a", "/live"))
    assert harness.targets == {"a": "/file", "b": "/"}
    assert "a.yaml:0 defines it too" in problem_of(harness, "a")
    harness.put(definition("a", "/live-2"), revision=2)
    harness.reload(definition("b"))
    assert harness.targets == {"a": "/live-2", "b": "/"}
    assert harness.definitions.live.problem_count == 0
    harness.reload(definition("a", "/file-2"), definition("b"))
    assert harness.targets["a"] == "/file-2"
    assert harness.definitions.live.problem_count == 1
    harness.delete("a")
    assert harness.targets["a"] == "/file-2"
    assert harness.definitions.live.problem_count == 0


def test_a_reload_keeps_what_is_live() -> None:
    """A reload of files leaves live hooks in force, as the same objects."""
    harness = DefinitionsHarness(definition("file"))
    harness.put(definition("a"))
    hook = harness.hooks["a"]
    harness.reload(definition("file", "/2"), definition("more"))
    assert harness.targets == {"file": "/2", "more": "/", "a": "/"}
    assert harness.hooks["a"] is hook


def test_a_reload_reads_secrets_again() -> None:
    """A secret that live definitions name is read again at a reload; one that is gone leaves the
    hook as it was, with a problem.
    """
    harness = DefinitionsHarness(KEY="canary-1")
    harness.put({**definition("a"), **naming_secret()}, definition("b"))
    plain = harness.hooks["b"]
    harness.environ["KEY"] = "canary-2"
    harness.reload()
    assert secret_of(harness.hooks["a"]) == "canary-2"
    assert harness.hooks["b"] is plain
    del harness.environ["KEY"]
    harness.reload()
    assert secret_of(harness.hooks["a"]) == "canary-2"
    assert "KEY is not set" in problem_of(harness, "a")
    harness.environ["KEY"] = "canary-3"
    harness.reload()
    assert secret_of(harness.hooks["a"]) == "canary-3"
    assert harness.definitions.live.problem_count == 0


@pytest.mark.parametrize("last", ["canary-1", "canary-2", "canary-3"])
def test_a_secret_that_changed_before_a_change_is_read_for_all_by_the_reload(last: str) -> None:
    """A change reads its secrets anew; if one differs from what others have, the next reload reads
    it for these as well, even if it has its first text again.
    """
    harness = DefinitionsHarness(KEY="canary-1")
    harness.put({**definition("a"), **naming_secret()})
    harness.environ["KEY"] = "canary-2"
    harness.put({**definition("b"), **naming_secret()})
    assert secret_of(harness.hooks["a"]) == "canary-1"
    assert secret_of(harness.hooks["b"]) == "canary-2"
    harness.environ["KEY"] = last
    harness.reload()
    assert [secret_of(harness.hooks[name]) for name in "ab"] == [last] * 2


def test_a_change_during_a_reload_stays() -> None:
    """A record that comes while a reload reads its files is in force after the reload, too."""
    harness = DefinitionsHarness(definition("file"), KEY="canary-1")
    harness.put({**definition("a", "/1"), **naming_secret()}, definition("hidden"))
    harness.environ["KEY"] = "canary-2"
    reload = harness.prepare_reload(definition("hidden", "/file"))
    harness.put({**definition("a", "/2"), **naming_secret()}, revision=2)
    harness.put(definition("hidden", "/live-2"), definition("new"), revision=2)
    harness.definitions.reload(reload)
    assert harness.targets == {"a": "/2", "hidden": "/file", "new": "/"}
    assert secret_of(harness.hooks["a"]) == "canary-2"
    harness.reload()
    assert harness.targets["hidden"] == "/live-2"


def test_a_view_that_was_prepared_before_a_reload_is_prepared_again() -> None:
    """A view that was prepared before a reload came into force undoes nothing of it."""
    harness = DefinitionsHarness(definition("a", "/file"))
    definitions = harness.definitions
    value = {"format": 1, "revision": 1, "definition": definition("b", "/live")}
    ids = definitions.take(harness.compile(harness.record("b", value)))
    prepared = definitions.prepare(ids)
    harness.reload(definition("b", "/file"))
    assert definitions.apply(prepared, ids).view is definitions.view
    assert harness.targets == {"b": "/file"}


def test_records_that_were_compiled_before_a_reload_are_not_current() -> None:
    """What was compiled with the settings before a reload must be compiled again."""
    harness = DefinitionsHarness()
    done = harness.compile(harness.record("a", b"bad"))
    assert harness.definitions.is_current(done)
    harness.reload()
    assert not harness.definitions.is_current(done)


def test_a_topic_that_was_made_anew_turns_off_nothing() -> None:
    """Hooks whose topic was deleted stay in force and are problems until the new topic defines or
    deletes them; a reload ends no such problem.
    """
    harness = DefinitionsHarness(KEY="canary-1")
    harness.put({**definition("a"), **naming_secret()}, definition("b"), definition("c"))
    live = harness.definitions.live
    live.begin_anew()
    live.tell_lost()
    assert set(harness.hooks) == {"a", "b", "c"}
    assert live.problem_count == 3
    assert "deleted with its topic" in problem_of(harness, "b")
    assert live.offset == -1
    harness.put(definition("b", "/new"))
    harness.delete("c")
    harness.environ["KEY"] = "canary-2"
    harness.reload()
    assert harness.targets == {"a": "/", "b": "/new"}
    assert [problem.hook for problem in live.problems] == ["a"]


def test_problems_are_bounded_and_counted() -> None:
    """Of many problems some are listed, and all are counted."""
    harness = DefinitionsHarness()
    harness.take(*(harness.record(f"h{number}", b"bad") for number in range(200)))
    assert harness.definitions.live.problem_count == 200
    assert len(harness.definitions.live.problems) == 50


def test_no_problem_shows_a_secret() -> None:
    """A refused definition's problem does not show the secret that it names."""
    harness = DefinitionsHarness(KEY="canary-1\x07")
    harness.put({**definition("a"), **naming_secret()})
    assert "control character" in problem_of(harness, "a")
    assert "canary" not in repr(harness.definitions.live.problems)
