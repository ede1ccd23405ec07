"""Deliveries whose hook a replica does not know, or has switched off: which wait, how long."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from consumer.events.decode import Decoder
from consumer.stream.lanes import UNKNOWN_HOOK_SECONDS, unknown_hook_lane
from consumer.stream.passport import Passport
from support.fakes import FakeRecord, make_hook, make_record
from support.line import DEAD, EVENT, GROUP, LANES, Line, Posted

DELAYS = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)


def _deferred() -> Posted:
    """A delivery of the hook `new`, as another replica deferred it."""
    other = Line(make_hook("new"))
    other.take(make_record(EVENT, key=b"k"))
    other.transport.answer(503)
    return other.acknowledge()


def _return(line: Line, posted: Posted) -> Posted:
    """What a replica writes when the record is due and read."""
    passport = posted.passport
    assert passport.not_before is not None
    line.clock.advance(passport.not_before - line.clock.now())
    line.take(posted.record(timestamp=int(line.clock.now() * 1000)))
    return line.acknowledge()


def test_an_unknown_hook_costs_its_delivery_no_attempt() -> None:
    """A deferred delivery whose hook this replica does not know goes back to a retry topic with all
    it had, and says since when the hook has been unknown.
    """
    line, deferred = Line(make_hook("old")), _deferred()
    again = _return(line, deferred)
    assert again.letter.topic == LANES[0].topic
    assert again.letter.value == deferred.letter.value
    assert again.letter.key == b"k"
    assert again.passport == replace(
        deferred.passport,
        reason="hook_removed",
        not_before=line.clock.now() + LANES[0].delay,
        unknown_since=line.clock.now(),
    )
    assert line.transport.sent == []
    assert line.count("deliveries_total", hook="", outcome="retried") == 1.0


def test_a_hook_that_stays_unknown_is_removed_after_ten_minutes() -> None:
    """A delivery whose hook no replica knows is a dead letter `hook_removed` after ten minutes, and
    few records are written until then.
    """
    line, posted = Line(), _deferred()
    began, written = line.clock.now(), 0
    while posted.letter.topic != DEAD:
        posted = _return(line, posted)
        written += 1
    waited = line.clock.now() - began
    assert UNKNOWN_HOOK_SECONDS <= waited <= UNKNOWN_HOOK_SECONDS * 1.2
    assert written <= 15  # with topics of 10 s and 1 min
    assert posted.passport == replace(
        _deferred().passport, reason="hook_removed", not_before=None, detail=posted.passport.detail
    )
    assert line.count("dead_letters_total", hook="", reason="hook_removed") == 1.0


def test_a_replica_that_knows_the_hook_begins_anew() -> None:
    """The time without a hook counts only as long as every replica that reads the delivery does not
    know it.
    """
    stranger, friend = Line(), Line(make_hook("new"))
    unknown = _return(stranger, _deferred())
    friend.take(unknown.record())
    friend.transport.answer(503)
    (again,) = friend.post
    assert again.passport.unknown_since is None
    assert again.passport.attempts == 2


def test_a_hook_that_another_replica_uses_all_the_time_is_not_removed() -> None:
    """As long as replicas that know the hook defer deliveries of it, none that this one reads is
    given up: a canary may run for an hour.
    """
    line, posted = Line(), _deferred()
    began = line.clock.now()
    while line.clock.now() - began < 3_600.0:
        posted = _return(line, posted)
        assert posted.letter.topic != DEAD
        line.take(_deferred().record(timestamp=int(line.clock.now() * 1000), offset=1))
        line.acknowledge()
    began = line.clock.now()
    while posted.letter.topic != DEAD:
        posted = _return(line, posted)
    assert line.clock.now() - began <= UNKNOWN_HOOK_SECONDS * 1.2


def test_an_unknown_hooks_delivery_may_go_to_any_partition() -> None:
    """The partition that its key has is read by one replica, which does not know the hook."""
    deferred = _deferred()
    assert not deferred.letter.spread
    assert _return(Line(), deferred).letter.spread


@pytest.mark.parametrize("since", [-1e12, 1.9e9])
def test_a_clock_that_is_wrong_decides_at_once_or_begins_now(since: float) -> None:
    """A time in the future is no reason to wait for ever."""
    line = Line()
    passport = replace(_deferred().passport, unknown_since=since)
    line.take(FakeRecord(b"{}", LANES[0].topic, headers=passport.headers(GROUP)))
    (posted,) = line.post
    if since < 0:
        assert posted.passport.reason == "hook_removed"
        assert posted.letter.topic == DEAD
    else:
        assert posted.passport.unknown_since == line.clock.now()


def test_a_hook_that_another_replica_has_on_is_not_disabled_here() -> None:
    """A delivery that was deferred after this replica had read its hook as off comes from a replica
    that has it on: it waits like one of an unknown hook, and is `disabled` after ten minutes.
    """
    line = Line(make_hook("new", enabled=False))
    posted = _deferred()
    began = line.clock.now()
    posted = _return(line, posted)
    assert posted.letter.topic == LANES[0].topic
    line.use(make_hook("new", enabled=False), make_hook("other"))  # a reload changes nothing
    while posted.letter.topic != DEAD:
        posted = _return(line, posted)
    assert line.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.passport.reason == "disabled"
    assert line.count("dead_letters_total", hook="new", reason="disabled") == 1.0


def test_a_mapped_source_that_is_unknown_here_is_read_by_no_other_shape() -> None:
    """A delivery whose event only the `fields` of its source tell how to read waits for a replica
    that has that source, and is a dead letter `undecodable` after ten minutes.
    """
    newer = Line(make_hook("h1"), legacy=Decoder("event", {"id": "key"}))
    newer.take(make_record({"key": "e1", "id": "wrong"}, topic="legacy"))
    newer.transport.answer(503)
    deferred = newer.acknowledge()
    line, posted = Line(make_hook("h1")), deferred
    began = line.clock.now()
    while posted.letter.topic != DEAD:
        posted = _return(line, posted)
    assert line.transport.sent == []
    assert line.clock.now() - began >= UNKNOWN_HOOK_SECONDS
    assert posted.passport.reason == "undecodable"
    newer.take(deferred.record())
    assert len(newer.transport.sent) == 2


def test_what_ends_after_its_hook_was_switched_off_is_not_deferred() -> None:
    """An attempt that was under way at the reload and fails would wait only to be given up."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT))
    line.use(make_hook("h1", enabled=False))
    line.transport.answer(503)
    (posted,) = line.post
    assert (posted.letter.topic, posted.passport.reason) == (DEAD, "disabled")


