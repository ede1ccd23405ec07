"""From a record to its settlement: the only place that joins stream and delivery."""

import asyncio
from dataclasses import dataclass, replace
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from consumer.delivery.dispatcher import Dispatcher
from consumer.delivery.transport import Answer, ErrorKind
from consumer.events.decode import Decoder
from consumer.hooks.table import Hook, RateLimit
from consumer.matching.index import Index
from consumer.metrics import Metrics
from consumer.pipeline import Pipeline
from consumer.stream.handover import Handover, Letter
from consumer.stream.lanes import Lane
from consumer.stream.passport import Passport, Replay, read_passport
from consumer.stream.tracker import Partition, Pending
from support.bench import CIRCUIT, LIMITS, POLICY
from support.fakes import (
    FakeClock,
    FakeRecord,
    FakeTransport,
    make_hook,
    make_record,
    make_table,
    make_value,
)

LANES = [Lane("hookstream.retry.10s", 10.0), Lane("hookstream.retry.1m", 60.0)]
DEAD = "hookstream.dead-letter"


@dataclass
class Posted:
    """One record that was handed over."""

    letter: Letter

    @property
    def passport(self) -> Passport:
        """Its headers, read again."""
        return read_passport(self.letter.headers)

    def record(self, **place: Any) -> FakeRecord:
        """As it is consumed again."""
        return FakeRecord(
            self.letter.value,
            self.letter.topic,
            key=self.letter.key,
            headers=self.letter.headers,
            **place,
        )


class Line:
    """A pipeline whose network, broker and time are the test's."""

    def __init__(self, *hooks: Hook, **decoders: Decoder) -> None:
        self.clock = FakeClock()
        self.transport = FakeTransport(self.clock)
        self.metrics = Metrics("0", CollectorRegistry())
        self.handover = Handover(NoProducer(), self.metrics)
        self.pipeline = Pipeline(
            index=Index(make_table(*hooks)),
            decoders=decoders or {"event": Decoder("event"), "push-click": Decoder("push_click")},
            lanes=LANES,
            dead_letter_topic=DEAD,
            handover=self.handover,
            dispatcher=self._dispatcher,
            clock=self.clock,
            metrics=self.metrics,
        )
        self.partitions: dict[str, Partition] = {}

    def _dispatcher(self, pipeline: Pipeline) -> Dispatcher[Pending]:
        return Dispatcher(
            transport=self.transport,
            outcomes=pipeline,
            limits=LIMITS,
            policy=replace(POLICY, lanes=(10.0, 60.0)),
            circuit_policy=CIRCUIT,
            clock=self.clock,
            timer=self.clock.call_later,
            random=lambda: 0.5,
            metrics=self.metrics,
        )

    def take(self, record: FakeRecord) -> Partition:
        """Take one record in; returns its topic's tracker."""
        partition = self.partitions.setdefault(record.topic, Partition(record.topic, 0))
        self.pipeline.take(record, partition)
        return partition

    def use(self, *hooks: Hook) -> None:
        """Reload the hooks."""
        self.pipeline.index = Index(make_table(*hooks))

    @property
    def post(self) -> list[Posted]:
        """What waits for the broker, in order."""
        return [Posted(letter) for letter in self.handover._queue]

    def acknowledge(self) -> Posted:
        """The broker has the oldest."""
        posted = Posted(self.handover._queue.popleft())
        posted.letter.acknowledged()
        return posted

    def count(self, name: str, **labels: str) -> float | None:
        """A metric."""
        return self.metrics.registry.get_sample_value(f"hookstream_{name}", labels)


class NoProducer:
    """These tests look into the queue instead."""

    async def send(self, letter: object) -> Any:
        """Never called."""
        raise AssertionError(letter)

    async def renew(self) -> None:
        """Never called."""


EVENT = {"id": "e1", "occurred_at": 1_799_999_999_000, "data": {"event_key": "purchase"}}


def test_a_delivered_event_is_settled() -> None:
    """And counted, with its delay since it happened."""
    line = Line(make_hook("h1"))
    partition = line.take(make_record(EVENT))
    assert partition.committable == 0
    line.clock.advance(1.0)
    line.transport.answer(200)
    assert partition.committable == 1
    assert line.post == []
    assert line.count("events_total", trigger="event", result="matched") == 1.0
    assert line.count("deliveries_total", hook="h1", outcome="delivered") == 1.0
    assert line.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(2.0)


