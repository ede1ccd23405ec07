"""Times that a person writes."""

from datetime import UTC, datetime

from consumer.clock import Clock
from consumer.journal.log_filter import parse_since


def milliseconds(text: str, clock: Clock) -> int:
    """Epoch milliseconds, as Kafka has them, of what `parse_since` takes; raises as it does."""
    return parse_since(text, clock.now())


def rfc3339(at: float | None) -> str | None:
    """Epoch seconds as RFC 3339; a number that is out of range stays a number."""
    if at is None:
        return None
    try:
        text = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError, OSError):
        return str(at)
    return text.replace("+00:00", "Z")
