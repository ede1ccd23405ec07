"""The headers of a record on a retry or dead-letter topic (contract section 5)."""

from collections.abc import Iterable
from dataclasses import dataclass

from consumer.events.decode import Record, UndecodableError

Headers = list[tuple[str, bytes]]

_PREFIX = "hookstream-"


@dataclass(frozen=True, slots=True)
class Passport:
    """Everything that must survive a restart; the record's key and value travel unchanged.

    All empty but `reason` and `source` for a record that could not be decoded.
    """

    reason: str
    """A dead letter's reason, or on a retry topic why it is there."""
    topic: str
    partition: int
    offset: int
    """Where the event was first consumed."""
    timestamp: int
    """Milliseconds since the epoch: the first record's timestamp, an event's time by default."""
    trigger: str
    delivery_id: str = ""
    hook: str = ""
    attempts: int = 0
    last_status: str = ""
    first_failed_at: float | None = None
    """Epoch seconds."""
    not_before: float | None = None
    """Epoch seconds; None on the dead-letter topic."""
    detail: str = ""
    """For people: what was wrong in a few words."""

    @property
    def source(self) -> str:
        """`topic/partition/offset` of the first record."""
        return f"{self.topic}/{self.partition}/{self.offset}"

    def headers(self) -> Headers:
        """The headers, all UTF-8 text; a fact that is not known has none."""
        facts = {
            "delivery-id": self.delivery_id,
            "hook": self.hook,
            "reason": self.reason,
            "attempts": str(self.attempts),
            "last-status": self.last_status,
            "first-failed-at": _seconds(self.first_failed_at),
            "not-before": _seconds(self.not_before),
            "source": self.source,
            "source-timestamp": str(self.timestamp),
            "trigger": self.trigger,
            "detail": self.detail,
        }
        return [(_PREFIX + name, text.encode()) for name, text in facts.items() if text]


def read_passport(headers: Iterable[tuple[str, bytes]]) -> Passport:
    """The passport of a record on a retry or dead-letter topic.

    Raises `UndecodableError` where a header that this daemon writes is missing or malformed:
    then somebody else wrote the record.
    """
    facts = {name.removeprefix(_PREFIX): value for name, value in headers}
    try:
        texts = {name: value.decode() for name, value in facts.items()}
        topic, partition, offset = texts["source"].rsplit("/", 2)
        return Passport(
            reason=texts["reason"],
            topic=topic,
            partition=int(partition),
            offset=int(offset),
            timestamp=int(texts["source-timestamp"]),
            trigger=texts["trigger"],
            delivery_id=texts.get("delivery-id", ""),
            hook=texts.get("hook", ""),
            attempts=int(texts["attempts"]),
            last_status=texts.get("last-status", ""),
            first_failed_at=_number(texts.get("first-failed-at")),
            not_before=_number(texts.get("not-before")),
            detail=texts.get("detail", ""),
        )
    except KeyError as error:
        raise UndecodableError(f"the header {_PREFIX}{error.args[0]} is missing") from None
    except ValueError:
        raise UndecodableError("a hookstream header is malformed") from None


class FirstRecord:
    """A record as it was first consumed, read again from a retry topic: a `Record`."""

    __slots__ = ("headers", "key", "offset", "partition", "timestamp", "topic", "value")

    def __init__(self, passport: Passport, parked: Record) -> None:
        self.topic = passport.topic
        self.partition = passport.partition
        self.offset = passport.offset
        self.timestamp = passport.timestamp
        self.key = parked.key
        self.value = parked.value
        self.headers = parked.headers


def _seconds(moment: float | None) -> str:
    return f"{moment:.3f}" if moment is not None else ""


def _number(text: str | None) -> float | None:
    return float(text) if text is not None else None
