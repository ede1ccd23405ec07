"""Times that a person writes."""

from datetime import UTC, datetime

from consumer.clock import Clock
from consumer.documents.durations import parse_duration
from consumer.errors import InvalidValue


def moment(text: str, clock: Clock) -> float:
    """Epoch seconds of an RFC 3339 time with its zone, or of a duration before now.

    Raises:
        InvalidValue: it is neither.
    """
    try:
        return clock.now() - parse_duration(text)
    except InvalidValue:
        try:
            written = datetime.fromisoformat(text)
            if written.tzinfo is not None:
                return written.timestamp()
        except (ValueError, OverflowError):
            pass
    raise InvalidValue(
        f"{text!r} is neither a duration such as 2h nor a time with its zone such as "
        "2026-11-24T10:00:00Z",
        "write one of the two",
    )


def milliseconds(text: str, clock: Clock) -> int:
    """`moment` in epoch milliseconds, as Kafka has them: not before the epoch."""
    return max(0, int(moment(text, clock) * 1000))


def rfc3339(at: float | None) -> str | None:
    """Epoch seconds as RFC 3339; a number that is out of range stays a number."""
    if at is None:
        return None
    try:
        text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(at)
    return text.replace("+00:00", "Z")
