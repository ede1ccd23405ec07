"""Lines that a thread writes: whole, in order, and without blocking the daemon."""

import errno
import os
import threading
import time
from collections.abc import Callable, Iterator

import pytest

from consumer.stdio import BackgroundStream

PATIENCE = 10.0
"""Seconds for what another thread is sure to do."""


class Descriptor:
    """Takes what is written to it as the test says."""

    def __init__(self) -> None:
        self.taken = b""
        self.at_most = 1 << 20
        """Bytes of one write."""
        self.error: OSError | None = None
        """Raised by each write, once `left` bytes were taken."""
        self.left = 0
        self.may_write = threading.Event()
        self.may_write.set()
        self.asked = threading.Event()
        """Whether a write has begun."""

    def write(self, _fd: int, data: bytes) -> int:
        """A `BackgroundStream`'s `write`."""
        self.asked.set()
        assert self.may_write.wait(PATIENCE)
        if self.error is not None and not self.left:
            raise self.error
        taken = data[: min(self.at_most, self.left if self.error else self.at_most)]
        self.left = max(0, self.left - len(taken))
        self.taken += taken
        return len(taken)

    @property
    def text(self) -> str:
        """Everything that was written."""
        return self.taken.decode()


@pytest.fixture
def fd() -> Iterator[Descriptor]:
    """What is written to; no thread waits for it afterwards."""
    descriptor = Descriptor()
    yield descriptor
    descriptor.may_write.set()


def stream(fd: Descriptor, *, capacity: int = 100, stall_timeout: float = 0.05) -> BackgroundStream:
    """One that tells of a gap as `gap 3`."""
    made = BackgroundStream(-1, capacity=capacity, write=fd.write, stall_timeout=stall_timeout)
    made.describe_gap = lambda dropped: f"gap {dropped}"
    return made


def until(condition: Callable[[], bool]) -> None:
    """Wait for the thread that writes."""
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.001)


def test_lines_are_written_in_order(fd: Descriptor) -> None:
    """Lines are written whole and in order, whatever the pieces that they were written in."""
    out = stream(fd, capacity=10_000)
    for number in range(100):
        out.write(f"line {number}")
        out.write(" ends\nand ")
    out.finish()
    assert fd.text == "and ".join(f"line {number} ends\n" for number in range(100)) + "and \n"
    assert out.dropped == 0


def test_a_write_that_takes_a_part_goes_on(fd: Descriptor) -> None:
    """A partial write goes on with the rest before anything else."""
    fd.at_most = 3
    out = stream(fd, capacity=1_000)
    out.write("İstanbul\n\udcff Ankara\n")
    out.finish()
    assert fd.text == "İstanbul\n\\udcff Ankara\n"


def test_what_is_too_much_is_dropped_counted_and_told(fd: Descriptor) -> None:
    """Lines beyond the bound are dropped and counted, and a line says how many.

    1. The reader does not read: lines wait, and what does not fit is dropped at once. 2. It reads
    again: what waited comes, then one line that tells how many are missing. 3. Later lines are
    written as before.
    """
    fd.may_write.clear()
    out = stream(fd, capacity=30)
    for number in range(8):
        out.write(f"line {number}..\n")
    assert out.dropped == 5
    fd.may_write.set()
    until(lambda: "gap 5\n" in fd.text)
    out.write("later\n")
    out.finish()
    assert fd.text == "line 0..\nline 1..\nline 2..\ngap 5\nlater\n"
    assert out.dropped == 5


def test_a_gap_is_told_where_it_is(fd: Descriptor) -> None:
    """The line about dropped lines comes before the next line that fits."""
    fd.may_write.clear()
    out = stream(fd, capacity=25)
    out.write("first line\n")
    until(fd.asked.is_set)
    out.write("a line that does not fit any more\n" * 2)
    out.write("short\n")
    fd.may_write.set()
    out.finish()
    assert fd.text == "first line\ngap 2\nshort\n"


def test_a_line_larger_than_everything_is_written(fd: Descriptor) -> None:
    """A line larger than the bound is written if nothing else waits."""
    out = stream(fd, capacity=10)
    out.write("x" * 1_000 + "\n")
    out.finish()
    assert fd.text == "x" * 1_000 + "\n"


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EPIPE, errno.EIO, errno.EBADF])
def test_a_write_that_fails_costs_its_lines(fd: Descriptor, number: int) -> None:
    """A failed write loses its lines, which are counted and reported after the next one."""
    fd.error = OSError(number, os.strerror(number))
    out = stream(fd)
    out.write("one\n")
    until(lambda: out.dropped == 1)
    out.write("two\n")
    until(lambda: out.dropped == 2)
    fd.error = None
    out.write("three\n")
    until(lambda: "gap" in fd.text)
    out.finish()
    assert fd.text == "three\ngap 2\n"


def test_a_line_that_was_torn_is_ended(fd: Descriptor) -> None:
    """A line that a full disk cut is ended, so the next one begins on its own line."""
    fd.error, fd.left = OSError(errno.ENOSPC, "full"), 6
    out = stream(fd)
    out.write("one\ntwo\n")
    until(lambda: out.dropped == 1)
    fd.error = None
    out.write("three\n")
    out.finish()
    assert fd.text == "one\ntw\nthree\ngap 1\n"


def test_a_descriptor_that_does_not_wait_is_waited_for() -> None:
    """A non-blocking descriptor is waited for."""
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    try:
        out = BackgroundStream(writing, capacity=1 << 20)
        out.write(("x" * 99 + "\n") * 2_000)
        got = b""
        while len(got) < 200_000:
            got += os.read(reading, 65_536)
        out.finish()
    finally:
        os.close(reading)
        os.close(writing)
    assert got == (b"x" * 99 + b"\n") * 2_000
    assert out.dropped == 0


def test_a_patient_stream_waits_for_a_reader_that_reads(fd: Descriptor) -> None:
    """A patient stream loses nothing of a long answer to a slow reader."""
    out = stream(fd, capacity=50, stall_timeout=PATIENCE)
    out.may_block = True
    for number in range(200):
        out.write(f"line {number}\n")
    out.finish()
    assert fd.text.splitlines() == [f"line {number}" for number in range(200)]
    assert out.dropped == 0


def test_patience_ends(fd: Descriptor) -> None:
    """A reader that reads nothing is waited for once, and not at all while there are deliveries."""
    fd.may_write.clear()
    out = stream(fd, capacity=10, stall_timeout=0.01)
    out.may_block = True
    out.write("0123456789\n" * 3)
    for _ in range(100):
        out.write("0123456789\n")
    assert out.dropped == 100
    with out.without_blocking():
        assert not out.may_block
    assert out.may_block


def test_the_end_is_not_waited_for_for_ever(fd: Descriptor) -> None:
    """A reader that reads nothing does not hold up the end of the process."""
    fd.may_write.clear()
    out = stream(fd)
    out.write("last words\n")
    out.finish(0.01)
    assert fd.text == ""
