"""`hookstream hooks` as a person uses it, on a real broker and beside a daemon."""

import asyncio
import sys
from typing import Any

import orjson
import pytest
import yaml

from consumer.control.sealed import new_key
from support.command import Done, call_command
from support.daemon import InProcess
from support.receiver import Receiver
from support.terminal import Terminal
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

NAME = "h-1"
CANARY = "canary-of-a-seal"
PUBLIC, PRIVATE = new_key()


@pytest.fixture
async def live(workspace: Workspace) -> Workspace:
    """A workspace with the topics of live definitions, and settings that use them."""
    await workspace.create_live_topics()
    workspace.write_settings(hooks={"path": "", "live": True})
    return workspace


def _words(live: Workspace, *words: str) -> tuple[str, ...]:
    return ("hooks", *words, "--config", str(live.config))


async def _run(live: Workspace, *words: str, stdin: bytes = b"") -> Done:
    """Run a command of a pipe; it has an event loop of its own, so another thread."""

    def call() -> Done:
        return call_command(*_words(live, *words), folder=live.folder, stdin=stdin)

    return await asyncio.to_thread(call)


async def _lines(live: Workspace, *words: str) -> list[dict[str, Any]]:
    done = await _run(live, *words)
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


async def _apply(live: Workspace, *definitions: dict[str, Any]) -> list[dict[str, Any]]:
    text = yaml.safe_dump_all(definitions, allow_unicode=True, sort_keys=False)
    (live.folder / "new.yaml").write_text(text)
    return await _lines(live, "apply", "-f", "new.yaml", "--yes", "--by", "ayse")


async def _terminal(live: Workspace, *words: str) -> Terminal:
    terminal = Terminal(sys.executable, "-m", "consumer", *_words(live, *words))
    await terminal.start()
    return terminal


async def test_every_command_works_on_a_broker(live: Workspace) -> None:
    """A definition is applied, listed, shown, changed, rolled back, exported, deleted and restored
    from the export; its history tells each step.
    """
    first = hook(NAME, "https://a.example.com", name="İlk")
    [line] = await _apply(live, first)
    assert (line["action"], line["revision"]) == ("created", 1)
    [line] = await _lines(live, "list")
    assert (line["hook"], line["state"], line["by"]) == (NAME, "on", "ayse")
    [line] = await _apply(live, {**first, "enabled": False})
    assert (line["action"], line["revision"]) == ("changed", 2)
    [line] = await _lines(live, "rollback", NAME, "--to", "1", "--yes", "--by", "mehmet")
    assert (line["action"], line["revision"]) == ("restored", 3)
    [line] = await _lines(live, "show", NAME)
    assert (line["revision"], line["definition"]) == (3, first)
    assert (await _run(live, "export", "-o", "out")).returncode == 0
    [line] = await _lines(live, "delete", NAME, "--yes", "--by", "ayse")
    assert (line["action"], line["revision"]) == ("deleted", 4)
    assert await _lines(live, "list") == []
    [line] = await _lines(live, "apply", "-f", "out", "--yes", "--by", "ayse")
    assert (line["action"], line["revision"]) == ("created", 5)
    told = [
        (line["revision"], line["action"], line["by"])
        for line in await _lines(live, "history", NAME)
    ]
    assert told == [
        (1, "created", "ayse"),
        (2, "changed", "ayse"),
        (3, "restored", "mehmet"),
        (4, "deleted", "ayse"),
        (5, "created", "ayse"),
    ]


