"""Records of the delivery log as the format says, written by the plainest means."""

from typing import Any

import orjson

from consumer.journal.record_fields import FORMAT
from consumer.journal.records import DeliveryRecord


def delivery_value(record: DeliveryRecord) -> bytes:
    """The value of a record of the delivery log; its key is the hook's id."""
    value: dict[str, Any] = {
        "format": FORMAT,
        "at": record.at,
        "delivery": record.delivery,
        "hook": record.hook,
        "source": record.source,
        "attempt": record.attempt,
        "outcome": record.outcome,
        "replica": record.replica,
    }
    for name in ("event", "revision", "status", "error", "retry_at", "reason", "user", "trace"):
        content = getattr(record, name)
        if content is not None:
            value[name] = content
    if record.attempt:
        value["ms"] = record.ms._asdict()
    return orjson.dumps(value)
