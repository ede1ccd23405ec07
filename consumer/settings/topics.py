"""Names of the topics that hookstream itself writes (docs/reference/records.md#topics)."""

from dataclasses import dataclass

from consumer.documents.durations import format_duration, parse_duration
from consumer.errors import InvalidValue


@dataclass(frozen=True, slots=True)
class OwnTopics:
    """All topics of one installation, below its `kafka.topic_prefix`."""

    prefix: str

    @property
    def dead_letter(self) -> str:
        """The dead-letter topic."""
        return f"{self.prefix}.dead-letter"

    @property
    def overflow(self) -> str:
        """The overflow topic."""
        return f"{self.prefix}.overflow"

    @property
    def hooks(self) -> str:
        """The topic of the live definitions."""
        return f"{self.prefix}.hooks"

    @property
    def hooks_audit(self) -> str:
        """The topic of their changes."""
        return f"{self.prefix}.hooks-audit"

    @property
    def status(self) -> str:
        """The topic of the replicas' status."""
        return f"{self.prefix}.status"

    @property
    def deliveries(self) -> str:
        """The delivery log's topic."""
        return f"{self.prefix}.deliveries"

    @property
    def reports(self) -> str:
        """The topic of the reports."""
        return f"{self.prefix}.reports"

    def retry(self, delay: float) -> str:
        """The retry topic with a delay of `delay` seconds: `hookstream.retry.1m`."""
        return self._retry_start + format_duration(delay)

    def retry_delay(self, topic: str) -> float | None:
        """The delay in seconds that the name of a retry topic tells, whether the settings still
        name that delay or not; None if `topic` is no retry topic of this prefix.
        """
        if not topic.startswith(self._retry_start):
            return None
        try:
            return parse_duration(topic.removeprefix(self._retry_start))
        except InvalidValue:
            return None

    def is_for_waiting(self, topic: str) -> bool:
        """Whether deliveries wait in a topic on purpose: it is a retry or the overflow topic."""
        return topic == self.overflow or topic.startswith(self._retry_start)

    def __contains__(self, topic: str) -> bool:
        return topic in self._named or topic.startswith(self._retry_start)

    @property
    def _named(self) -> tuple[str, ...]:
        live = (self.hooks, self.hooks_audit, self.status)
        return (self.dead_letter, self.overflow, *live, self.deliveries, self.reports)

    @property
    def _retry_start(self) -> str:
        return f"{self.prefix}.retry."