async def test_a_person_is_shown_the_difference_and_asked(live: Workspace) -> None:
    """On a terminal the difference is shown before the question; `n` writes nothing and ends with
    exit code 1, `y` writes.
    """
    first = hook(NAME, "https://a.example.com")
    await _apply(live, first)
    (live.folder / "new.yaml").write_text(yaml.safe_dump({**first, "timeout": "5s"}))
    path = str(live.folder / "new.yaml")
    for answer, code, revision in (("n", 1, 1), ("y", 0, 2)):
        terminal = await _terminal(live, "apply", "-f", path)
        await terminal.until("Write this?")
        assert f"~ {NAME}  changed  revision 1" in terminal.text
        assert "    timeout: nothing -> 5s\n1 changed\n" in terminal.text
        terminal.type(f"{answer}\n")
        assert await terminal.end() == code, terminal.text
        [line] = await _lines(live, "list")
        assert line["revision"] == revision
    assert "1 change written, in one transaction" in terminal.text


async def test_a_late_answer_is_told_of_the_newer_revision(live: Workspace) -> None:
    """If another writer comes while a person looks at the difference, the yes writes nothing: exit
    code 1, and the sentence says who wrote what.
    """
    first = hook(NAME, "https://a.example.com")
    await _apply(live, first)
    late = live.folder / "late.yaml"
    late.write_text(yaml.safe_dump({**first, "timeout": "9s"}))
    terminal = await _terminal(live, "apply", "-f", str(late))
    await terminal.until("Write this?")
    await _apply(live, {**first, "timeout": "5s"})
    terminal.type("y\n")
    assert await terminal.end() == 1
    assert f"nothing was written: hook {NAME}: revision 2 was written by ayse" in terminal.text
    assert "you saw revision 1" in terminal.text
    [line] = await _lines(live, "show", NAME)
    assert line["definition"]["timeout"] == "5s"


async def test_tables_are_for_people(live: Workspace) -> None:
    """On a terminal the list is a table, a definition is YAML and the history a text."""
    await _apply(live, hook(NAME, "https://a.example.com", name="Müşteri"))
    for words, shown in (
        (("list",), ("revision", NAME, "on")),
        (("show", NAME), ("# revision 1", "name: Müşteri")),
        (("history", NAME), ("revision 1  created", "by ayse", "    name: Müşteri")),
    ):
        terminal = await _terminal(live, *words)
        assert await terminal.end() == 0
        for text in shown:
            assert text in terminal.text


async def test_without_the_topics_the_hint_is_to_start_a_daemon(workspace: Workspace) -> None:
    """Without the topics a command ends with exit code 1 and one sentence with a hint."""
    workspace.write_settings(hooks={"path": "", "live": True})
    done = await _run(workspace, "list")
    assert done.returncode == 1
    assert done.stderr.count("\n") == 1
    assert f"{workspace.topic_prefix}.hooks" in done.stderr


async def test_a_sealed_secret_reaches_the_receiver_only(
    live: Workspace, capfd: pytest.CaptureFixture[str]
) -> None:
    """A secret that is sealed by the command and applied reaches the receiver, and the newest
    definitions are told to be in force; it is in no topic, no log line and no output.
    """
    keys = {"seal_public_key": PUBLIC, "seal_private_key": PRIVATE}
    live.write_settings(hooks={"path": "", "live": True, **keys})
    await live.create_topics()
    async with Receiver() as receiver, InProcess(live.config):
        done = await _run(live, "seal", "--uri", receiver.origin, stdin=CANARY.encode())
        header = {"key": "X-Key", "source": "fixed", "value": done.stdout.strip()}
        await _apply(live, hook(NAME, receiver.origin, headers=[header]))

        async def in_force() -> bool:
            replicas = await _lines(live, "list", "--replicas")
            return [line["in_force"] for line in replicas] == [True]

        await wait_until(in_force, "the newest definition to be in force")
        await live.cluster.produce(live.topic("event"), [event("e1")])
        await receiver.until(requests=1)
    assert f"X-Key: {CANARY}\r\n".encode() in receiver.requests[0]
    shown = "".join(capfd.readouterr())
    for topic in live.live_topics:
        shown += repr(await live.cluster.read(topic))
    assert header["value"] in shown
    assert CANARY not in shown
