"""TLS, passwords and rights on a real broker: what holds, and what people are told if not."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from support.cluster import Cluster
from support.daemon import Daemon
from support.receiver import Receiver, response
from support.secure_broker import CERTIFIED, SecureBroker
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

Rights = dict[str, list[str]]
READS, WRITES = ["READ"], ["WRITE"]


@pytest.fixture
def broker(secure_broker: SecureBroker) -> SecureBroker:
    """The one of all tests."""
    return secure_broker


@pytest.fixture
async def workspace(
    broker: SecureBroker, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """One source topic, and all that the daemon writes to, made by a user who may."""
    workspace = Workspace(tmp_path, Cluster(broker.bootstrap), topic_prefix)
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    await workspace.create_own_topics(partitions=1)
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    yield workspace
    await workspace.remove_topics()


def enough(workspace: Workspace) -> Rights:
    """The rights that docs/security.md asks for, where the topics are there."""
    rights = dict.fromkeys(workspace.sources, READS)
    rights |= {
        topic: [*READS, *WRITES] for topic in (*workspace.retry_topics, workspace.overflow_topic)
    }
    return rights | {workspace.dead_letter_topic: WRITES}


async def user_with(broker: SecureBroker, workspace: Workspace, rights: Rights) -> dict[str, Any]:
    """Settings of a new user that has these rights, and may read its group."""
    user = workspace.prefix
    await broker.add_user(user, "SCRAM-SHA-256")
    await broker.allow(user, rights, group=workspace.group)
    return broker.login("SASL", "SCRAM-SHA-256", user)


async def refusal_of(workspace: Workspace) -> str:
    """The daemon's sentence; neither it nor the log tells a secret."""
    daemon = Daemon(workspace.config)
    sentence = await daemon.refuses()
    assert "canary" not in "".join(daemon.lines)
    return sentence


async def delivers(workspace: Workspace) -> None:
    """One event arrives, and another goes by way of a retry topic to the dead-letter topic."""
    async with Receiver(
        otherwise=lambda head: response(404 if b"/h/bad" in head else 200)
    ) as receiver:
        workspace.write_hooks(hook("a", receiver.origin), hook("bad", receiver.origin))
        await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "everything to be settled")
            assert await daemon.stop() == 0
            assert daemon.complaints == []
    assert len(receiver.requests) == 2
    assert [
        dead_letter.facts["hookstream-hook"] for dead_letter in await workspace.dead_letters()
    ] == ["bad"]


@pytest.mark.parametrize(
    ("listener", "mechanism"),
    [
        ("TLS", ""),
        ("MUTUAL", ""),
        ("SASL", "PLAIN"),
        ("SASL", "SCRAM-SHA-512"),
        ("SASLTLS", "PLAIN"),
        ("SASLTLS", "SCRAM-SHA-256"),
        ("SASLTLS", "SCRAM-SHA-512"),
    ],
)
async def test_every_way_in(
    broker: SecureBroker, workspace: Workspace, listener: str, mechanism: str
) -> None:
    """With every security protocol and mechanism the daemon consumes, publishes and commits with no
    more rights than the documented ones.
    """
    user = {"TLS": "ANONYMOUS", "MUTUAL": CERTIFIED}.get(listener, "hookstream")
    if mechanism:
        if mechanism != "PLAIN":
            await broker.add_user(user, mechanism)
        kafka = broker.login(listener, mechanism)
    elif listener == "MUTUAL":
        own = {"ssl_certfile": broker.certificate, "ssl_keyfile": broker.key}
        kafka = broker.settings(listener, **own)
    else:
        kafka = broker.settings(listener)
    await broker.allow(user, enough(workspace), group=workspace.group)
    workspace.write_settings(kafka=kafka)
    await delivers(workspace)


