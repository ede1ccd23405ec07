"""The log lines that a person or a log store reads."""

import asyncio
import io
import json
import logging
import os
import sys
from collections.abc import Callable, Iterator
from datetime import datetime
from enum import StrEnum

import pytest

from consumer.logs import Format, configure, get_logger, log_uncaught
from consumer.stdio import BackgroundStream


class FakeClock:
    """Time that moves when the test says so."""

    def __init__(self) -> None:
        self.seconds = 1000.0

    def now(self) -> float:
        """Seconds since the epoch."""
        return self.seconds

    def monotonic(self) -> float:
        """Seconds since some start."""
        return self.seconds


@pytest.fixture
def clock() -> FakeClock:
    """The clock that rations repeats."""
    return FakeClock()


@pytest.fixture(autouse=True)
def own_logging() -> Iterator[None]:
    """The process's logging as it was before the test."""
    root, library = logging.getLogger(), logging.getLogger("aiokafka")
    handlers, level, library_level = root.handlers[:], root.level, library.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    library.setLevel(library_level)


Start = Callable[..., io.StringIO]


@pytest.fixture
def start(clock: FakeClock) -> Start:
    """Configures logging to a stream in memory."""

    def start(format: Format = "json", level: str = "info") -> io.StringIO:
        stream = io.StringIO()
        configure(format, level, stream, clock)
        return stream

    return start


def raised(message: str) -> Exception:
    """An exception with a traceback."""
    with pytest.raises(ValueError, match=r".*") as caught:
        raise ValueError(message)
    return caught.value


def test_json_has_time_level_logger_event_and_fields(start: Start) -> None:
    """A JSON line is one object with the time in RFC 3339 UTC with milliseconds, level, logger,
    event and fields.
    """
    stream = start()
    before = datetime.now().astimezone()
    get_logger("consumer.reload").info("hooks loaded", hooks=3, file="a b.yaml")
    line = stream.getvalue()
    assert line.endswith("}\n")
    found = json.loads(line)
    time = found.pop("time")
    assert len(time) == len("2026-11-24T10:00:00.123Z")
    assert time.endswith("Z")
    assert abs((datetime.fromisoformat(time) - before).total_seconds()) < 5
    assert found == {
        "level": "info",
        "logger": "consumer.reload",
        "event": "hooks loaded",
        "hooks": 3,
        "file": "a b.yaml",
    }


def test_text_has_the_same_for_people(start: Start) -> None:
    """A text line has the same content, and values with spaces, quotes or nothing in them are
    quoted.
    """
    stream = start("text")
    get_logger("consumer.app").warning("slow", hook="h1", n=3, a="b c", q='"\\', empty="")
    time, rest = stream.getvalue().split(" ", 1)
    assert datetime.fromisoformat(time).tzinfo is not None
    assert rest == 'WARNING consumer.app: slow hook=h1 n=3 a="b c" q="\\"\\\\" empty=""\n'


@pytest.mark.parametrize("level", ["debug", "info", "warning", "error"])
def test_what_lies_below_the_level_is_not_shown(start: Start, level: str) -> None:
    """Records below the level are not logged."""
    stream = start("json", level)
    log = get_logger("consumer.x")
    log.debug("debug")
    log.info("info")
    log.warning("warning")
    log.error("error")
    shown = [json.loads(line)["event"] for line in stream.getvalue().splitlines()]
    levels = ["debug", "info", "warning", "error"]
    assert shown == levels[levels.index(level) :]


def test_an_exception_is_one_field_of_its_line(start: Start) -> None:
    """An exception's traceback is one field of its line."""
    stream = start()
    get_logger("consumer.pipeline").error("delivery failed", cause=raised("boom"), hook="h1")
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert found["level"] == "error"
    assert found["hook"] == "h1"
    assert found["exception"].startswith("Traceback (most recent call last):\n")
    assert found["exception"].endswith("ValueError: boom")


HOSTILE = "a\nb\r\x1b[31m\x00\x7f\x85\x9b\u2028\u2029\u202eend"


@pytest.mark.parametrize("place", ["event", "field", "exception", "library"])
@pytest.mark.parametrize("format", ["json", "text"])
def test_nothing_in_a_value_breaks_a_line(start: Start, format: Format, place: str) -> None:
    """Line breaks and escapes in a value are escaped, so no line or colour can be forged."""
    stream = start(format)
    log = get_logger("consumer.x")
    if place == "event":
        log.error(HOSTILE)
    elif place == "field":
        log.error("said", text=HOSTILE)
    elif place == "exception":
        log.error("said", cause=raised(HOSTILE))
    else:
        logging.getLogger("aiokafka.conn").error("said %s", HOSTILE)
    lines = stream.getvalue().splitlines()
    bare = "\r\x1b\x00\x7f\x85\x9b\u2028\u2029"
    assert not any(character in stream.getvalue() for character in bare)
    # Only the traceback for people has lines of its own, and each of them is indented.
    assert all(line.startswith("    ") for line in lines[1:])
    assert len(lines) == 1 or (format == "text" and place == "exception")
    if format == "json":
        assert HOSTILE in "".join(map(str, json.loads(lines[0]).values()))


class Kind(StrEnum):
    """A label of the kind that the code has many of."""

    DNS = "dns"


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (Kind.DNS, "dns"),
        (b"\xff", "b'\\xff'"),
        ({1: "x"}, {"1": "x"}),
        (2**70, str(2**70)),
        ("\ud800", "\\ud800"),
        (float("nan"), None),
        (OSError("gone"), "gone"),
    ],
)
def test_no_value_is_too_odd_to_be_shown(start: Start, value: object, shown: object) -> None:
    """A value of any type is logged without an error."""
    stream = start()
    get_logger("consumer.x").info("odd", value=value)
    assert json.loads(stream.getvalue())["value"] == shown