def test_an_event_that_nobody_wants_is_settled_at_once() -> None:
    """It costs no request and no memory."""
    line = Line(make_hook("h1", select=frozenset({"other"})))
    assert line.take(make_record(EVENT)).committable == 1
    assert line.transport.sent == []
    assert line.count("events_total", trigger="event", result="unmatched") == 1.0


def test_an_event_is_settled_when_its_last_delivery_is() -> None:
    """Each hook is a delivery of its own, and one fails."""
    line = Line(make_hook("h1"), make_hook("h2"))
    partition = line.take(make_record(EVENT, key=b"k"))
    line.transport.answer(200)
    line.transport.answer(503)
    assert partition.committable == 0
    posted = line.acknowledge()
    assert partition.committable == 1
    assert posted.letter.topic == LANES[0].topic


def test_a_parked_delivery_keeps_what_it_needs() -> None:
    """Key and value unchanged; the rest in headers. It counts once the broker has it."""
    line = Line(make_hook("h1"))
    record = make_record(EVENT, key=b"k", offset=7, timestamp=1_799_999_999_500)
    partition = line.take(record)
    line.transport.answer(503)
    (posted,) = line.post
    assert (posted.letter.key, posted.letter.value) == (b"k", record.value)
    assert posted.passport == Passport(
        reason="503",
        topic="event",
        partition=0,
        offset=7,
        timestamp=1_799_999_999_500,
        trigger="event",
        delivery_id="e1:h1",
        hook="h1",
        attempts=1,
        last_status="503",
        first_failed_at=line.clock.now(),
        not_before=line.clock.now() + 10.0,
    )
    assert partition.committable == 7
    assert line.count("deliveries_total", hook="h1", outcome="retried") == 0.0
    line.acknowledge()
    assert partition.committable == 8
    assert line.count("deliveries_total", hook="h1", outcome="retried") == 1.0


def test_a_retry_goes_on_where_it_was() -> None:
    """Same id, attempts counted on, first failure kept, the next lane; then delivered."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT, offset=7))
    line.transport.answer(503)
    first = line.acknowledge()
    line.clock.advance(12.0)
    lane = line.take(first.record(offset=70, timestamp=1_800_000_011_000))
    line.transport.answer(503)
    second = line.acknowledge()
    assert lane.committable == 71
    assert second.letter.topic == LANES[1].topic
    assert second.passport == replace(
        first.passport, attempts=2, not_before=line.clock.now() + 60.0
    )
    line.take(second.record(offset=80))
    line.transport.answer(200)
    assert line.post == []
    ids = {line for request in line.transport.sent for line in request.headers[1:2]}
    assert ids == {b"webhook-id: e1:h1"}


def test_a_retried_event_without_id_or_time_keeps_those_of_its_first_record() -> None:
    """Its id is made of the first place; a replay would else be another delivery."""
    line = Line(make_hook("h1", parameters=[("id", make_value("event", "id"))]))
    line.take(make_record({}, offset=7, timestamp=1_799_999_990_000))
    line.transport.answer(503)
    line.take(line.acknowledge().record(offset=70, timestamp=1_800_000_099_000))
    assert {request.url for request in line.transport.sent} == {
        "https://receiver.example/hook?id=event-0-7"
    }
    line.transport.answer(200)
    assert line.count("delivery_latency_seconds_sum", hook="h1") == pytest.approx(10.0)


def test_a_retry_is_sent_as_the_hook_is_defined_now() -> None:
    """A mended URI helps what waits."""
    line = Line(make_hook("h1", uri="https://receiver.example/wrong"))
    line.take(make_record(EVENT))
    line.transport.answer(503)
    line.use(make_hook("h1", uri="https://receiver.example/right"))
    line.take(line.acknowledge().record())
    assert line.transport.sent[-1].url == "https://receiver.example/right"


@pytest.mark.parametrize(
    ("hooks", "reason", "label"),
    [
        ([], "hook_removed", ""),
        ([make_hook("h1", enabled=False)], "disabled", "h1"),
    ],
)
def test_a_retry_whose_hook_went_is_a_dead_letter(
    hooks: list[Hook], reason: str, label: str
) -> None:
    """With its whole story, and without an attempt."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT, key=b"k"))
    line.transport.answer(503)
    parked = line.acknowledge()
    line.use(*hooks)
    lane = line.take(parked.record())
    assert lane.committable == 0
    posted = line.acknowledge()
    assert lane.committable == 1
    assert (posted.letter.topic, posted.letter.key) == (DEAD, b"k")
    assert posted.passport == replace(parked.passport, reason=reason, not_before=None)
    assert line.count("dead_letters_total", hook=label, reason=reason) == 1.0
    assert len(line.transport.sent) == 1