BAD_WAYS = {
    "wrong password": ("SASL", {"sasl_password": "canary-wrong"}, "kafka.sasl_password"),
    "wrong password, SCRAM": (
        "SASL",
        {"sasl_password": "canary-wrong", "sasl_mechanism": "SCRAM-SHA-256"},
        "kafka.sasl_password",
    ),
    "unknown user": ("SASLTLS", {"sasl_username": "nobody"}, "kafka.sasl_username"),
    "untrusted authority": ("TLS", {"ssl_cafile": "other"}, "kafka.ssl_cafile"),
    "public authorities": ("SASLTLS", {"ssl_cafile": None}, "kafka.ssl_cafile"),
    "no certificate of ours": ("MUTUAL", {}, "kafka.ssl_certfile"),
    "no TLS": ("TLS", {"security_protocol": "PLAINTEXT", "ssl_cafile": None}, "security_protocol"),
    "TLS to a plain port": ("SASL", {"security_protocol": "SASL_SSL"}, "kafka.security_protocol"),
    "no login": (
        "SASL",
        {"security_protocol": "PLAINTEXT", "sasl_username": None, "sasl_password": None},
        "kafka.security_protocol",
    ),
}


@pytest.mark.parametrize(("listener", "more", "words"), BAD_WAYS.values(), ids=BAD_WAYS.keys())
async def test_no_way_in_is_one_sentence(
    broker: SecureBroker,
    workspace: Workspace,
    listener: str,
    more: dict[str, Any],
    words: str,
) -> None:
    """A failed authentication is one sentence that names the setting to correct and no password,
    and nothing is committed.
    """
    kafka = (broker.login if listener.startswith("SASL") else broker.settings)(listener)
    kafka |= more
    if kafka.get("ssl_cafile") == "other":
        kafka["ssl_cafile"] = broker.other_ca_file
    kafka = {name: value for name, value in kafka.items() if value is not None}
    workspace.write_settings(kafka=kafka)
    assert words in await refusal_of(workspace)
    assert await workspace.cluster.committed(workspace.group) == {}


@pytest.mark.parametrize("kept", [[], ["DESCRIBE"]], ids=["unseen", "seen"])
@pytest.mark.parametrize("which", ["source", "retry topic"])
async def test_a_topic_that_may_not_be_read(
    broker: SecureBroker, workspace: Workspace, which: str, kept: list[str]
) -> None:
    """A source topic that may not be read ends the daemon with its name, and nothing is committed,
    not even for topics that may be read.
    """
    topic = workspace.topic("event") if which == "source" else workspace.retry_topics[0]
    rights = enough(workspace) | {topic: [*kept, *(["WRITE"] if which == "retry topic" else [])]}
    workspace.write_settings(kafka=await user_with(broker, workspace, rights))
    await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
    sentence = await refusal_of(workspace)
    assert topic in sentence
    committed = await workspace.cluster.committed(workspace.group)
    assert committed.get((topic, 0), -1) <= 0


async def test_a_retry_topic_of_others_that_may_not_be_read(
    broker: SecureBroker, workspace: Workspace
) -> None:
    """A retry topic of the prefix that the settings do not name, and that this user may see but not
    read, is left out with a warning: the daemon delivers all else.
    """
    other = f"{workspace.topic_prefix}.retry.9s"
    await workspace.cluster.create([other], partitions=2)
    rights = enough(workspace) | {other: ["DESCRIBE"]}
    workspace.write_settings(kafka=await user_with(broker, workspace, rights))
    async with Receiver(response(503)) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
            await wait_until(lambda: len(receiver.requests) == 2, "the second attempt")
            await wait_until(workspace.caught_up, "everything to be settled")
            [line] = [
                line
                for line in daemon.logs
                if line.get("topics") == [other] and line["level"] == "warning"
            ]
            assert "may not read a retry topic that the settings do not name" in line["event"]
            assert await daemon.stop() == 0
            assert daemon.complaints == []
    await workspace.cluster.delete([other])


