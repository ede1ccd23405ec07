"""`hookstream dead-letters` as a person uses it, beside a daemon."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import IO

import orjson
import pytest
from typer.testing import CliRunner

from consumer.cli.commands import commands
from consumer.reasons import Reason
from consumer.stream.outbox import MessageT
from consumer.stream.producer import KafkaProducer
from consumer.stream.replay import BATCH_RECORDS
from support.cluster import Placed
from support.daemon import InProcess
from support.dead_letters import WrittenDeadLetter, exhausted, metadata, write_dead_letters
from support.project import ROOT
from support.received import ids
from support.receiver import Receiver, response
from support.terminal import Terminal
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

NAME = "h-1"


def _command(workspace: Workspace, *words: str) -> list[str]:
    config = ("--config", str(workspace.config))
    return [sys.executable, "-m", "consumer", "dead-letters", *words, *config]


async def _run(workspace: Workspace, *words: str) -> tuple[int | None, str, str]:
    """Exit code, standard output and standard error of one command without a terminal."""
    process = await asyncio.create_subprocess_exec(
        *_command(workspace, *words), stdin=DEVNULL, stdout=PIPE, stderr=PIPE, cwd=ROOT
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()


async def _prepare(workspace: Workspace) -> None:
    """Files, and the topics that a daemon makes at its start."""
    await workspace.create_topics()
    workspace.write_settings()
    await workspace.create_own_topics()


async def _deferred(workspace: Workspace) -> list[Placed]:
    return await workspace.cluster.read(workspace.retry_topics[0])


async def test_every_reason_is_delivered_after_a_replay(workspace: Workspace) -> None:
    """A dead letter of any reason is delivered after a replay.

    1. Dead letters of one hook, one for each reason, and one undecodable record without a hook. 2.
    Both replays are carried out. 3. All arrive, those of the hook under their own ids.
    """
    number = len(Reason)
    await workspace.create_topics()
    workspace.write_settings()
    source = workspace.topic("event")
    async with Receiver() as receiver:
        workspace.write_hooks(hook(NAME, receiver.origin))
        async with InProcess(workspace.config):
            dead_letters = [
                WrittenDeadLetter(
                    metadata(n, hook=NAME, reason=reason, topic=source), event(f"e{n}")
                )
                for n, reason in enumerate(Reason)
            ]
            lost = metadata(number, hook="", reason="undecodable", topic=source)
            await write_dead_letters(
                workspace.cluster,
                workspace.dead_letter_topic,
                [*dead_letters, WrittenDeadLetter(lost, event(f"e{number}"))],
            )
            code, out, err = await _run(workspace, "replay", "--hook", NAME, "--yes")
            assert (code, out.splitlines()[-1]) == (0, f"{number} sent"), err
            code, out, err = await _run(workspace, "replay", "--reason", "undecodable", "--yes")
            # The hook's own undecodable one goes again: another filter knows nothing of the first.
            assert (code, out.splitlines()[-1]) == (0, "2 sent"), err
            await receiver.until(requests=number + 2)
            await wait_until(workspace.caught_up, "everything to be settled")
    expected = {f"e{n}:{NAME}": 1 for n in range(number + 1)}
    again = f"e{list(Reason).index(Reason.UNDECODABLE)}:{NAME}"
    assert ids(receiver.requests) == {**expected, again: 2}


async def test_a_replay_that_fails_again_tells_its_story(workspace: Workspace) -> None:
    """A replayed delivery that fails again keeps its id, and its headers name the replay.

    1. 400: a dead letter. 2. Replayed, it is answered 503, waits on a retry topic, and fails for
    good: the headers of both records tell of the replay. 3. Replayed again, it arrives, with the
    same id each time.
    """
    await workspace.create_topics()
    workspace.write_settings()
    first_id = f"e1:{NAME}"
    async with Receiver(response(400), response(503), response(400)) as receiver:
        workspace.write_hooks(hook(NAME, receiver.origin))
        async with InProcess(workspace.config):

            async def dead_letters() -> list[Placed]:
                found = await workspace.dead_letters()
                return [one for one in found if one.facts["hookstream-delivery-id"] == first_id]

            await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
            [first] = await wait_until(dead_letters, "a dead letter")
            assert "hookstream-replayed-from" not in first.facts
            assert (await _run(workspace, "replay", "--hook", NAME, "--yes"))[0] == 0
            await receiver.until(requests=3)

            async def two() -> list[Placed]:
                found = await dead_letters()
                return found if len(found) == 2 else []

            [second] = [one for one in await wait_until(two, "another") if one != first]
            assert second.facts["hookstream-replayed-from"] == first.source
            assert second.facts["hookstream-source"] == first.facts["hookstream-source"]
            assert second.facts["hookstream-attempts"] == "2"
            deferred = await _deferred(workspace)
            assert [one.facts["hookstream-replayed-from"] for one in deferred] == [first.source] * 2
            assert "replay" in {one.facts["hookstream-reason"] for one in deferred}
            code, out, _ = await _run(workspace, "replay", "--hook", NAME, "--yes")
            assert (code, out.splitlines()[-1]) == (0, "1 sent")
            await receiver.until(requests=4)
            await wait_until(workspace.caught_up, "everything to be settled")
    assert ids(receiver.requests) == {first_id: 4}


async def test_nothing_is_sent_without_consent(workspace: Workspace) -> None:
    """Nothing is sent by a dry run, after a refusal, or without a terminal to ask on; each says so,
    and a `y` sends.
    """
    await _prepare(workspace)
    await write_dead_letters(
        workspace.cluster, workspace.dead_letter_topic, exhausted(range(3), NAME)
    )
    words = ("replay", "--hook", NAME)
    code, out, _ = await _run(workspace, *words, "--dry-run")
    assert code == 0
    assert "3 dead letters to send" in out
    assert (await _run(workspace, *words))[0] == 2
    for answer, code in (("n", 1), ("y", 0)):
        assert await _deferred(workspace) == []
        terminal = Terminal(*_command(workspace, *words))
        await terminal.start()
        await terminal.until("Send them?")
        terminal.type(f"{answer}\n")
        assert await terminal.end() == code, terminal.text
    assert "3/3" in terminal.text
    assert "3 sent" in terminal.text
    assert len(await _deferred(workspace)) == 3


async def test_list_is_json_for_programs(workspace: Workspace) -> None:
    """The list for programs has one JSON object a line with all facts, the oldest first, and no
    event value; `--limit` has the newest.
    """
    await _prepare(workspace)
    secret = b'{"id": "e", "user": {"id": "somebody"}}'
    dead_letters = [
        WrittenDeadLetter(metadata(n, hook=NAME), secret, timestamp_ms=1_795_514_400_000 + n)
        for n in range(60)
    ]
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, dead_letters)
    code, out, err = await _run(workspace, "list", "--hook", NAME)
    assert (code, err) == (0, "")
    assert "somebody" not in out
    lines = [orjson.loads(line) for line in out.splitlines()]
    assert [line["delivery_id"] for line in lines] == [f"e{n}:{NAME}" for n in range(60)]
    assert lines[7] == {
        "time": "2026-11-24T10:00:00.007Z",
        "partition": 0,
        "offset": lines[7]["offset"],
        "key": "k\\xff",
        "value_bytes": len(secret),
        "foreign": False,
        "hook": NAME,
        "reason": "exhausted",
        "delivery_id": f"e7:{NAME}",
        "attempts": 12,
        "last_status": "503",
        "first_failed_at": "2026-11-24T10:00:01.500Z",
        "source": "source/2/7",
        "source_time": "2026-11-24T10:00:00.123Z",
        "trigger": "event",
        "detail": "why not",
        "replayed_from": None,
        "replayed_at": None,
    }
    _, out, _ = await _run(workspace, "list", "--hook", NAME, "--limit", "2")
    assert [orjson.loads(line) for line in out.splitlines()] == lines[-2:]
    code, out, err = await _run(workspace, "list", "--hook", f"{NAME}-x")
    assert (code, out, err) == (0, "", "note: no such dead letters\n")


@pytest.fixture
def full_disk() -> Iterator[IO[bytes]]:
    """A file each write to which fails."""
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("this system has no /dev/full")
    with full.open("wb") as file:
        yield file


@pytest.mark.parametrize(
    "words", [("list",), ("list", "--limit", "1"), ("replay", "--yes")], ids=" ".join
)
async def test_a_full_disk_is_told_and_nothing_is_sent(
    workspace: Workspace, full_disk: IO[bytes], words: Sequence[str]
) -> None:
    """A list or a plan that does not fit on the disk ends in one sentence and exit code 1, and what
    could not be shown is not sent.
    """
    await _prepare(workspace)
    await write_dead_letters(
        workspace.cluster, workspace.dead_letter_topic, exhausted(range(3), NAME)
    )
    process = await asyncio.create_subprocess_exec(
        *_command(workspace, *words), stdin=DEVNULL, stdout=full_disk, stderr=PIPE, cwd=ROOT
    )
    _, err = await process.communicate()
    assert err == b"error: standard output cannot be written: No space left on device\n"
    assert process.returncode == 1
    assert await _deferred(workspace) == []


async def test_list_is_a_table_for_people(workspace: Workspace) -> None:
    """The list for people has the newest fifty and how many more there are, and nothing in it moves
    the cursor.
    """
    await _prepare(workspace)
    dead_letters = exhausted(range(59), NAME)
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, dead_letters)
    evil = WrittenDeadLetter(metadata(59, hook=NAME, reason="\x1b[2Jpermanent"))
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, [evil])
    terminal = Terminal(*_command(workspace, "list", "--hook", NAME))
    await terminal.start()
    assert await terminal.end() == 0
    assert "the newest 50 of 60; 10 more with --limit" in terminal.text
    assert f"e10:{NAME}" in terminal.text
    assert f"e9:{NAME}" not in terminal.text
    assert "\\x1b[2Jpermanent" in terminal.text
    [count] = [line for line in terminal.text.splitlines() if line.strip().startswith("59 ")]
    assert count.split() == ["59", NAME, "exhausted"]


def test_ctrl_c_ends_behind_a_batch(workspace: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    """SIGINT ends a replay behind the batch under way, and the same command sends the rest.

    1. SIGINT comes while the second batch is under way. 2. The batch is finished, the exit code is
    130, and a sentence says how much went. 3. The same command sends the rest.
    """
    total = 3 * BATCH_RECORDS
    asyncio.run(_prepare(workspace))
    asyncio.run(
        write_dead_letters(
            workspace.cluster, workspace.dead_letter_topic, exhausted(range(total), NAME)
        )
    )

    class Interrupted(KafkaProducer):
        number = 0

        async def send(
            self, topic: str, messages: Sequence[MessageT]
        ) -> list[tuple[Sequence[MessageT], asyncio.Future[None]]]:
            """Send; a person loses patience at the second time."""
            Interrupted.number += 1
            if Interrupted.number == 2:
                os.kill(os.getpid(), signal.SIGINT)
            return await super().send(topic, messages)

    monkeypatch.setattr("consumer.services.dead_letters.KafkaProducer", Interrupted)
    words = ["dead-letters", "replay", "--hook", NAME, "--yes", "--config", str(workspace.config)]
    ended = CliRunner().invoke(commands, words)
    assert ended.exit_code == 130
    assert f"stopped: {2 * BATCH_RECORDS} of {total} sent; the same command goes on" in ended.stderr
    ended = CliRunner().invoke(commands, words)
    assert ended.exit_code == 0
    assert f"goes on after {2 * BATCH_RECORDS} already sent" in ended.stderr
    sent = [one.facts["hookstream-delivery-id"] for one in asyncio.run(_deferred(workspace))]
    assert sorted(sent) == sorted(f"e{n}:{NAME}" for n in range(total))


async def test_a_missing_retry_topic_is_told_before_anything_is_sent(workspace: Workspace) -> None:
    """A missing retry topic is named before anything is sent, with exit code 1."""
    await _prepare(workspace)
    await write_dead_letters(workspace.cluster, workspace.dead_letter_topic, exhausted([1], NAME))
    workspace.write_settings(retry={"delays": ["7m"]})
    code, _, err = await _run(workspace, "replay", "--hook", NAME, "--yes")
    assert code == 1
    assert f"no such topic: {workspace.prefix}.retry.7m: start the daemon once" in err


async def test_a_retry_that_became_undecodable_keeps_its_delivery(workspace: Workspace) -> None:
    """A deferred record that can no longer be decoded becomes a dead letter that names delivery,
    hook and source, so it can be replayed.
    """
    await workspace.create_topics()
    workspace.write_settings()
    async with Receiver() as receiver:
        workspace.write_hooks(hook(NAME, receiver.origin))
        async with InProcess(workspace.config):
            deferred = metadata(1, hook=NAME, reason="retry", topic=workspace.topic("event"))
            await write_dead_letters(
                workspace.cluster, workspace.retry_topics[0], [WrittenDeadLetter(deferred, b"[]")]
            )
            [dead_letter] = await wait_until(workspace.dead_letters, "a dead letter")
    facts = dead_letter.facts
    assert facts["hookstream-reason"] == "undecodable"
    assert facts["hookstream-detail"] == "the JSON value is not an object"
    before = dict(deferred.headers())
    for fact in ("delivery-id", "hook", "source", "attempts"):
        assert facts[f"hookstream-{fact}"].encode() == before[f"hookstream-{fact}"]
    assert receiver.requests == []
