"""Parses `--hook`, `--reason` and `--since`."""

from datetime import datetime
from difflib import get_close_matches

import typer

from consumer.clock import Clock
from consumer.documents.durations import parse_duration
from consumer.errors import InvalidValue
from consumer.reasons import Reason
from consumer.stream.dead_letters import Selection


def choose(hook: str | None, reason: str | None, since: str | None, clock: Clock) -> Selection:
    """The selection of dead letters that the options name.

    Raises:
        typer.BadParameter: an option is invalid; the message says what is valid.
    """
    return Selection(hook, _reason(reason), _since(since, clock))


def _reason(text: str | None) -> str | None:
    if text is None or text in set(Reason):
        return text
    close = get_close_matches(text, Reason, n=1)
    hint = f"did you mean {close[0]}? " if close else ""
    raise typer.BadParameter(
        f"{text!r} is no reason; {hint}there are: {', '.join(Reason)}", param_hint="--reason"
    )


def _since(text: str | None, clock: Clock) -> int | None:
    """Epoch milliseconds of an RFC 3339 time, or of a duration before now."""
    if text is None:
        return None
    try:
        moment = clock.now() - parse_duration(text)
    except InvalidValue:
        try:
            written = datetime.fromisoformat(text)
        except ValueError:
            written = None
        if written is None or written.tzinfo is None:
            raise typer.BadParameter(
                f"{text!r} is neither a duration such as 2h nor a time with its zone such as "
                "2026-11-24T10:00:00Z",
                param_hint="--since",
            ) from None
        moment = written.timestamp()
    return max(0, int(moment * 1000))  # Kafka has no times before the epoch
