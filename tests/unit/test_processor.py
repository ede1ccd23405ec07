"""What the system tells about this process's want of CPU."""

import time
from pathlib import Path

import pytest

from consumer import processor
from consumer.processor import seconds_wanted


def test_time_that_the_thread_runs_is_wanted() -> None:
    """The seconds wanted grow by what the thread runs, in seconds of the system's count."""
    before, began = seconds_wanted(), time.thread_time()
    while time.thread_time() - began < 0.05:
        pass
    assert seconds_wanted() - before >= 0.045


@pytest.mark.parametrize("content", [None, "", "1 2", "a b c"])
def test_a_system_that_does_not_tell_is_no_error(
    content: str | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system does not tell how long a thread waited, the time that it ran counts."""
    path = tmp_path / "schedstat"
    if content is not None:
        path.write_text(content)
    monkeypatch.setattr(processor, "_SCHEDSTAT", path)
    assert abs(seconds_wanted() - time.thread_time()) < 0.5


def test_time_that_the_thread_waited_to_run_is_wanted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What waited for a processor counts like what ran: both are nanoseconds of the same file."""
    path = tmp_path / "schedstat"
    path.write_text("1500000000 250000000 7\n")
    monkeypatch.setattr(processor, "_SCHEDSTAT", path)
    assert seconds_wanted() == 1.75
