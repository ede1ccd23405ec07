"""The scheduler under any order of submissions, answers, time, revocations and reloads."""

from collections import Counter, defaultdict
from dataclasses import replace
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from consumer.delivery.http.transport import AttemptResult
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.endpoint import QueueState
from consumer.hooks.table import Hook, RateLimit
from consumer.reasons import ErrorKind
from support.fakes import make_hook
from support.scheduler_harness import LIMITS, POLICY, SchedulerHarness

RATE, HOST_RATE = RateLimit(2, 1.0, 2), RateLimit(7, 1.0, 3)
BOUNDS = replace(
    LIMITS, concurrency=5, per_host=3, per_hook=2, host_rate_limit=HOST_RATE, waiting=8
)
HOSTS = ("x.example", "y.example")
HOOKS = ("a", "b", "c", "limited")
ANSWERS = st.sampled_from(
    [
        AttemptResult(status=200),
        AttemptResult(status=200),
        AttemptResult(status=503),
        AttemptResult(status=404),
        AttemptResult(status=410),
        AttemptResult(status=429, retry_after=2.0),
        AttemptResult(status=503, retry_after=20.0),
        AttemptResult(error=ErrorKind.BLOCKED, blocked_by_lookup=True, detail="a private address"),
        AttemptResult(error=ErrorKind.TIMEOUT),
    ]
)


def make(id: str, host: str) -> Hook:
    """A definition of hook `id`; only one of them is rate-limited."""
    limit = RATE if id == "limited" else None
    return make_hook(id, uri=f"https://{host}/{id}", rate_limit=limit)


