"""Makes the metadata that a delivery is written with."""

from collections.abc import Collection

from consumer.delivery.scheduling.delivery import Delivery
from consumer.records.delivery_metadata import DeliveryMetadata, Replay, read_replay
from consumer.records.original_record import OriginalRecord
from consumer.records.record import Record


class MetadataMaker:
    """The retry router's: what is to be known of a delivery after a restart."""

    def __init__(self, group: str, mapped_sources: Collection[str]) -> None:
        """`mapped_sources`: the source topics with `fields`."""
        self._group = group.encode()
        self._mapped_sources = mapped_sources

    def __call__(
        self,
        delivery: Delivery,
        reason: str,
        *,
        not_before: float | None = None,
        detail: str = "",
    ) -> DeliveryMetadata:
        """The metadata of a delivery that was submitted. `not_before`: epoch seconds."""
        record = delivery.source_record.record
        return DeliveryMetadata(
            reason=reason,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            timestamp=record.timestamp,
            trigger=delivery.event.trigger,
            delivery_id=delivery.id,
            hook=delivery.endpoint.hook.id,
            attempts=delivery.attempts,
            last_status=delivery.last_status,
            first_failed_at=delivery.first_failed_at,
            not_before=not_before,
            mapped=record.topic in self._mapped_sources,
            detail=detail,
            replay=self.replay(record),
            traceparent=record.traceparent if isinstance(record, OriginalRecord) else "",
        )

    def replay(self, record: Record) -> Replay | None:
        """The last replay of a consumed record."""
        if isinstance(record, OriginalRecord):
            return record.replay
        return read_replay(record.headers, self._group) if record.headers else None
