"""Kafka topic settings that decide whether records are lost.

docs/reference/records.md#topics lists them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from consumer.documents.durations import format_duration

CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES = "cleanup.policy", "retention.ms", "retention.bytes"
MAX_MESSAGE_BYTES, DELETE_RETENTION_MS = "max.message.bytes", "delete.retention.ms"
SETTINGS = (CLEANUP_POLICY, RETENTION_MS, RETENTION_BYTES)
UNLIMITED = -1
_USUAL_RETENTION_SECONDS = 14 * 24 * 3600.0
"""Retention of a new retry topic: longer than a long holiday."""
_MARGIN_SECONDS = 24 * 3600.0
"""Added to the required retention when a topic is created."""
SHORT_RETENTION_SECONDS = 3600.0
"""A source with a shorter retention may lose events in a short downtime of the daemon."""

Values = Mapping[str, str]
"""One topic's settings as reported by the broker: its own, or the broker's defaults."""


class Requirement(Protocol):
    """What one of our own topics must be, so that it loses no records."""

    @property
    def partitions(self) -> int | None:
        """The number of partitions that it must have; None: any, a new one as many as a source."""

    @property
    def optional(self) -> bool:
        """Whether the daemon runs on without it."""

    def settings(self) -> dict[str, str]:
        """Settings for the creation of such a topic."""

    def wrong(self, values: Values) -> dict[str, str]:
        """The settings in `values` that lose records, each with its effect."""


@dataclass(frozen=True, slots=True)
class Retention:
    """A topic that keeps every record for some time.

    `longer_than`: seconds; None for a topic that keeps its records for ever.
    """

    longer_than: float | None
    partitions: int | None = None
    more: Mapping[str, str] = field(default_factory=dict)
    """Further settings of a new topic."""
    optional: bool = False

    def settings(self) -> dict[str, str]:
        """See `Requirement`."""
        keep_ms = UNLIMITED
        if self.longer_than is not None:
            keep_ms = _ms(max(_USUAL_RETENTION_SECONDS, self.longer_than + _MARGIN_SECONDS))
        return {
            CLEANUP_POLICY: "delete",
            RETENTION_MS: str(keep_ms),
            RETENTION_BYTES: str(UNLIMITED),
            **self.more,
        }

    def wrong(self, values: Values) -> dict[str, str]:
        """See `Requirement`."""
        found = {}
        if values.get(CLEANUP_POLICY, "delete") != "delete":
            found[CLEANUP_POLICY] = "only the last record of each key is kept"
        retention = _number(values, RETENTION_MS)
        if retention != UNLIMITED and not self._suffices(retention):
            found[RETENTION_MS] = self._loss(retention)
        if _number(values, RETENTION_BYTES) != UNLIMITED:
            found[RETENTION_BYTES] = "a partition that grows beyond this loses its oldest records"
        return found

    def _suffices(self, retention: int) -> bool:
        return self.longer_than is not None and retention > _ms(self.longer_than)

    def _loss(self, retention: int) -> str:
        after = f"records are deleted after {format_duration(max(0, retention) / 1000)}"
        if self.longer_than is None:
            return after
        return f"{after}, and may be needed for {format_duration(self.longer_than)}"


@dataclass(frozen=True, slots=True)
class Compaction:
    """A topic that keeps the last record of each key for ever, all keys in one order."""

    partitions: int | None = 1
    more: Mapping[str, str] = field(default_factory=dict)
    """Further settings of a new topic."""
    optional: bool = False

    def settings(self) -> dict[str, str]:
        """See `Requirement`."""
        return {CLEANUP_POLICY: "compact", **self.more}

    def wrong(self, values: Values) -> dict[str, str]:
        """See `Requirement`."""
        policy = values.get(CLEANUP_POLICY, "compact")
        if policy == "compact":
            return {}
        if "compact" in policy:
            return {CLEANUP_POLICY: "the last record of a key is deleted too once it is old"}
        return {CLEANUP_POLICY: "records are deleted once they are old, the last of a key too"}


@dataclass(frozen=True, slots=True)
class History:
    """A topic for people, which keeps its records for `keep` seconds; of `last_of_each_key` only
    the last one, in time. The daemon runs on without it.
    """

    keep: float
    last_of_each_key: bool = False
    partitions: int | None = None
    optional: bool = True

    def settings(self) -> dict[str, str]:
        """See `Requirement`."""
        retention = {RETENTION_MS: str(_ms(self.keep)), RETENTION_BYTES: str(UNLIMITED)}
        if self.last_of_each_key:
            # Small segments are compacted soon: a count comes every second.
            often = {"segment.ms": "3600000", "min.cleanable.dirty.ratio": "0.1"}
            return {CLEANUP_POLICY: "compact,delete", **retention, **often}
        return {CLEANUP_POLICY: "delete", **retention}

    def wrong(self, values: Values) -> dict[str, str]:
        """See `Requirement`. How long such a topic keeps its records is for its owner to choose."""
        policy = values.get(CLEANUP_POLICY, "")
        if self.last_of_each_key and "compact" not in policy:
            return {CLEANUP_POLICY: "all counts of an hour are kept, not only the last ones"}
        if not self.last_of_each_key and "compact" in policy:
            return {CLEANUP_POLICY: "only the last record of each hook is kept"}
        return {}


@dataclass(frozen=True, slots=True)
class TopicProblem:
    """One of our own topics that would lose records."""

    topic: str
    wrong: Mapping[str, str]
    """Wrong settings with their values."""
    loss: Sequence[str]
    """The effect of each wrong setting."""
    hint: str
    """The command that corrects them."""

    def __str__(self) -> str:
        values = ", ".join(f"{setting}={value}" for setting, value in self.wrong.items())
        return f"the topic {self.topic} has {values} ({'; '.join(self.loss)}): run {self.hint}"


def partition_problem(topic: str, partitions: int, required: Requirement) -> str | None:
    """Check the number of partitions of one of our own topics; None if it is right."""
    if required.partitions in (None, partitions):
        return None
    return (
        f"the topic {topic} has {partitions} partitions, and must have {required.partitions}, so "
        "that its records have one order: keep a copy of them and delete it, then it is made again"
    )


def topic_problem(
    topic: str, values: Values, required: Requirement, servers: Sequence[str]
) -> TopicProblem | None:
    """Check one of our own topics; None if it is right. `servers` are for the hint's command."""
    wrong = required.wrong(values)
    if not wrong:
        return None
    right = required.settings()
    hint = (
        f"kafka-configs.sh --bootstrap-server {','.join(servers)} --alter --entity-type topics "
        f"--entity-name {topic} --add-config "
        + ",".join(f"{setting}={right[setting]}" for setting in wrong)
    )
    return TopicProblem(
        topic, {setting: values[setting] for setting in wrong}, list(wrong.values()), hint
    )


def source_warnings(values: Values) -> Iterator[str]:
    """Yield how a source with these settings may lose events before they are read."""
    if "compact" in values.get(CLEANUP_POLICY, ""):
        yield "it is compacted: of events with the same key only the last one is certain to be read"
    retention = _number(values, RETENTION_MS)
    if UNLIMITED < retention < _ms(SHORT_RETENTION_SECONDS):
        yield f"events that wait for {format_duration(retention / 1000)} are deleted unread"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _number(values: Values, setting: str) -> int:
    """A setting's number; unlimited if the broker does not report it."""
    try:
        return int(values[setting])
    except (KeyError, ValueError):
        return UNLIMITED
