"""The rights that docs/security.md grants for live definitions are enough for each kind of user."""

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.cluster import Cluster
from support.command import Done, call_command
from support.daemon import Daemon
from support.project import ROOT
from support.secure_broker import SecureBroker
from support.workspace import Workspace, hook

PREFIX = "hookstream"
"""The prefix of the topics on the page."""
NAME = "h-1"


@pytest.fixture
async def workspace(
    secure_broker: SecureBroker, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """One source topic, and the topics that a daemon without live definitions has."""
    workspace = Workspace(tmp_path, Cluster(secure_broker.bootstrap), topic_prefix)
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    await workspace.create_own_topics(partitions=1)
    yield workspace
    await workspace.remove_topics()


async def _grant(broker: SecureBroker, workspace: Workspace) -> None:
    """Run the page's commands, for this test's prefix and for users of its own."""
    text = (ROOT / "docs" / "security.md").read_text().replace("\\\n", " ")
    commands = re.findall(r"^acl --allow-principal User:(\w+) (.*)$", text, re.MULTILINE)
    assert {user for user, _ in commands} == {"hookstream", "marketing", "support"}
    for name in {user for user, _ in commands}:
        await broker.add_user(f"{workspace.prefix}-{name}", "SCRAM-SHA-256")
    for name, options in commands:
        found = defaultdict[str, list[str]](list)
        for option, value in re.findall(r"--([\w-]+) (\S+)", options):
            found[option].append(value.replace(f"{PREFIX}.", f"{workspace.topic_prefix}."))
        operations = [
            re.sub(r"(?<=[a-z])(?=[A-Z])", "_", one).upper() for one in found["operation"]
        ]
        await broker.allow(
            f"{workspace.prefix}-{name}",
            dict.fromkeys(found["topic"], operations),
            transactions=dict.fromkeys(found["transactional-id"], operations),
        )


async def _run(broker: SecureBroker, workspace: Workspace, user: str, *words: str) -> Done:
    """Run a command as a user."""
    _write_settings(broker, workspace, user)

    def call() -> Done:
        arguments = ("hooks", *words, "--config", str(workspace.config))
        return call_command(*arguments, folder=workspace.folder)

    return await asyncio.to_thread(call)


def _write_settings(broker: SecureBroker, workspace: Workspace, user: str) -> None:
    kafka = broker.login("SASL", "SCRAM-SHA-256", f"{workspace.prefix}-{user}")
    workspace.write_settings(kafka=kafka, hooks={"path": "", "live": True})


def _define(workspace: Workspace, **more: Any) -> None:
    definition = hook(NAME, "https://a.example.com", **more)
    (workspace.folder / "new.yaml").write_text(yaml.safe_dump(definition))


async def test_each_user_can_do_what_it_needs(
    secure_broker: SecureBroker, workspace: Workspace
) -> None:
    """With the page's rights a daemon creates the topics and is ready, a writer applies, rolls back
    and deletes, and a reader lists, exports and reads the history and the replicas.
    """
    await _grant(secure_broker, workspace)
    own = {
        **{topic: ["READ"] for topic in workspace.sources},
        **{topic: ["READ", "WRITE"] for topic in workspace.retry_topics},
        workspace.overflow_topic: ["READ", "WRITE"],
        workspace.dead_letter_topic: ["WRITE"],
    }
    await secure_broker.allow(f"{workspace.prefix}-hookstream", own, group=workspace.group)
    _write_settings(secure_broker, workspace, "hookstream")
    async with Daemon(workspace.config) as daemon:
        _define(workspace)
        for user, words in (
            ("marketing", ("apply", "-f", "new.yaml", "--yes")),
            ("marketing", ("delete", NAME, "--yes")),
            ("marketing", ("rollback", NAME, "--to", "1", "--yes")),
            ("support", ("list",)),
            ("support", ("list", "--replicas")),
            ("support", ("show", NAME)),
            ("support", ("export", "-o", "out")),
            ("support", ("history", NAME)),
        ):
            done = await _run(secure_broker, workspace, user, *words)
            assert done.returncode == 0, (user, words, done.stderr)
        assert await daemon.stop() == 0
        assert daemon.complaints == []


async def test_a_reader_writes_nothing(secure_broker: SecureBroker, workspace: Workspace) -> None:
    """A user with a reader's rights changes nothing: `apply` ends with exit code 1 and one
    sentence.
    """
    await _grant(secure_broker, workspace)
    compacted = {"cleanup.policy": "compact"}
    await workspace.cluster.create(workspace.live_topics, partitions=1, configs=compacted)
    _define(workspace)
    done = await _run(secure_broker, workspace, "support", "apply", "-f", "new.yaml", "--yes")
    assert (done.returncode, done.stderr.count("\n")) == (1, 1), done.stderr
    assert "nothing was written" in done.stderr
    assert await workspace.cluster.read(workspace.live_topics[0]) == []