def test_an_odd_value_leaves_the_others_as_they_are(start: Start) -> None:
    """An odd value leaves the other fields of its line as they are."""
    stream = start()
    get_logger("consumer.x").info("odd", value=OSError("gone"), n=3)
    assert json.loads(stream.getvalue())["n"] == 3


def test_a_field_cannot_pose_as_the_line_s_own(start: Start) -> None:
    """A field with the name of level or time does not replace them."""
    stream = start()
    get_logger("consumer.x").info("said", level="debug", time="never", logger="me")
    found = json.loads(stream.getvalue())
    assert (found["level"], found["logger"]) == ("info", "consumer.x")
    assert found["time"] != "never"


def test_configuring_again_replaces(start: Start) -> None:
    """Configuring logs again replaces the handlers, and no record is written twice."""
    first, second = start("json", "info"), start("text", "debug")
    get_logger("consumer.x").debug("said")
    assert first.getvalue() == ""
    assert second.getvalue().count("said") == 1


def test_aiokafka_is_heard_from_warning_up(start: Start) -> None:
    """Records of aiokafka are logged from warning up, even at level debug."""
    stream = start("json", "debug")
    library = logging.getLogger("aiokafka.consumer.group_coordinator")
    library.info("Heartbeat")
    library.warning("Heartbeat failed")
    assert [json.loads(line)["event"] for line in stream.getvalue().splitlines()] == [
        "Heartbeat failed"
    ]


def test_a_stricter_level_holds_for_aiokafka_too(start: Start) -> None:
    """A stricter level holds for aiokafka too."""
    stream = start("json", "error")
    logging.getLogger("aiokafka").warning("said")
    assert stream.getvalue() == ""


def test_a_broker_that_is_away_writes_a_line_an_interval(start: Start, clock: FakeClock) -> None:
    """A thousand equal lines in a minute are logged as three, which say how many were left out."""
    stream = start()
    library = logging.getLogger("aiokafka.conn")
    for number in range(1000):
        library.warning("Unable to connect, correlation %d", number)
        clock.seconds += 1 / 16
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line.get("suppressed") for line in lines] == [None, 479, 479]


def test_another_message_is_heard_at_once(start: Start) -> None:
    """A message of another kind is logged at once."""
    stream = start()
    library = logging.getLogger("aiokafka")
    library.warning("first")
    library.warning("second")
    assert len(stream.getvalue().splitlines()) == 2


def test_our_own_lines_are_never_left_out(start: Start) -> None:
    """The daemon's own lines are never left out."""
    stream = start()
    log = get_logger("consumer.reload")
    for number in range(3):
        log.warning("refused", hook=number)
    assert len(stream.getvalue().splitlines()) == 3


async def test_an_uncaught_exception_is_one_line(start: Start) -> None:
    r"""An uncaught exception is one line with its traceback and context.

    1. A callback on the loop raises.\n2. The loop calls its exception handler, which is ours.
    """
    stream = start()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_uncaught)

    def fail() -> None:
        raise raised("boom")

    loop.call_soon(fail)
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    (line,) = stream.getvalue().splitlines()
    found = json.loads(line)
    assert (found["level"], found["event"]) == ("error", "uncaught exception")
    assert "fail" in found["message"]
    assert found["exception"].endswith("ValueError: boom")


async def test_a_failed_task_is_named(start: Start) -> None:
    """A failed task whose exception was never retrieved is logged with its name."""
    stream = start()
    loop = asyncio.get_running_loop()
    loop.set_exception_handler(log_uncaught)

    async def fail() -> None:
        raise raised("boom")

    task = asyncio.create_task(fail(), name="pump")
    await asyncio.wait([task])
    del task
    found = json.loads(stream.getvalue())
    assert found["task"] == "pump"


def test_a_callback_that_always_fails_does_not_flood(start: Start, clock: FakeClock) -> None:
    """Equal uncaught exceptions are logged once an interval, and one of another kind at once."""
    stream = start()
    loop = asyncio.new_event_loop()
    for error in (raised("a"), raised("b"), OSError("c")):
        log_uncaught(loop, {"message": "Exception in callback", "exception": error})
    clock.seconds += 31
    log_uncaught(loop, {"message": "Exception in callback", "exception": raised("d")})
    loop.close()
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [line["exception"].rpartition("\n")[2] for line in lines] == [
        "ValueError: a",
        "OSError: c",
        "ValueError: d",
    ]
    assert lines[-1]["suppressed"] == 1


@pytest.mark.parametrize("format", ["json", "text"])
def test_lines_that_are_missing_are_told_in_the_logs_own_format(format: Format) -> None:
    """Lines that were dropped are counted in a line of the log's own format."""
    reading, writing = os.pipe()
    out = BackgroundStream(writing, capacity=0)
    configure(format, "info", out, FakeClock())
    line = out.describe_gap(3)
    out.finish()
    os.close(reading)
    os.close(writing)
    if format == "json":
        assert json.loads(line)["lines"] == 3
        assert json.loads(line)["level"] == "warning"
    else:
        assert line.endswith("log lines dropped: they could not be written lines=3")


def test_an_unknown_level_is_refused() -> None:
    """An unknown log level is refused."""
    with pytest.raises(KeyError):
        configure("json", "loud", sys.stderr, FakeClock())