class SchedulerMachine(RuleBasedStateMachine):
    """Holds invariant 3, and that each delivery ends once."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = SchedulerHarness(BOUNDS, policy=replace(POLICY, quick_attempts=2))
        self.hooks = {name: make(name, HOSTS[0]) for name in HOOKS}
        self.submitted: list[Delivery] = []
        self.sent_at: defaultdict[str, list[float]] = defaultdict(list)
        self.seen = 0
        self.adopted_at = dict.fromkeys(HOOKS, 0.0)
        """When an endpoint took its definition over last."""

    @rule(id=st.sampled_from(HOOKS), times=st.integers(1, 4), again=st.booleans())
    def submit(self, id: str, times: int, again: bool) -> None:
        """Deliveries arrive, new ones or out of a retry topic."""
        self._note_adoption(id)
        for _ in range(times):
            delivery = self.bench.delivery(self.hooks[id], attempts=int(again))
            self.submitted.append(delivery)
            if again:
                self.bench.scheduler.resubmit(delivery)
            else:
                self.bench.scheduler.submit(delivery)

    def _note_adoption(self, id: str) -> None:
        known = self.bench.scheduler._table.endpoints.get(id)
        if known is not None and known.hook is not self.hooks[id]:
            self.adopted_at[id] = self.bench.clock.monotonic()

    @precondition(lambda self: self.bench.transport.open)
    @rule(data=st.data(), answer=ANSWERS)
    def answer(self, data: st.DataObject, answer: AttemptResult) -> None:
        """Any attempt under way ends."""
        last = len(self.bench.transport.open) - 1
        self.bench.transport.answer(answer, data.draw(st.integers(0, last)))

    @rule(seconds=st.sampled_from([0.1, 0.5, 1.0, 10.0, 70.0]))
    def pass_time(self, seconds: float) -> None:
        """Timers fire."""
        self.bench.clock.advance(seconds)

    @rule()
    def relieve(self) -> None:
        """Intake pauses."""
        self.bench.scheduler.shed_load()

    @rule(id=st.sampled_from(HOOKS))
    def line_up(self, id: str) -> None:
        """An event arrives whose hook has earlier ones in the overflow topic."""
        self._note_adoption(id)
        delivery = self.bench.delivery(self.hooks[id])
        self.submitted.append(delivery)
        self.bench.scheduler.line_up(delivery)

    @precondition(lambda self: self.submitted)
    @rule(data=st.data())
    def release(self, data: st.DataObject) -> None:
        """One record's deliveries leave that have not started."""
        origin = data.draw(st.sampled_from(self.submitted)).source_record
        self.bench.scheduler.release(lambda other: other is origin)

    @precondition(lambda self: self.submitted)
    @rule(data=st.data(), defer=st.booleans())
    def revoke(self, data: st.DataObject, defer: bool) -> None:
        """One record's partition leaves, its deliveries deferred before or not."""
        origin = data.draw(st.sampled_from(self.submitted)).source_record
        if defer:
            self.bench.scheduler.defer_all(lambda other: other is origin)
        origin.tracker.revoked = True

    @rule(id=st.sampled_from(HOOKS), host=st.sampled_from(HOSTS))
    def reload(self, id: str, host: str) -> None:
        """A new definition, perhaps with another receiver; its next delivery brings it."""
        self.hooks[id] = make(id, host)

    @rule()
    def reconfigure(self) -> None:
        """A reload that changes no bound."""
        self.bench.scheduler.reconfigure(
            replace(BOUNDS), self.bench.scheduler._unfinished.policy, HOOKS
        )

    @invariant()
    def bounds_are_kept(self) -> None:
        """In all, per host and per hook; the scheduler's own count is right."""
        urls = [request.url.split("/") for request, _ in self.bench.transport.open]
        assert len(urls) == self.bench.scheduler.in_flight <= BOUNDS.concurrency
        assert max(Counter(url[2] for url in urls).values(), default=0) <= BOUNDS.per_host
        assert max(Counter(url[3] for url in urls).values(), default=0) <= BOUNDS.per_hook

    @invariant()
    def the_rates_are_kept(self) -> None:
        """In every window, reloads and moves to another receiver included; and no request is made
        before the time that `Retry-After` named.
        """
        transport = self.bench.transport
        pairs = zip(transport.sent[self.seen :], transport.sent_at[self.seen :], strict=True)
        self.seen = len(transport.sent)
        for request, at in pairs:
            _, _, host, hook = request.url.split("/")
            self._keeps(HOST_RATE, self.sent_at[host], at)
            if hook == "limited":
                self._keeps(RATE, self.sent_at[hook], at)
            assert at >= self.bench.scheduler._table.endpoints[hook].paused_until

    def _keeps(self, rate: RateLimit, earlier: list[float], now: float) -> None:
        earlier.append(now)
        for count, first in enumerate(reversed(earlier), start=1):
            assert count <= rate.burst + (now - first) * rate.requests / rate.per + 1e-4

    @invariant()
    def no_endpoint_waits_beside_a_free_slot(self) -> None:
        """All that may start has started: no wake-up is ever lost. A new definition, which ends a
        pause, may be noticed a second later.
        """
        scheduler = self.bench.scheduler
        now = self.bench.clock.monotonic()
        for endpoint in scheduler._table.endpoints.values():
            waiting = [d for d in endpoint.waiting if not d.ended and not d.source_record.revoked]
            mine = endpoint.in_flight
            if (
                waiting
                and mine < BOUNDS.per_hook
                and mine < BOUNDS.concurrency - scheduler.in_flight
                and mine < BOUNDS.per_host - endpoint.host.in_flight
            ):
                at_host = endpoint.queue_state is QueueState.BLOCKED_ON_HOST
                assert at_host or endpoint.queue_state is QueueState.BLOCKED_ON_RATE
                if endpoint.paused_until > now or now < self.adopted_at[endpoint.hook.id] + 1.0:
                    continue
                rates = (
                    [endpoint.host.bucket] if at_host else [endpoint.bucket, endpoint.learned_rate]
                )
                assert any(rate is not None and rate.wait(now) > 0.0 for rate in rates)

    @invariant()
    def each_ends_at_most_once(self) -> None:
        """And nothing is told that was not submitted."""
        told = Counter(told for told, _ in self.bench.outcomes.told)
        assert all(count == 1 for count in told.values())
        assert told.keys() <= {delivery.id for delivery in self.submitted}

    @invariant()
    def the_room_is_counted_right(self) -> None:
        """`full` rests on it."""
        endpoints: Any = self.bench.scheduler._table.endpoints.values()
        assert self.bench.scheduler._waiting == sum(len(e.waiting) for e in endpoints)

    def teardown(self) -> None:
        """Once all endpoints answer, every delivery has its outcome, but the revoked ones."""
        for _ in range(500):
            if not self.bench.busy and not self.bench.scheduler.in_flight:
                break
            self.bench.transport.answer_all()
            self.bench.clock.advance(1.0)
        owed = {delivery.id for delivery in self.submitted if not delivery.source_record.revoked}
        assert owed <= {told for told, _ in self.bench.outcomes.told}
        assert not self.bench.busy
        assert self.bench.scheduler.in_flight == 0


TestSchedulerMachine = SchedulerMachine.TestCase
TestSchedulerMachine.settings = settings(max_examples=80, stateful_step_count=60)
