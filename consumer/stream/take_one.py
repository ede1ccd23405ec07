"""Gives the handler one record; an error of the handler's loses none."""

from consumer.clock import Clock
from consumer.logs import get_logger
from consumer.records.record import Record, SchemaWantedError
from consumer.records.tracker import OffsetTracker
from consumer.stream.handler import Handler

log = get_logger(__name__)


def take_one(
    handler: Handler, record: Record, tracker: OffsetTracker, clock: Clock
) -> SchemaWantedError | None:
    """Let `handler` take a record of the partition of `tracker`. Returns why it must wait, if it
    must: it is not taken then.
    """
    try:
        handler.handle(record, tracker)
    except SchemaWantedError as wanted:
        return wanted
    except Exception as bug:  # noqa: BLE001  # any error: the record stays
        # Unsettled for ever, so no commit passes it: a bug loses no record.
        tracker.keep(record, clock.monotonic())
        log.error(
            "a record could not be processed",
            cause=bug,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
        )
    return None