async def test_a_group_that_may_not_be_joined(broker: SecureBroker, workspace: Workspace) -> None:
    """A group that may not be joined ends the daemon with the group's name."""
    kafka = await user_with(broker, workspace, enough(workspace))
    workspace.write_settings(kafka=kafka | {"group_id": "another"})
    refusal = "error: Kafka refuses the group another: ask for access to it\n"
    assert await refusal_of(workspace) == refusal
    assert await workspace.cluster.committed("another") == {}


async def test_topics_that_may_not_be_made(broker: SecureBroker, workspace: Workspace) -> None:
    """A topic that may not be created ends the daemon with a sentence that names it and what to
    do.
    """
    await workspace.cluster.delete(workspace.retry_topics)
    rights = enough(workspace)
    for retry_topic in workspace.retry_topics:
        del rights[retry_topic]
    workspace.write_settings(kafka=await user_with(broker, workspace, rights))
    sentence = await refusal_of(workspace)
    assert any(retry_topic in sentence for retry_topic in workspace.retry_topics)
    assert "could not be created (TopicAuthorizationFailedError)" in sentence


@pytest.mark.parametrize("which", ["retry topic", "dead letters"])
async def test_a_topic_that_may_not_be_written(
    broker: SecureBroker, workspace: Workspace, which: str
) -> None:
    """A retry topic that may not be written makes the daemon unready until the right is granted,
    and nothing is lost.

    1. A delivery fails, and publishing it is refused. 2. The daemon is not ready, one line names
    the topic and the reason, and nothing is committed past the event. 3. The right is granted: the
    record is published, and the daemon is ready.
    """
    topic = workspace.retry_topics[0] if which == "retry topic" else workspace.dead_letter_topic
    rights = enough(workspace) | {topic: READS if which == "retry topic" else ["DESCRIBE"]}
    workspace.write_settings(kafka=await user_with(broker, workspace, rights))
    async with Receiver(
        otherwise=lambda _head: response(503 if which == "retry topic" else 404)
    ) as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            [record] = await workspace.cluster.produce(workspace.topic("event"), [event("e1")])
            await wait_until(lambda: not_ready(daemon), "the daemon not to be ready")
            said = "publishing fails; intake pauses"
            [line] = await wait_until(lambda: daemon.said(said), "it to be said")
            assert line["topics"] == [topic]
            assert line["errors"] == ["TopicAuthorizationFailedError"]
            committed = await workspace.cluster.committed(workspace.group)
            assert committed.get((record.topic, 0), 0) <= record.offset
            await broker.allow(workspace.prefix, {topic: WRITES})
            await wait_until(daemon.ready, "the daemon to be ready again")
            await wait_until(
                lambda: published(workspace, topic, record.source), "the record to arrive"
            )


async def test_a_right_that_is_taken_away(broker: SecureBroker, workspace: Workspace) -> None:
    """A right to a source that is taken away ends the daemon with one sentence, and what was
    settled before is committed.

    1. All is well. 2. The source may not be read any more: the daemon ends by itself, not with 0,
    with one sentence; what was settled before is committed.
    """
    kafka = await user_with(broker, workspace, enough(workspace))
    workspace.write_settings(kafka=kafka)
    topic = workspace.topic("event")
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        await workspace.cluster.produce(topic, [event("e1")])
        async with Daemon(workspace.config) as daemon:
            await wait_until(workspace.caught_up, "the first event to be settled")
            await broker.revoke(workspace.prefix, topic)
            assert await daemon.wait() == 1
            assert daemon.lines[-1].startswith(f"error: Kafka refuses the topic {topic}")
    assert (await workspace.cluster.committed(workspace.group))[topic, 0] == 1


async def not_ready(daemon: Daemon) -> bool:
    """Whether it runs, and says that it takes nothing."""
    return (await daemon.get("/readyz"))[0] == 503


async def published(workspace: Workspace, topic: str, source: str) -> bool:
    """Whether the record of `source` is on `topic`."""
    dead_letters = await workspace.cluster.read(topic)
    return any(dead_letter.facts["hookstream-source"] == source for dead_letter in dead_letters)
