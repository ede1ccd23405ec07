"""The settings of topics in Kafka that decide whether records are lost.

docs/reference/records.md#topics lists them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from consumer.documents.durations import format_duration

POLICY, RETENTION, BYTES = "cleanup.policy", "retention.ms", "retention.bytes"
RELEVANT = (POLICY, RETENTION, BYTES)
FOR_EVER = -1
_USUAL_RETENTION_SECONDS = 14 * 24 * 3600.0
"""Of a retry topic: outlives a long holiday."""
_MARGIN_SECONDS = 24 * 3600.0
"""What a topic is made with beyond the least that it must have."""
SHORT_SECONDS = 3600.0
"""A source that keeps its events for less loses some whenever the daemon is away for lunch."""

Values = Mapping[str, str]
"""The settings of one topic as the broker tells them: its own, else the broker's defaults."""


@dataclass(frozen=True, slots=True)
class Keeping:
    """How long a topic of ours must keep its records.

    `longer_than`: seconds; None for a topic that keeps them for ever.
    """

    longer_than: float | None

    def settings(self) -> dict[str, str]:
        """What such a topic is made with."""
        keep = FOR_EVER
        if self.longer_than is not None:
            keep = _ms(max(_USUAL_RETENTION_SECONDS, self.longer_than + _MARGIN_SECONDS))
        return {POLICY: "delete", RETENTION: str(keep), BYTES: str(FOR_EVER)}

    def wrong(self, values: Values) -> dict[str, str]:
        """Of a topic with these settings those that lose records, each with what it does."""
        found = {}
        if values.get(POLICY, "delete") != "delete":
            found[POLICY] = "only the last record of each key is kept"
        retention = _number(values, RETENTION)
        if retention != FOR_EVER and not self._suffices(retention):
            found[RETENTION] = self._loss(retention)
        if _number(values, BYTES) != FOR_EVER:
            found[BYTES] = "a partition that grows beyond this loses its oldest records"
        return found

    def _suffices(self, retention: int) -> bool:
        return self.longer_than is not None and retention > _ms(self.longer_than)

    def _loss(self, retention: int) -> str:
        after = f"records are deleted after {format_duration(max(0, retention) / 1000)}"
        if self.longer_than is None:
            return after
        return f"{after}, and may be needed for {format_duration(self.longer_than)}"


@dataclass(frozen=True, slots=True)
class TopicProblem:
    """A topic of ours that would lose records."""

    topic: str
    wrong: Mapping[str, str]
    """Its settings with their values."""
    loss: Sequence[str]
    """What each of them does."""
    hint: str
    """The command that sets them right."""

    def __str__(self) -> str:
        values = ", ".join(f"{setting}={value}" for setting, value in self.wrong.items())
        return f"the topic {self.topic} has {values} ({'; '.join(self.loss)}): run {self.hint}"


def topic_problem(
    topic: str, values: Values, keeping: Keeping, servers: Sequence[str]
) -> TopicProblem | None:
    """What is wrong with one topic of ours; None if nothing is. `servers`: of the command."""
    wrong = keeping.wrong(values)
    if not wrong:
        return None
    right = keeping.settings()
    hint = (
        f"kafka-configs.sh --bootstrap-server {','.join(servers)} --alter --entity-type topics "
        f"--entity-name {topic} --add-config "
        + ",".join(f"{setting}={right[setting]}" for setting in wrong)
    )
    return TopicProblem(
        topic, {setting: values[setting] for setting in wrong}, list(wrong.values()), hint
    )


def source_warnings(values: Values) -> Iterator[str]:
    """How a source with these settings may lose events before they are read."""
    if "compact" in values.get(POLICY, ""):
        yield "it is compacted: of events with the same key only the last one is sure to be read"
    retention = _number(values, RETENTION)
    if FOR_EVER < retention < _ms(SHORT_SECONDS):
        yield f"events that wait for {format_duration(retention / 1000)} are deleted unread"


def _ms(seconds: float) -> int:
    return round(seconds * 1000)


def _number(values: Values, setting: str) -> int:
    """A broker that does not tell a setting has none."""
    try:
        return int(values[setting])
    except (KeyError, ValueError):
        return FOR_EVER
