"""Structured logs: one line per event, as JSON or as text.

They use the standard library's `logging`, with formatters and a filter of our own, so the logs of
libraries are included.
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
"""Minimum time between two equal messages of a library."""

_HANDLER_NAME = "hookstream"
_RATE_LIMITED_LOGGERS = ("aiokafka", "asyncio")


class Logger:
    """A structured logger: `log.info("hooks loaded", hooks=3)`, with a constant event and fields.

    Fields never hold a secret or a request's URL. The names `time`, `level`, `logger`, `event` and
    `exception` are reserved; a field of such a name is dropped.
    """

    __slots__ = ("_logger",)

    def __init__(self, logger: logging.Logger) -> None:
        self._logger = logger

    def debug(self, event: str, **fields: object) -> None:
        """Log a detail that is useful only together with the code."""
        self._logger.debug(event, extra={"fields": fields})

    def info(self, event: str, **fields: object) -> None:
        """Log an event that requires no action."""
        self._logger.info(event, extra={"fields": fields})

    def warning(self, event: str, **fields: object) -> None:
        """Log a problem that the daemon handles."""
        self._logger.warning(event, extra={"fields": fields})

    def error(self, event: str, *, cause: BaseException | None = None, **fields: object) -> None:
        """Log a problem that requires action; `cause`: an unexpected exception, with traceback."""
        self._logger.error(event, exc_info=cause, extra={"fields": fields})


def get_logger(name: str) -> Logger:
    """Return the logger of a module; call it with `__name__`."""
    return Logger(logging.getLogger(name))


def configure(format: Format, level: str, stream: TextIO | BackgroundStream, clock: Clock) -> None:
    """Send all loggers' records to `stream`; a second call replaces the first.

    Args:
        format: `json` or `text`.
        level: the lowest level: `debug`, `info`, `warning` or `error`, in upper or lower case.
            For aiokafka it is at least `warning`.
        stream: usually standard error.
        clock: measures `REPEAT_INTERVAL_SECONDS`.
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
    """Format the line that reports dropped lines (see `BackgroundStream`)."""
    record = logging.LogRecord(
        __name__, logging.WARNING, "", 0, "log lines dropped: they could not be written", None, None
    )
    record.__dict__["fields"] = {"lines": dropped}
    return handler.format(record)


def log_uncaught(loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """Log an exception, as a handler for `loop.set_exception_handler`."""
    del loop
    task = context.get("task") or context.get("future")
    fields = {"message": context["message"]}
    if isinstance(task, asyncio.Task):
        fields["task"] = task.get_name()
    logging.getLogger("asyncio").error(
        "uncaught exception", exc_info=context.get("exception"), extra={"fields": fields}
    )


class RepeatFilter(logging.Filter):
    """A filter that passes each message of aiokafka and asyncio once per interval.

    An unreachable broker makes aiokafka repeat a message some hundred times a minute. Messages are
    identified by line of code and exception type, not by text: texts contain offsets and ids, so
    they would never repeat, and memory would grow. The next message that passes has the number of
    those suppressed since in the field `suppressed`.
    """

    def __init__(self, clock: Clock, interval: float = REPEAT_INTERVAL_SECONDS) -> None:
        super().__init__()
        self._clock = clock
        self._interval = interval
        self._passed: dict[tuple[str, int, type | None], tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether to log the record; other loggers' records always pass."""
        if record.name.partition(".")[0] not in _RATE_LIMITED_LOGGERS:
            return True
        error = record.exc_info[0] if record.exc_info else None
        message = (record.pathname, record.lineno, error)
        now = self._clock.monotonic()
        passed_at, suppressed = self._passed.get(message, (float("-inf"), 0))
        if now - passed_at < self._interval:
            self._passed[message] = (passed_at, suppressed + 1)
            return False
        self._passed[message] = (now, 0)
        if suppressed:
            record.__dict__["fields"] = {**_fields(record), "suppressed": suppressed}
        return True


class JsonFormatter(logging.Formatter):
    """A formatter: one JSON object with `time`, `level`, `logger`, `event`, fields, `exception`."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end."""
        own = {
            "time": _time(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        if record.exc_info:
            own["exception"] = self.formatException(record.exc_info)
        # `own` twice: the first sets the order, the second overrides fields of the same name.
        line = {**own, **_fields(record), **own}
        return _SEPARATOR_CHARACTERS.sub(_escape, _json(line))


class TextFormatter(logging.Formatter):
    """A formatter: `time LEVEL logger: event key=value ...`, with an indented traceback below."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line without its end; newlines in values are escaped."""
        event = printable(record.getMessage())
        pairs = [f"{key}={_text(value)}" for key, value in _fields(record).items()]
        head = f"{_time(record)} {record.levelname:<7} {record.name}: "
        lines = [head + " ".join([event, *pairs])]
        if record.exc_info:
            traceback = self.formatException(record.exc_info).splitlines()
            lines += [f"    {printable(line)}" for line in traceback]
        return "\n".join(lines)


_SEPARATOR_CHARACTERS = re.compile("[\x7f-\x9f\u2028\u2029]")
"""Characters that JSON need not escape, but that terminals or line readers interpret."""
_BARE_VALUE = re.compile(r"[^\s\"'=\\]+")


def _fields(record: logging.LogRecord) -> Mapping[str, object]:
    fields: Mapping[str, object] = getattr(record, "fields", {})
    return fields


def _time(record: logging.LogRecord) -> str:
    """The record's time in RFC 3339, UTC, with milliseconds."""
    created = datetime.fromtimestamp(record.created, UTC)
    return created.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _json(line: Mapping[str, object]) -> str:
    try:
        return orjson.dumps(line, default=str, option=orjson.OPT_NON_STR_KEYS).decode()
    except orjson.JSONEncodeError:
        # Lone surrogates, integers beyond 64 bits, cycles: logged as text.
        return orjson.dumps({key: _utf8(str(value)) for key, value in line.items()}).decode()


def _utf8(text: str) -> str:
    return text.encode(errors="backslashreplace").decode()


def _text(value: object) -> str:
    text = str(value)
    if text.isprintable() and _BARE_VALUE.fullmatch(text):
        return text
    return '"' + printable(text.replace("\\", r"\\").replace('"', r"\"")) + '"'


def printable(text: str) -> str:
    """Escape everything except printable characters and spaces."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)


def _escape(match: re.Match[str]) -> str:
    return f"\\u{ord(match[0]):04x}"