@pytest.mark.parametrize("value", [b"\xff not json \x00", b"[]", b"", None])
def test_an_undecodable_record_is_buried_as_its_raw_bytes(value: bytes | None) -> None:
    """Reason and place in the headers; the partition goes on once the broker has it."""
    line = Line(make_hook("h1"))
    partition = line.take(FakeRecord(value, offset=3, key=b"\x00k", timestamp=5))
    (posted,) = line.post
    assert (posted.letter.topic, posted.letter.key, posted.letter.value) == (DEAD, b"\x00k", value)
    assert replace(posted.passport, detail="") == Passport("undecodable", "event", 0, 3, 5, "event")
    assert partition.committable == 3
    line.acknowledge()
    assert partition.committable == 4
    assert line.count("events_total", trigger="event", result="undecodable") == 1.0
    assert line.count("dead_letters_total", hook="", reason="undecodable") == 1.0


def test_a_foreign_record_on_a_retry_topic_is_buried() -> None:
    """Somebody else wrote it: no hook is known, nothing is sent."""
    line = Line(make_hook("h1"))
    lane = line.take(FakeRecord(b"{}", LANES[0].topic, headers=[("trace", b"\xff")]))
    posted = line.acknowledge()
    assert (posted.letter.topic, posted.passport.reason) == (DEAD, "undecodable")
    assert lane.committable == 1
    assert line.transport.sent == []


def test_a_retry_that_no_longer_decodes_keeps_its_delivery() -> None:
    """The source's mapping changed; a replay after the mend goes on with it."""
    line = Line(make_hook("h1"))
    line.take(make_record(EVENT))
    line.transport.answer(503)
    parked = line.acknowledge()
    broken = Posted(replace(parked.letter, value=b"[]"))
    line.take(broken.record())
    posted = line.acknowledge()
    assert posted.passport.reason == "undecodable"
    assert (posted.passport.delivery_id, posted.passport.hook) == ("e1:h1", "h1")


@pytest.mark.parametrize(
    ("trigger", "sent"), [("push_click", True), ("geofence", True), ("nothing", False)]
)
def test_a_retry_of_a_topic_that_is_no_source_any_more(trigger: str, sent: bool) -> None:
    """Its trigger tells how to read it."""
    line = Line(make_hook("h1"))
    passport = Passport("503", "old", 0, 0, 0, trigger, delivery_id="e1:h1", hook="h1")
    line.take(FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers()))
    assert bool(line.transport.sent) is sent
    assert [posted.passport.reason for posted in line.post] == ([] if sent else ["undecodable"])


@pytest.mark.parametrize(
    ("answer", "reason", "status"),
    [
        (404, "permanent", "404"),
        (410, "permanent", "410"),
        (Answer(error=ErrorKind.BLOCKED, detail="10.0.0.1 is private"), "blocked", "blocked"),
    ],
)
def test_a_permanent_failure_is_a_dead_letter(
    answer: Answer | int, reason: str, status: str
) -> None:
    """With reason and status, settled once the broker has it."""
    line = Line(make_hook("h1"))
    partition = line.take(make_record(EVENT))
    line.transport.answer(answer)
    assert partition.committable == 0
    posted = line.acknowledge()
    assert partition.committable == 1
    assert posted.letter.topic == DEAD
    assert (posted.passport.reason, posted.passport.last_status) == (reason, status)
    assert posted.passport.not_before is None
    assert line.count("dead_letters_total", hook="h1", reason=reason) == 1.0
    assert line.count("deliveries_total", hook="h1", outcome="dead_lettered") == 1.0


def test_a_rejected_delivery_tells_its_field_and_not_its_value() -> None:
    """The dead letter says how to mend it."""
    hook = make_hook("h1", headers={"X": make_value("event", "data.note")})
    line = Line(hook)
    line.take(make_record({"id": "e1", "data": {"note": "canary\n"}}))
    (posted,) = line.post
    assert posted.passport.reason == "rejected"
    assert posted.passport.detail == "header X would hold a control character"
    assert "canary" not in str(posted.letter.headers)


def test_a_replay_is_told_on_all_further_ways() -> None:
    """A delivery that fails again tells that a person sent it back."""
    line = Line(make_hook("h1"))
    replay = Replay("hookstream.dead-letter/0/5", 1_800_000_000.0)
    passport = Passport(
        "503", "event", 0, 0, 0, "event", delivery_id="e1:h1", hook="h1", replay=replay
    )
    line.take(FakeRecord(b'{"id": "e1"}', LANES[0].topic, headers=passport.headers()))
    line.transport.answer(404)
    assert line.post[0].passport.replay == replay