def test_the_waits_end_close_to_the_deadline() -> None:
    """With the default delays: ten seconds, a minute, and ten minutes."""
    now, numbers = 0.0, list[int]()
    while now < UNKNOWN_HOOK_SECONDS:
        numbers.append(unknown_hook_lane(DELAYS, now, UNKNOWN_HOOK_SECONDS - now))
        now += DELAYS[numbers[-1]] * 1.1
    assert numbers == [0, 1, 2]


@given(
    delays=st.lists(st.integers(1, 86_400), min_size=1, max_size=20, unique=True).map(sorted),
    waited=st.floats(0, 1e9),
    left=st.floats(0, UNKNOWN_HOOK_SECONDS, exclude_min=True),
)
def test_no_wait_passes_the_deadline_by_far(delays: list[int], waited: float, left: float) -> None:
    """Any wait but the shortest there is ends before twice the time that was left."""
    number = unknown_hook_lane(delays, waited, left)
    assert number == 0 or delays[number] <= 2 * left


def test_a_record_without_a_group_or_hook_is_our_own() -> None:
    """Older versions wrote no group."""
    line = Line(make_hook("h1"))
    passport = Passport("503", "event", 0, 0, 0, "event", hook="h1")
    record = FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers())
    assert not line.pipeline.is_foreign(record)
    line.take(record)
    assert len(line.transport.sent) == 1
