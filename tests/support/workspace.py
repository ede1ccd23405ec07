"""One test's settings file, hook definitions and topics."""

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import yaml

from support.cluster import Cluster, Placed

TRIGGERS = ("push_click", "message_log", "geofence", "event")


class Workspace:
    """The files of one daemon, or of a group of them.

    All names in the cluster begin with `prefix`, which is the test's own, so tests can share a
    broker.
    """

    def __init__(self, folder: Path, cluster: Cluster, prefix: str) -> None:
        self.folder = folder
        self.cluster = cluster
        self.prefix = prefix
        self.group = f"{prefix}-group"
        self.topic_prefix = prefix
        """Of the retry and dead-letter topics."""
        self.delays: tuple[str, ...] = ("1s", "2s")
        """The delays of the retry topics."""
        self.sources: dict[str, dict[str, Any]] = {
            self.topic(trigger): {"topic": self.topic(trigger), "trigger": trigger}
            for trigger in TRIGGERS
        }
        self.delivery_log: Mapping[str, Any] = {}
        """The section of the settings, unless a test writes another."""
        self.hooks: list[dict[str, Any]] = []
        self.hooks_folder.mkdir()

    @property
    def hooks_folder(self) -> Path:
        """The folder of the definitions."""
        return self.folder / "hooks"

    @property
    def config(self) -> Path:
        """The settings file."""
        return self.folder / "hookstream.yaml"

    @property
    def retry_topics(self) -> list[str]:
        """The names of the retry topics."""
        return [f"{self.topic_prefix}.retry.{delay}" for delay in self.delays]

    @property
    def dead_letter_topic(self) -> str:
        """The dead-letter topic."""
        return f"{self.topic_prefix}.dead-letter"

    @property
    def overflow_topic(self) -> str:
        """The overflow topic."""
        return f"{self.topic_prefix}.overflow"

    @property
    def own_topics(self) -> list[str]:
        """The retry topics, the overflow topic and the dead-letter topic."""
        return [*self.retry_topics, self.overflow_topic, self.dead_letter_topic]

    @property
    def live_topics(self) -> list[str]:
        """The topics of live definitions, their audit, and the replicas' status."""
        return [f"{self.topic_prefix}.{name}" for name in ("hooks", "hooks-audit", "status")]

    @property
    def log_topics(self) -> list[str]:
        """The topics of the delivery log and of the reports."""
        return [f"{self.topic_prefix}.{name}" for name in ("deliveries", "reports")]

    def topic(self, name: str) -> str:
        """A topic's name that is this test's own."""
        return f"{self.prefix}.{name.replace('_', '-')}"

    def write_settings(self, **sections: Mapping[str, Any]) -> None:
        """Write the settings file; `sections` override it key by key."""
        settings: dict[str, Any] = {
            "kafka": {
                "bootstrap_servers": self.cluster.bootstrap,
                "group_id": self.group,
                "topic_prefix": self.topic_prefix,
            },
            "sources": list(self.sources.values()),
            "hooks": {"path": str(self.hooks_folder)},
            "delivery": {"quick_attempts": 1},
            "retry": {"delays": list(self.delays)},
            "network": {"allow": ["127.0.0.0/8"]},
            "admin": {"port": 0},
            "delivery_log": dict(self.delivery_log),
        }
        for name, section in sections.items():
            settings[name] = {**settings.get(name, {}), **section}
        self.config.write_text(yaml.safe_dump(settings, allow_unicode=True))

    def write_hooks(self, *hooks: Mapping[str, Any]) -> None:
        """Replace the definitions by these, in one file."""
        self.hooks = [dict(hook) for hook in hooks]
        text = yaml.safe_dump_all(self.hooks, allow_unicode=True, sort_keys=False)
        (self.hooks_folder / "hooks.yaml").write_text(text)

    async def create_topics(self, partitions: int = 3) -> None:
        """Make the source topics."""
        await self.cluster.create(list(self.sources), partitions=partitions)

    async def create_own_topics(self, partitions: int = 3) -> None:
        """Create the topics that a daemon creates at its start."""
        keep = {"retention.ms": "-1"}
        await self.cluster.create(self.own_topics, partitions=partitions, configs=keep)

    async def remove_topics(self) -> None:
        """Remove everything in the cluster that is this test's own."""
        topics = [*self.sources, *self.own_topics, *self.live_topics, *self.log_topics]
        await self.cluster.delete(topics)

    async def create_live_topics(self) -> None:
        """Make the topics of live definitions, each with one partition."""
        definitions, audit, status = self.live_topics
        compacted = {"cleanup.policy": "compact"}
        await self.cluster.create([definitions, status], partitions=1, configs=compacted)
        await self.cluster.create([audit], partitions=1, configs={"retention.ms": "-1"})

    async def dead_letters(self) -> list[Placed]:
        """The records of the dead-letter topic."""
        return await self.cluster.read(self.dead_letter_topic)

    async def behind(self) -> dict[tuple[str, int], int]:
        """The lag of each partition of the sources, retry topics and overflow topic that has a
        commit.
        """
        ends = await self.cluster.ends([*self.sources, *self.own_topics[:-1]])
        committed = await self.cluster.committed(self.group)
        missing = {place: end - committed.get(place, 0) for place, end in ends.items()}
        return {place: number for place, number in missing.items() if number}

    async def caught_up(self) -> bool:
        """Whether the group has committed every end: nothing is under way or deferred."""
        return not await self.behind()


def hook(hook_id: str, origin: str, tail: str = "", **more: Any) -> dict[str, Any]:
    """A definition for every record of the `event` trigger, unless `more` says otherwise."""
    return {"id": hook_id, "trigger": "event", "uri": f"{origin}/h/{hook_id}{tail}", **more}


def event(event_id: str, key: str = "k", user: str | None = None, **data: Any) -> bytes:
    """A record of the `event` trigger."""
    facts: dict[str, Any] = {"id": event_id, "data": {"event_key": key, **data}}
    return json.dumps(facts if user is None else {**facts, "user": {"id": user}}).encode()


def ids_of(hook_id: str, event_ids: Iterable[str]) -> set[str]:
    """The deliveries' ids, for event ids that need no encoding (`delivery_id`)."""
    return {f"{event_id}:{hook_id}" for event_id in event_ids}