def test_one_too_large_to_park_is_buried_without_its_value() -> None:
    """Its source tells where it can be read; it is settled once the broker has that."""
    line = Line(make_hook("h1"))
    partition = line.take(make_record(EVENT, offset=7))
    line.transport.answer(503)
    line.handover._queue.popleft().too_large()
    posted = line.acknowledge()
    assert (posted.letter.topic, posted.letter.value) == (DEAD, b"")
    assert (posted.passport.reason, posted.passport.source) == ("exhausted", "event/0/7")
    assert posted.passport.detail.startswith("too large")
    assert partition.committable == 8


def test_a_partition_that_left_wants_no_hand_over() -> None:
    """The next owner does it; an acknowledgement that comes late settles nothing here."""
    line = Line(make_hook("h1"))
    partition = line.take(make_record(EVENT))
    line.transport.answer(503)
    assert line.post[0].letter.wanted()
    partition.revoked = True
    assert not line.post[0].letter.wanted()


def test_park_hands_over_what_has_no_outcome() -> None:
    """To the first lane, without an attempt spent; the answer that comes later is void."""
    line = Line(make_hook("h1", rate_limit=RateLimit(1, 60.0, 1)))
    partition = line.take(make_record(EVENT))
    line.take(make_record({**EVENT, "id": "e2"}, offset=1))
    line.pipeline.park(lambda pending: pending.partition is partition)
    assert [posted.letter.topic for posted in line.post] == [LANES[0].topic] * 2
    assert [posted.passport.reason for posted in line.post] == ["stopped", "stopped"]
    assert sorted(posted.passport.attempts for posted in line.post) == [0, 1]
    line.transport.answer(200)
    line.acknowledge()
    line.acknowledge()
    assert partition.committable == 2


def test_intake_pauses_while_the_broker_takes_no_hand_over() -> None:
    """Else memory would fill with what cannot be settled (invariant 2)."""
    line = Line(make_hook("h1"))
    assert not line.pipeline.full
    line.handover.failing = True
    assert line.pipeline.full


async def test_room_relieves_the_waiting_room() -> None:
    """An endpoint that hangs cannot hold up intake for longer than the patience."""
    line = Line(make_hook("h1"))
    line.pipeline.dispatcher.endpoint(make_hook("h2"))
    for offset in range(LIMITS.waiting + 10):
        line.take(make_record({"id": f"e{offset}"}, offset=offset))
    assert line.pipeline.full
    line.clock.advance(2.0)
    async with asyncio.timeout(10):
        while line.pipeline.full:
            await line.pipeline.room()
    assert line.post


@pytest.mark.parametrize(
    ("counts", "shares"),
    [
        ({"event": (2, 4), "push-click": (1, 4)}, {"event": 4 / 8, "push_click": 3 / 8}),
        ({"event": (4, 4), "push-click": (4, 4)}, {"event": 6 / 8, "push_click": 6 / 8}),
        ({"event": (0, 4), "push-click": (4, 4)}, {"event": 2 / 8, "push_click": 6 / 8}),
    ],
)
def test_rate_limits_are_divided_by_partitions(
    counts: dict[str, tuple[int, int]], shares: dict[str, float]
) -> None:
    """A hook's events come from its trigger's topics and from the lanes."""
    line = Line(
        make_hook("event", rate_limit=RateLimit(1, 1.0, 1)),
        make_hook("push_click", trigger="push_click", rate_limit=RateLimit(1, 1.0, 1)),
    )
    line.pipeline.assigned({**counts, **{lane.topic: (1, 2) for lane in LANES}})
    for hook in line.pipeline.index.hooks.values():
        bucket = line.pipeline.dispatcher.endpoint(hook).bucket
        assert bucket is not None
        assert 1 / bucket.interval == pytest.approx(shares[hook.id])


def test_a_member_without_partitions_divides_by_nothing() -> None:
    """It sends nothing, and the next assignment counts."""
    line = Line(make_hook("h1", rate_limit=RateLimit(1, 1.0, 1)))
    topics = ["event", "push-click", *(lane.topic for lane in LANES)]
    line.pipeline.assigned(dict.fromkeys(topics, (0, 4)))
    line.take(make_record(EVENT))
    assert len(line.transport.sent) == 1
