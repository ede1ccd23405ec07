"""Topics of ours that would lose records by their settings."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from support.broker import KafkaServer
from support.cluster import Cluster
from support.daemon import Daemon
from support.receiver import Receiver, response
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

WEEK_MS = str(7 * 24 * 3600 * 1000)
COMMAND = re.compile(r"--entity-name (\S+) --add-config (\S+)")


@pytest.fixture
async def ready(workspace: Workspace) -> Workspace:
    """One source, settings and a hook."""
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    workspace.write_settings()
    workspace.write_hooks(hook("a", "http://127.0.0.1:9"))
    return workspace


async def _configs(cluster: Cluster, topic: str) -> dict[str, str]:
    async with cluster.admin() as admin:
        [answer] = await admin.describe_configs([ConfigResource(ConfigResourceType.TOPIC, topic)])
    [(_, _, _, _, entries)] = answer.resources
    return {name: value for name, value, *_ in entries}


@pytest.mark.parametrize(
    ("which", "setting", "value"),
    [
        ("retry", "cleanup.policy", "compact"),
        ("retry", "retention.ms", "3000"),
        ("retry", "retention.bytes", "1000000"),
        ("dead letters", "retention.ms", WEEK_MS),
        ("dead letters", "cleanup.policy", "compact"),
    ],
)
async def test_a_topic_of_ours_that_would_lose_records(
    ready: Workspace, which: str, setting: str, value: str
) -> None:
    """A topic of ours whose settings would lose records is refused at the start, with topic,
    setting, value and the command that sets it right; after that command the daemon runs.
    """
    topic = ready.retry_topics[0] if which == "retry" else ready.dead_letter_topic
    right = {"retention.ms": "-1"}
    await ready.cluster.create([topic], partitions=1, configs=right | {setting: value})
    sentence = await Daemon(ready.config).refuses()
    assert f"the topic {topic} has {setting}={value} (" in sentence
    found = COMMAND.search(sentence)
    assert found is not None
    assert found[1] == topic
    fixed = dict(pair.split("=") for pair in found[2].split(","))
    async with ready.cluster.admin() as admin:
        await admin.alter_configs([ConfigResource(ConfigResourceType.TOPIC, topic, right | fixed)])
    async with Daemon(ready.config) as daemon:
        assert await daemon.sample(f'hookstream_topic_problems{{topic="{topic}"}}') == 0
        assert daemon.complaints == []


async def test_sources_that_may_lose_events(ready: Workspace) -> None:
    """A source that is compacted, or keeps its events for less than an hour, is named in one
    warning line, and the daemon runs.
    """
    short = ready.topic("geofence")
    ready.sources[short] = {"topic": short, "trigger": "geofence"}
    await ready.cluster.create([short], partitions=1, configs={"retention.ms": "600000"})
    ready.write_settings()
    async with Daemon(ready.config) as daemon:
        [line] = daemon.said("a source may lose events")
        assert line["topic"] == short
        assert "10m" in line["reason"]


@pytest.fixture(scope="module")
def creating(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker on which topics come about by use, as Kafka's default is."""
    extra = {"auto.create.topics.enable": "true", "log.retention.bytes": "1000000"}
    with KafkaServer(kafka_lib, tmp_path_factory.mktemp("creating"), extra=extra) as server:
        yield server


@pytest.fixture
async def deleted(
    creating: KafkaServer, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """A workspace there."""
    workspace = Workspace(tmp_path, Cluster(creating.bootstrap), topic_prefix)
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=2)
    workspace.write_settings()
    yield workspace
    await workspace.remove_topics()


async def test_a_dead_letter_topic_that_is_deleted_under_the_daemon(deleted: Workspace) -> None:
    """On a broker that makes topics by use, a dead-letter topic that was deleted comes back with
    the settings that it must have, made by the daemon, and no dead letter is lost; one that has got
    the broker's defaults is an error line with the command that sets it right, and a metric.
    """
    dead_letters, cluster = deleted.dead_letter_topic, deleted.cluster
    series = f'hookstream_topic_problems{{topic="{dead_letters}"}}'
    async with Receiver(otherwise=lambda _head: response(404)) as receiver:
        deleted.write_hooks(hook("a", receiver.origin))
        async with Daemon(deleted.config) as daemon:
            assert (await _configs(cluster, dead_letters))["retention.bytes"] == "-1"
            await cluster.delete([dead_letters])
            await cluster.produce(deleted.topic("event"), [event("e1")])
            await wait_until(deleted.caught_up, "the event to be settled", patience=90)
            assert len(await deleted.dead_letters()) == 1
            configs = await _configs(cluster, dead_letters)
            assert (configs["retention.ms"], configs["retention.bytes"]) == ("-1", "-1")
            assert await daemon.sample(series) == 0
            async with cluster.admin() as admin:  # as if another program had made it by use
                await admin.alter_configs(
                    [ConfigResource(ConfigResourceType.TOPIC, dead_letters, {})]
                )
            told = await wait_until(
                lambda: daemon.said("an own topic would lose records"), "the error line"
            )
            assert told[0]["topic"] == dead_letters
            assert f"retention.ms={WEEK_MS}" in told[0]["problem"]
            assert "kafka-configs.sh" in told[0]["problem"]
            assert await daemon.sample(series) == 1
            assert await daemon.stop() == 0
        assert dead_letters in await Daemon(deleted.config).refuses()
