"""Structured logs: one line for one event, as JSON for machines or as text for people.

Everything goes through the standard library's `logging`, so libraries are heard too; the
formatters and one filter are all that is ours.
"""

import asyncio
import logging
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal, TextIO

import orjson

from consumer.clock import Clock
from consumer.stdio import BackgroundStream

Format = Literal["json", "text"]
REPEAT_INTERVAL_SECONDS = 30.0
"""Seconds for which a library's message is not said again."""

_HANDLER_NAME = "hookstream"
_RATE_LIMITED_LOGGERS = ("aiokafka", "asyncio")


class Logger:
    """`log.info("hooks loaded", hooks=3)`: a constant event, and fields that say what varies.

    Fields never hold a secret or a request's URL. `time`, `level`, `logger`, `event` and
    `exception` are the line's own; a field of such a name is not shown.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        """Only of use to someone who reads the code."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: object) -> None:
        """Something worth knowing that needs nobody."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Something is not as it should be, and the daemon copes."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, *, cause: BaseException | None = None, **fields: object) -> None:
        """A person has to do something. `cause` is an exception that no code expected, a bug: it
        is shown with its traceback.
        """
        self._logger.error(event, exc_info=cause, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    """The logger of one module; call it with `__name__`."""
    return Logger(logging.getLogger(name))


def configure(format: Format, level: str, stream: TextIO | BackgroundStream, clock: Clock) -> None:
    """Send every logger's records to `stream`; a second call replaces the first.

    Args:
        format: `json` or `text`.
        level: `debug`, `info`, `warning` or `error`, in any case; the lowest level shown.
            aiokafka shows warnings at the lowest, whatever stands here.
        stream: usually standard error.
        clock: measures the interval in which a library may not repeat itself.
    """
    handler = logging.StreamHandler(stream)
    handler.set_name(_HANDLER_NAME)
    handler.setFormatter(JsonFormatter() if format == "json" else TextFormatter())
    handler.addFilter(RepeatFilter(clock))
    lowest = logging.getLevelNamesMapping()[level.upper()]
    root = logging.getLogger()
    for earlier in [known for known in root.handlers if known.name == _HANDLER_NAME]:
        root.removeHandler(earlier)
    root.addHandler(handler)
    root.setLevel(lowest)
    if isinstance(stream, BackgroundStream):
        stream.describe_gap = partial(_gap_line, handler)
    logging.getLogger("aiokafka").setLevel(max(lowest, logging.WARNING))


def _gap_line(handler: logging.Handler, dropped: int) -> str:
    """See `BackgroundStream`: the line for lines that standard error did not take."""
    record = logging.LogRecord(
        __name__, logging.WARNING, "", 0, "log lines dropped: they could not be written", None, None
    )
    record.__dict__["fields"] = {"lines": dropped}
    return handler.format(record)


def log_uncaught(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """An exception handler for `loop.set_exception_handler`: one record for one exception."""
    del loop
    task = context.get("task") or context.get("future")
    fields = {"message": context["message"]}
    if isinstance(task, asyncio.Task):
        fields["task"] = task.get_name()
    logging.getLogger("asyncio").error(
        "uncaught exception", exc_info=context.get("exception"), extra={"fields": fields}
    )


class RepeatFilter(logging.Filter):
    """Lets each message of aiokafka and asyncio through once in an interval.

    A broker that is away makes aiokafka say the same some hundred times a minute. A message is
    known by the line of code that says it and the type of its exception, not by its text: texts
    hold offsets and ids and would never repeat, and the memory used here stays bounded. The next
    one let through has the number of those left out since in the field `suppressed`.
    """

    def __init__(self, clock: Clock, interval: float = REPEAT_INTERVAL_SECONDS) -> None:
        super().__init__()
        self._clock = clock
        self._interval = interval
        self._said: dict[tuple[str, int, type | None], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to show the record; other loggers' records always are."""
        if record.name.partition(".")[0] not in _RATE_LIMITED_LOGGERS:
            return True
        error = record.exc_info[0] if record.exc_info else None
        message = (record.pathname, record.lineno, error)
        now = self._clock.monotonic()
        said_at, suppressed = self._said.get(message, (float("-inf"), 0))
        if now - said_at < self._interval:
            self._said[message] = (said_at, suppressed + 1)
            return False
        self._said[message] = (now, 0)
        if suppressed:
            record.__dict__["fields"] = {**_fields(record), "suppressed": suppressed}
        return True


class JsonFormatter(logging.Formatter):
    """One JSON object a line: `time`, `level`, `logger`, `event`, the fields, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end."""
        own = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            own["exception"] = self.formatException(record.exc_info)
        # Twice `own`: the first says the order, the second wins over fields of the same name.
        line = {**own, **_fields(record), **own}
        return _SEPARATOR_CHARACTERS.sub(_escape, _json(line))


class TextFormatter(logging.Formatter):
    """`time LEVEL logger: event key=value ...`, and a traceback indented below its line."""

    def format(self, record: logging.LogRecord) -> str:
        """The line, without its end; no value can start a line of its own."""
        event = printable(record.getMessage())
        pairs = [f"{key}={_text(value)}" for key, value in _fields(record).items()]
        head = f"{_time(record)} {record.levelname:<7} {record.name}: "
        lines = [head + " ".join([event, *pairs])]
        if record.exc_info:
            traceback = self.formatException(record.exc_info).splitlines()
            lines += [f"    {printable(line)}" for line in traceback]
        return "\n".join(lines)


_SEPARATOR_CHARACTERS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""What JSON may hold bare, and terminals or line readers still act upon."""
_BARE_VALUE = re.compile(r"[^\s\"'=\\]+")


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    """RFC 3339 in UTC with milliseconds."""
    created = datetime.fromtimestamp(record.created, UTC)
    return created.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(line: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Lone surrogates, integers beyond 64 bits, cycles: shown as text rather than lost.
        return orjson.dumps({key: _utf8(str(value)) for key, value in line.items()}).decode()


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _text(value: object) -> str:
    text = str(value)
    if text.isprintable() and _BARE_VALUE.fullmatch(text):
        return text
    return '"' + printable(text.replace("\\", r"\\").replace('"', r"\"")) + '"'


def printable(text: str) -> str:
    """The text with everything that is no plain character or space as an escape."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
