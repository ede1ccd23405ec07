"""Records on their way to a retry or dead-letter topic."""

from enum import Enum
from typing import Protocol

from consumer.metrics.hooks import HookMetrics
from consumer.reasons import Reason
from consumer.records.delivery_metadata import DeliveryMetadata
from consumer.records.headers import original_headers
from consumer.records.record import Headers
from consumer.records.tracker import InFlightRecord


class Content(Enum):
    """How much of the consumed record an outgoing record carries."""

    WHOLE = "whole"
    NO_VALUE = "no value"
    OWN_HEADERS = "own headers"


class Router(Protocol):
    """What decides where a record goes, and where it goes if its topic does not take it."""

    group: str
    """`kafka.group_id`."""

    def dead_letter_without_value(self, record: "OutgoingRecord", content: Content) -> None:
        """Send `content` of `record` to the dead-letter topic in its place."""
        ...


class OutgoingRecord:
    """One record on its way to a retry or dead-letter topic: a `handover.ModelRecord`.

    It settles its delivery when the broker has acknowledged it. Its headers are made when it is
    sent.
    """

    __slots__ = (
        "_content",
        "_router",
        "in_flight_record",
        "metadata",
        "metrics",
        "reason",
        "topic",
    )

    def __init__(
        self,
        router: Router,
        topic: str,
        in_flight_record: InFlightRecord,
        metadata: DeliveryMetadata,
        metrics: HookMetrics,
        *,
        reason: Reason | None,
        content: Content,
    ) -> None:
        """`reason`: why it is dead-lettered; None if it is deferred."""
        self._router = router
        self.topic = topic
        self.in_flight_record = in_flight_record
        self.metadata = metadata
        self.metrics = metrics
        self.reason = reason
        self._content = content

    @property
    def key(self) -> bytes | None:
        """As the record had it that was consumed; none without the value."""
        return self.in_flight_record.record.key if self._content is Content.WHOLE else None

    @property
    def spread(self) -> bool:
        """True if another replica is to read it: the one that has the key's partition knows less
        than it should.
        """
        return self.metadata.unknown_since is not None

    @property
    def value(self) -> bytes | None:
        """As the record had it that was consumed; empty if that was too large."""
        return self.in_flight_record.record.value if self._content is Content.WHOLE else b""

    @property
    def headers(self) -> Headers:
        """Those that hookstream adds, then the original ones."""
        own: Headers = self.metadata.headers(self._router.group)
        if self._content is Content.OWN_HEADERS:
            return own
        return [*own, *original_headers(self.in_flight_record.record.headers)]

    @property
    def wanted(self) -> bool:
        """See `handover.ModelRecord.wanted`."""
        return not self.in_flight_record.revoked

    def acknowledged(self) -> None:
        """Count, and settle."""
        if self.reason is None:
            self.metrics.retried()
        else:
            self.metrics.dead_lettered(self.reason)
        self.in_flight_record.ack_one()

    def too_large(self) -> bool:
        """Send less of it in its place, if it is not the least already."""
        if self._content is Content.OWN_HEADERS:
            return False
        smaller = Content.OWN_HEADERS if self._content is Content.NO_VALUE else Content.NO_VALUE
        self._router.dead_letter_without_value(self, smaller)
        return True
