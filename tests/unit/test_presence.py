"""For how long a process may act for its partitions, and what a standstill excuses."""

from types import SimpleNamespace
from typing import Any

import pytest

from consumer.delivery.http.transport import AttemptResult
from consumer.presence import LEASE_SECONDS, Presence
from consumer.reasons import ErrorKind
from consumer.stream.client import HEARTBEAT_INTERVAL_SECONDS, SESSION_TIMEOUT_SECONDS
from support.fakes import FakeClock

TIMEOUT = ErrorKind.TIMEOUT


class ProcessHarness:
    """One whose time the test lets pass."""

    def __init__(self) -> None:
        self.clock = FakeClock()
        self.member = SimpleNamespace(confirmed_at=self.clock.monotonic())
        self.starts_until = self.awake_until = 0.0
        self.wanted = 0.0
        """Seconds in which the process ran or waited to run."""
        self.short_of_cpu = False
        self.woken = 0
        self.excuses: Any = None
        self.outbox = SimpleNamespace(allowed=None)
        member: Any = self.member
        outbox: Any = self.outbox
        self.presence = Presence(member, self, outbox, self.clock, lambda: self.wanted)
        self.presence.standstill.tick()

    def extend(self, *, start_until: float, awake_until: float, short_of_cpu: bool) -> None:
        """See `Scheduler.extend`."""
        self.starts_until, self.awake_until = start_until, awake_until
        self.short_of_cpu = short_of_cpu

    def woke(self) -> None:
        """See `Scheduler.woke`."""
        self.woken += 1

    def runs(self, seconds: float) -> None:
        """Time passes, ticking twice a second."""
        for _ in range(int(seconds * 2)):
            self.stands(0.5)

    def stands(self, seconds: float) -> None:
        """Time passes without a tick but the one at its end."""
        self.clock.advance(seconds)
        self.presence.standstill.tick()

    @property
    def may_send(self) -> bool:
        """Whether deliveries may start; publishing may in the same way."""
        may = self.clock.monotonic() < self.starts_until
        assert self.outbox.allowed() == may
        return may

    def failed(self, error: ErrorKind, seconds: float) -> bool:
        """Whether an attempt of so many seconds that fails now is excused."""
        answer = AttemptResult(error=error, duration=seconds)
        excused: bool = self.excuses(answer, self.clock.monotonic())
        return excused


@pytest.fixture
def process() -> ProcessHarness:
    """A member of its group."""
    return ProcessHarness()


def test_a_process_that_runs_may_send(process: ProcessHarness) -> None:
    """A process that runs may send without a confirmation, since a coordinator may be away for a
    while.
    """
    process.runs(600.0)
    assert process.may_send
    assert not process.presence.doubted
    assert process.woken == 0


def test_a_short_standstill_changes_nothing_for_the_partitions(process: ProcessHarness) -> None:
    """A standstill shorter than the session changes nothing for the partitions, and only measured
    response times are reset.
    """
    process.runs(60.0)
    process.stands(2.0)
    assert process.may_send
    assert process.woken == 1


@pytest.mark.parametrize("seconds", [LEASE_SECONDS + 0.1, 12.0, 20.0, 320.0])
def test_nothing_is_sent_after_a_long_standstill_before_the_group_confirms(
    process: ProcessHarness, seconds: float
) -> None:
    """After a long standstill nothing is sent before the group confirms, not even before the first
    tick or after an old heartbeat's answer.
    """
    process.runs(60.0)
    process.member.confirmed_at = process.clock.monotonic()
    process.clock.advance(seconds)
    assert not process.may_send
    process.presence.standstill.tick()
    assert not process.may_send
    process.runs(30.0)
    assert not process.may_send
    assert process.presence.doubted
    process.member.confirmed_at = process.clock.monotonic()
    process.runs(0.5)
    assert process.may_send
    assert not process.presence.doubted


def test_a_second_standstill_waits_for_another_confirmation(process: ProcessHarness) -> None:
    """A confirmation between two standstills does not count for the second one."""
    process.stands(20.0)
    process.member.confirmed_at = process.clock.monotonic()
    process.stands(20.0)
    assert not process.may_send
    process.runs(1.0)
    assert not process.may_send


def test_the_lease_ends_before_the_session_does() -> None:
    """The lease ends before the session does, since the last heartbeat may be an interval old."""
    assert 0.0 < LEASE_SECONDS < SESSION_TIMEOUT_SECONDS - HEARTBEAT_INTERVAL_SECONDS


def test_a_standstill_excuses_the_time_outs_over_it(process: ProcessHarness) -> None:
    """A standstill excuses time-outs of attempts that began before it, and no other."""
    process.runs(60.0)
    assert not process.failed(TIMEOUT, 10.0)
    process.clock.advance(2.0)
    assert process.failed(TIMEOUT, 2.1)
    process.presence.standstill.tick()
    assert process.failed(TIMEOUT, 2.1)
    process.runs(3.0)
    assert process.failed(TIMEOUT, 3.1)
    assert not process.failed(TIMEOUT, 2.9)


def test_only_a_long_standstill_excuses_other_errors(process: ProcessHarness) -> None:
    """Only a long standstill excuses connection errors."""
    process.stands(2.0)
    assert not process.failed(ErrorKind.CONNECT, 2.1)
    process.stands(20.0)
    assert process.failed(ErrorKind.CONNECT, 0.1)
    assert not process.failed(ErrorKind.CONNECT, 0.0)


def test_a_process_that_just_runs_has_no_excuse(process: ProcessHarness) -> None:
    """A slow tick is no standstill and excuses nothing."""
    process.clock.advance(1.4)
    assert not process.failed(TIMEOUT, 2.0)


def test_the_scheduler_is_told_whether_the_process_is_short_of_cpu() -> None:
    """With each tick the scheduler is told whether the process ran, or waited to run, for more than
    nine tenths of the time since the last one; time that it slept or stood still does not count.
    """
    process = ProcessHarness()
    told = []
    for share in (0.0, 0.8, 0.95, 0.5):
        process.wanted += 0.5 * share
        process.stands(0.5)
        told.append(process.short_of_cpu)
    assert told == [False, False, True, False]
