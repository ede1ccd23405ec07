"""The source record of a deferred one."""

from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.record import Record


class OriginalRecord:
    """The source record of a deferred one: a `Record`, with the key and value of `deferred`."""

    __slots__ = (
        "headers", "key", "offset", "partition", "replay", "timestamp", "topic", "traceparent",
        "value",
    )  # fmt: skip

    def __init__(self, metadata: DeliveryMetadata, deferred: Record) -> None:
        self.topic = metadata.topic
        self.partition = metadata.partition
        self.offset = metadata.offset
        self.timestamp = metadata.timestamp
        self.key = deferred.key
        self.value = deferred.value
        self.headers = deferred.headers
        """The own ones included; see `original_headers`."""
        self.replay = metadata.replay
        self.traceparent = metadata.traceparent
