"""Where a dead letter goes when it is replayed, and the record that replays it; it is pure."""

from collections.abc import Collection
from dataclasses import dataclass, replace

from consumer.records.delivery_metadata import Replay
from consumer.records.header_sink import HeaderList, HeaderSink
from consumer.records.record import Headers
from consumer.stream.dead_letters import DeadLetterRecord

REPLAY_REASON = "replay"
"""The value of `hookstream-reason` on the retry topic."""


@dataclass(frozen=True, slots=True)
class ReplayRecord:
    """The record that replays a dead letter: an `outbox.Message`."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers
    record_ref: str
    """`topic/partition/offset` of the dead letter."""
    spread: bool = False
    partition: int | None = None
    is_ordered: bool = False

    def write_headers(self, sink: HeaderSink) -> None:
        """See `outbox.Message`."""
        sink.add_all(self.headers)


@dataclass(frozen=True, slots=True)
class Route:
    """Targets of dead letters: `retry_topic` for deliveries, the source for undecodable records."""

    retry_topic: str
    """The retry topic with the shortest delay."""
    sources: Collection[str]
    """Topics that the daemon consumes."""
    group: str
    """`kafka.group_id`, the group that reads the replayed records."""

    def why_not_replayable(self, dead_letter: DeadLetterRecord) -> str:
        """The reason why a dead letter cannot be replayed; empty if it can."""
        metadata = dead_letter.metadata
        if metadata is None:
            return "not written by hookstream"
        if not dead_letter.value:
            return "stored without its value, which was empty or too large"
        if not metadata.hook and metadata.topic not in self.sources:
            return f"undecodable, and {metadata.topic} is no longer a source"
        return ""

    def target(self, dead_letter: DeadLetterRecord) -> str:
        """The target topic of a replayable dead letter."""
        metadata = dead_letter.metadata
        return self.retry_topic if metadata is None or metadata.hook else metadata.topic

    def message(self, dead_letter: DeadLetterRecord, now: float) -> ReplayRecord:
        """The record that replays a dead letter, due at once; `now`: epoch seconds.

        The delivery keeps its id and its event; its attempts are counted from 0 again.
        """
        metadata, replay = dead_letter.metadata, Replay(dead_letter.record_ref, now)
        sink = HeaderList()
        if metadata is None or not metadata.hook:
            replay.write_source_headers(sink, self.group)
        else:
            replace(
                metadata,
                reason=REPLAY_REASON,
                attempts=0,
                last_status="",
                first_failed_at=None,
                not_before=now,
                unknown_since=None,
                detail="",
                replay=replay,
            ).write_headers(sink, self.group)
        sink.add_all(dead_letter.headers)
        return ReplayRecord(
            self.target(dead_letter),
            dead_letter.key,
            dead_letter.value,
            sink.headers,
            dead_letter.record_ref,
        )
