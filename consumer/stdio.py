"""Standard streams that can neither block the daemon nor be confused with other files.

A thread writes standard error, because a write blocks while the reader of a pipe or a terminal does
not read. `O_NONBLOCK` would change the stream for every process that shares it.
"""

import atexit
import errno
import os
import select
import sys
import threading
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from io import BufferedWriter, FileIO, TextIOBase, TextIOWrapper
from typing import Any, NoReturn, TextIO

CAPACITY_BYTES = 128 * 1024
"""Queue for lines to be written, about seven hundred: enough for a short pause of the reader."""
MAX_WRITE_BYTES = 64 * 1024
"""Maximum of one write: the capacity of a pipe."""
STALL_TIMEOUT_SECONDS = 1.0
"""How long a blocking stream waits for a reader that reads nothing."""
FLUSH_SECONDS = 1.0
"""How long the process waits at its end until its last lines are written."""
WRITABLE_CHECK_SECONDS = 1.0
"""Interval of checks of a descriptor that another process made non-blocking."""


def describe_gap(dropped: int) -> str:
    """The line to write in place of `dropped` lines."""
    return f"{dropped} lines were dropped: standard error could not be written"


class BackgroundStream(TextIOBase):
    """A text stream for the file descriptor `fd`. A thread writes its lines whole and in order.

    While more than `capacity` bytes wait, and when a write fails (no reader, disk full), lines are
    dropped, counted and replaced by a line of `describe_gap`. Writing blocks only if `may_block`.
    """

    encoding = "utf-8"

    def __init__(
        self,
        fd: int,
        *,
        capacity: int = CAPACITY_BYTES,
        write: Callable[[int, bytes], int] = os.write,
        stall_timeout: float = STALL_TIMEOUT_SECONDS,
    ) -> None:
        self.may_block = False
        """Whether writing waits for a full stream, until nothing was written for `stall_timeout`
        seconds. Only while there are no deliveries to delay."""
        self.dropped = 0
        """Total of lines that were not written."""
        self.describe_gap: Callable[[int], str] = describe_gap
        self._fd = fd
        self._capacity = capacity
        self._write = write
        self._stall_timeout = stall_timeout
        self._lines = deque[bytes]()
        self._waiting = 0
        """Bytes queued or being written."""
        self._partial = b""
        """A line whose end has not been written yet."""
        self._unreported = 0
        """Dropped lines that no line reports yet."""
        self._torn = False
        """Whether the last write ended within a line."""
        self._failing = False
        """Whether the last write failed: a line that reports it would be dropped as well."""
        self._stuck = False
        self._closing = False
        # Reentrant: the garbage collector may run while it is held, and cause a warning.
        lock = threading.RLock()
        self._arrived = threading.Condition(lock)
        self._written = threading.Condition(lock)
        self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def isatty(self) -> bool:
        """See `io.IOBase`: called by rich."""
        return os.isatty(self._fd)

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return self._fd

    def write(self, text: str) -> int:
        """Queue the complete lines of `text`; the rest waits for its end."""
        with self._arrived:
            self._partial += text.encode(errors="backslashreplace")
            lines, newline, self._partial = self._partial.rpartition(b"\n")
            if newline:
                self._put(lines + newline)
        return len(text)

    @contextmanager
    def without_blocking(self) -> Iterator[None]:
        """Set `may_block` to False while entered."""
        before, self.may_block = self.may_block, False
        try:
            yield
        finally:
            self.may_block = before

    def finish(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait up to `seconds` until all is written. The stream must not be used afterwards."""
        with self._arrived:
            if self._partial:
                self._put(self._partial + b"\n")
            self._closing = True
            self._arrived.notify()
        self._thread.join(seconds)

    def _put(self, lines: bytes) -> None:
        if not self._has_capacity(len(lines)):
            self._drop(lines)
            return
        self._report_gap()
        self._lines.append(lines)
        self._waiting += len(lines)
        self._arrived.notify()

    def _has_capacity(self, size: int) -> bool:
        # A text larger than the capacity is queued if the queue is empty.
        while self._waiting and self._waiting + size > self._capacity:
            if not self.may_block or self._stuck:
                return False
            self._stuck = not self._written.wait(self._stall_timeout)
        return True

    def _drop(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        self.dropped += count
        self._unreported += count

    def _report_gap(self) -> None:
        if self._unreported and not self._failing:
            line = self.describe_gap(self._unreported).encode(errors="backslashreplace") + b"\n"
            self._unreported = 0
            self._lines.append(line)
            self._waiting += len(line)

    def _run(self) -> None:
        while (chunk := self._take()) is not None:
            unwritten = self._write_all(chunk)
            with self._written:
                self._waiting -= len(chunk)
                self._stuck, self._failing = False, bool(unwritten)
                self._drop(unwritten)
                if not self._lines:
                    self._report_gap()
                self._written.notify_all()

    def _take(self) -> bytes | None:
        """Wait for the next lines, up to one write; None at the end."""
        with self._arrived:
            while not self._lines and not self._closing:
                self._arrived.wait()
            if not self._lines:
                return None
            chunk = [self._lines.popleft()]
            size = len(chunk[0])
            while self._lines and size + len(self._lines[0]) <= MAX_WRITE_BYTES:
                size += len(self._lines[0])
                chunk.append(self._lines.popleft())
            return b"".join(chunk)

    def _write_all(self, chunk: bytes) -> bytes:
        """Write `chunk`; return the unwritten rest, which may begin within a line."""
        rest = b"\n" + chunk if self._torn else chunk
        while rest:
            try:
                count = self._write(self._fd, rest)
            except BlockingIOError:
                select.select((), (self._fd,), (), WRITABLE_CHECK_SECONDS)
            except OSError:
                break
            else:
                self._torn = rest[count - 1 : count] != b"\n"
                rest = rest[count:]
        return rest[-len(chunk) :]


class OutputError(Exception):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.reader_is_gone = error.errno == errno.EPIPE
        """Whether it is a pipe without a reader, as in `| head -1`."""


class _Output(FileIO):
    """The raw file of a standard stream. The first failing write raises `OutputError`, or nothing
    if `ignore_errors`; later writes are dropped, including those at the end of the process.
    """

    def __init__(self, fd: int, *, ignore_errors: bool) -> None:
        super().__init__(fd, "w", closefd=False)
        self._ignore_errors = ignore_errors
        self._failed = False

    def write(self, data: Any, /) -> int:
        """See `io.RawIOBase`: bytes of any kind."""
        if not self._failed:
            try:
                return super().write(data)
            except OSError as error:
                self._failed = True
                if not self._ignore_errors:
                    raise OutputError(error) from error
        return memoryview(data).nbytes


def check_output() -> None:
    """Make failing writes to standard output raise `OutputError`; drop those to standard error."""
    sys.stdout = _checked(sys.stdout, ignore_errors=False)
    sys.stderr = _checked(sys.stderr, ignore_errors=True)


def _checked(stream: TextIO, *, ignore_errors: bool) -> TextIO:
    if not isinstance(stream, TextIOWrapper):  # closed, or a `BackgroundStream`
        return stream
    return TextIOWrapper(
        BufferedWriter(_Output(stream.fileno(), ignore_errors=ignore_errors)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )


def keep_descriptors() -> None:
    """Open standard streams that were closed before the process began: the next file or connection
    would get their number, and receive what is written to standard error.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest free number, which is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)


def background_stderr() -> BackgroundStream:
    """Replace `sys.stderr` with a blocking `BackgroundStream`, unless it already is one."""
    if isinstance(sys.stderr, BackgroundStream):
        return sys.stderr
    stream = BackgroundStream(2)
    stream.may_block = True
    sys.stderr = stream
    return stream


def end_process(code: object) -> NoReturn:
    """End the process as `sys.exit(code)` does, without waiting for threads that may be blocked."""
    atexit._run_exitfuncs()  # noqa: SLF001  # as Python does; no public way
    with suppress(OSError, ValueError, OutputError):  # no reader
        sys.stdout.flush()
    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.finish()
    os._exit(code if isinstance(code, int) else int(code is not None))
