"""Standard streams that can neither stop the daemon nor be taken for something else.

Standard error is written by a thread, because a write waits for as long as the reader of a pipe
or a terminal does not read. Setting `O_NONBLOCK` instead would change the stream for every process
that shares it.
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

CAPACITY = 128 * 1024
"""Bytes of lines that wait to be written, some seven hundred lines: what comes in while a reader
that keeps up is busy for a moment."""
MAX_WRITE = 64 * 1024
"""Bytes of one write: what a pipe holds."""
NO_PROGRESS_SECONDS = 1.0
"""How long a patient stream waits for a reader that reads nothing."""
FLUSH_SECONDS = 1.0
"""How long the end of the process waits until its last lines are written."""
WRITABLE_CHECK_SECONDS = 1.0
"""Interval in which a descriptor that another process made non-blocking is looked at again."""


def describe_gap(dropped: int) -> str:
    """The line that stands where `dropped` lines are missing."""
    return f"{dropped} lines were dropped: standard error could not be written"


class BackgroundStream(TextIOBase):
    """A text stream in front of the file descriptor `fd`. Its lines are written by a thread, whole
    and in order.

    While more than `capacity` bytes wait, and when a write fails (no reader, disk full), lines are
    dropped and counted, and where they are missing a line of `describe_gap` is written. Writing
    never waits unless the stream is `patient`.
    """

    encoding = "utf-8"

    def __init__(
        self,
        fd: int,
        *,
        capacity: int = CAPACITY,
        write: Callable[[int, bytes], int] = os.write,
        no_progress: float = NO_PROGRESS_SECONDS,
    ) -> None:
        self.patient = False
        """Whether a full stream is waited for, until nothing was written for `no_progress` seconds:
        only while there are no deliveries to hold up."""
        self.dropped = 0
        """Lines in all that were not written."""
        self.describe_gap: Callable[[int], str] = describe_gap
        self._fd = fd
        self._capacity = capacity
        self._write = write
        self._no_progress = no_progress
        self._lines = deque[bytes]()
        self._waiting = 0
        """Bytes that are queued or being written."""
        self._begun = b""
        """A line whose end was not written yet."""
        self._untold = 0
        """Dropped lines that no line tells of."""
        self._torn = False
        """Whether the last byte that was written is not the end of a line."""
        self._failing = False
        """Whether the last write failed: a line that tells of it would be dropped as well."""
        self._stuck = False
        self._closing = False
        # Reentrant: the garbage collector may run in here, and what it finds may warn.
        lock = threading.RLock()
        self._arrived = threading.Condition(lock)
        self._written = threading.Condition(lock)
        self._thread = threading.Thread(target=self._run, name="stderr", daemon=True)
        self._thread.start()

    def writable(self) -> bool:
        """See `io.IOBase`."""
        return True

    def isatty(self) -> bool:
        """See `io.IOBase`: rich asks."""
        return os.isatty(self._fd)

    def fileno(self) -> int:
        """See `io.IOBase`."""
        return self._fd

    def write(self, text: str) -> int:
        """Queue the lines that `text` ends; what is behind them waits for its own end."""
        with self._arrived:
            self._begun += text.encode(errors="backslashreplace")
            lines, newline, self._begun = self._begun.rpartition(b"\n")
            if newline:
                self._put(lines + newline)
        return len(text)

    @contextmanager
    def never_waited_for(self) -> Iterator[None]:
        """While entered the stream is not patient."""
        before, self.patient = self.patient, False
        try:
            yield
        finally:
            self.patient = before

    def finish(self, seconds: float = FLUSH_SECONDS) -> None:
        """Wait up to `seconds` until all is written. Nothing must be written afterwards."""
        with self._arrived:
            if self._begun:
                self._put(self._begun + b"\n")
            self._closing = True
            self._arrived.notify()
        self._thread.join(seconds)

    def _put(self, lines: bytes) -> None:
        if not self._has_room(len(lines)):
            self._drop(lines)
            return
        self._tell_gap()
        self._lines.append(lines)
        self._waiting += len(lines)
        self._arrived.notify()

    def _has_room(self, size: int) -> bool:
        # One text that is larger than all may wait where nothing else does.
        while self._waiting and self._waiting + size > self._capacity:
            if not self.patient or self._stuck:
                return False
            self._stuck = not self._written.wait(self._no_progress)
        return True

    def _drop(self, lines: bytes) -> None:
        count = lines.count(b"\n")
        self.dropped += count
        self._untold += count

    def _tell_gap(self) -> None:
        if self._untold and not self._failing:
            line = self.describe_gap(self._untold).encode(errors="backslashreplace") + b"\n"
            self._untold = 0
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
                    self._tell_gap()
                self._written.notify_all()

    def _take(self) -> bytes | None:
        """The next lines, as many as one write takes; None at the end."""
        with self._arrived:
            while not self._lines and not self._closing:
                self._arrived.wait()
            if not self._lines:
                return None
            chunk = [self._lines.popleft()]
            size = len(chunk[0])
            while self._lines and size + len(self._lines[0]) <= MAX_WRITE:
                size += len(self._lines[0])
                chunk.append(self._lines.popleft())
            return b"".join(chunk)

    def _write_all(self, chunk: bytes) -> bytes:
        """What could not be written of `chunk`, perhaps from within a line."""
        left = b"\n" + chunk if self._torn else chunk
        while left:
            try:
                count = self._write(self._fd, left)
            except BlockingIOError:
                select.select((), (self._fd,), (), WRITABLE_CHECK_SECONDS)
            except OSError:
                break
            else:
                self._torn = left[count - 1 : count] != b"\n"
                left = left[count:]
        return left[-len(chunk) :]


class OutputError(Exception):
    """Standard output cannot be written."""

    def __init__(self, error: OSError) -> None:
        super().__init__(f"standard output cannot be written: {error.strerror}")
        self.reader_is_gone = error.errno == errno.EPIPE
        """Whether it is a pipe that has no reader any more, as behind `| head -1`."""


class _Output(FileIO):
    """The file below a standard stream. The first write that fails raises `OutputError`, or nothing
    if it is `unheard`; what is written after that is dropped, also by the end of the process.
    """

    def __init__(self, fd: int, *, unheard: bool) -> None:
        super().__init__(fd, "w", closefd=False)
        self._unheard = unheard
        self._failed = False

    def write(self, data: Any, /) -> int:
        """See `io.RawIOBase`: bytes of any kind."""
        if not self._failed:
            try:
                return super().write(data)
            except OSError as error:
                self._failed = True
                if not self._unheard:
                    raise OutputError(error) from error
        return memoryview(data).nbytes


def check_output() -> None:
    """Let whatever writes to standard output raise `OutputError` if that fails. What standard error
    does not take is dropped: no sentence could tell of it.
    """
    sys.stdout = _checked(sys.stdout, unheard=False)
    sys.stderr = _checked(sys.stderr, unheard=True)


def _checked(stream: TextIO, *, unheard: bool) -> TextIO:
    if not isinstance(stream, TextIOWrapper):  # closed, or a `BackgroundStream`
        return stream
    return TextIOWrapper(
        BufferedWriter(_Output(stream.fileno(), unheard=unheard)),
        encoding=stream.encoding,
        errors=stream.errors,
        line_buffering=stream.line_buffering,
    )


def keep_descriptors() -> None:
    """Open what was closed before the process began: the next file or connection would get its
    number, and whatever is written to standard error after that would go there.
    """
    for number in range(3):
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # the lowest number that is free is this one
    if sys.stdout is None:
        sys.stdout = os.fdopen(1, "w", closefd=False)


def background_stderr() -> BackgroundStream:
    """Put a patient `BackgroundStream` in the place of `sys.stderr`, or return the one there."""
    if isinstance(sys.stderr, BackgroundStream):
        return sys.stderr
    stream = BackgroundStream(2)
    stream.patient = True
    sys.stderr = stream
    return stream


def end_process(code: object) -> NoReturn:
    """End the process as `sys.exit(code)` does, but wait for no thread: one may look up a name, or
    read a file, that never answers.
    """
    atexit._run_exitfuncs()  # noqa: SLF001  # what Python would do, and no public way to it
    with suppress(OSError, ValueError, OutputError):  # nobody reads it any more
        sys.stdout.flush()
    if isinstance(sys.stderr, BackgroundStream):
        sys.stderr.finish()
    os._exit(code if isinstance(code, int) else int(code is not None))
