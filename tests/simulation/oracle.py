"""The promises that a run is held to, checked while it goes on."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable, Sequence

import orjson
from aiokafka import TopicPartition

from consumer.delivery.http.transport import AttemptResult
from consumer.hooks.table import Hook
from consumer.reasons import Reason
from consumer.records.headers import DELIVERY_ID, REASON, last_value
from consumer.records.settled_runs import parse_runs
from consumer.stream.positions import Committed
from simulation.fate import Fate, Line, Waiting
from simulation.plan import STEADY_HOOK, TOPIC, Plan
from simulation.replica import OWN, Replica
from simulation.story import Story, Violation
from support.fakes import FakeRecord

MAX_WRITES = 2
"""To the overflow topic, without an attempt between."""
STEADY_SECONDS = 4.0
"""The receiver that is always well gets its deliveries within this time, its own queue apart."""
CALM_SECONDS = 1.0
"""After this time without faults they have no more effects."""
READ_SECONDS = 2.0
"""Within this time after a record was written or its partition assigned, it is read."""


class Oracle:
    """Is told of all that happens; keeps the first promise that was broken."""

    def __init__(
        self, plan: Plan, hooks: Sequence[Hook], time: Callable[[], float], story: Story
    ) -> None:
        self.violation: Violation | None = None
        self.fates: dict[str, Fate] = {}
        self.unfinished: Counter[str] = Counter()
        """By hook, deliveries without an end."""
        self.calm_since = time()
        """Seconds since when there are no faults of broker and group."""
        self.moved_at = time()
        """Seconds at which a delivery last had its end, or a commit moved."""
        self._plan = plan
        self._hooks = hooks
        self._time = time
        self._story = story
        self._carried: defaultdict[TopicPartition, list[list[Fate]]] = defaultdict(list)
        """By partition and offset, the deliveries of a record."""
        self._settled: defaultdict[TopicPartition, bytearray] = defaultdict(bytearray)
        """By partition and offset, whether the commits say that the record is settled."""
        self._commits: dict[TopicPartition, tuple[int, str]] = {}
        self._queues: defaultdict[tuple[TopicPartition, str], deque[Waiting]] = defaultdict(deque)
        self._waiting: defaultdict[str, list[Waiting]] = defaultdict(list)
        self._lines: defaultdict[tuple[TopicPartition, str, str], Line] = defaultdict(Line)
        """By source partition, hook and user."""
        self._delivered_at = dict.fromkeys((hook.id for hook in hooks), time())
        """By hook, seconds at which a delivery of it last succeeded."""
        self._repeated: set[TopicPartition] = set()
        """Partitions without an owner of which records may come again for a reason."""

    def fail(self, text: str, delivery: str = "") -> None:
        """Note a broken promise."""
        self._story.tell(f"BROKEN: {text}", *([delivery] if delivery else []))
        if self.violation is None:
            self.violation = Violation(text, delivery)

    def disturb(self) -> None:
        """Note that there are faults now."""
        self.calm_since = self._time()

    # What the broker tells.

    def written(self, tp: TopicPartition, record: FakeRecord) -> None:
        """See `broker.Observer`."""
        fates = self._produced(tp, record) if tp.topic == TOPIC else [self._known(record)]
        if self._story.is_kept:
            reason = (last_value(record.headers, REASON) or b"").decode()
            where = f"{tp.topic}/{tp.partition}/{record.offset}"
            self._story.tell(f"written: {where} {reason}", *(fate.id for fate in fates))
        self._carried[tp].append(fates)
        self._settled[tp].append(0)
        for fate in fates:
            if tp.topic == OWN.dead_letter:
                self._dead_lettered(fate, (last_value(record.headers, REASON) or b"").decode())
            else:
                fate.live += 1
        if tp.topic == OWN.overflow:
            self._overflowed(fates[0], tp, record.offset)

    def committed(self, tp: TopicPartition, offset: int, metadata: str) -> None:
        """See `broker.Observer`: no commit passes a delivery that is in no other record."""
        runs = Committed.read(offset, metadata).settled
        if self._commits.get(tp) == (offset, runs):
            return
        if self._story.is_kept:
            self._story.tell(f"committed: {tp.topic}/{tp.partition} at {offset} {runs}")
        first = min(offset, self._commits.get(tp, (0, ""))[0])
        self._commits[tp], self.moved_at = (offset, runs), self._time()
        before = self._settled[tp]
        now = bytearray(b"\1" * offset + bytes(max(0, len(before) - offset)))
        for start, end in parse_runs(runs, offset):
            now[start:end] = b"\1" * (end - start)
        if len(now) > len(before):
            self.fail(f"a commit of {tp} is beyond its end: {offset} {parse_runs(runs, offset)}")
            return
        self._settled[tp] = now
        self._settle(tp, {at: now[at] for at in range(first, len(now)) if now[at] != before[at]})

    def _settle(self, tp: TopicPartition, changed: dict[int, int]) -> None:
        """`changed`: by offset, whether a record is settled now."""
        carried = self._carried[tp]
        for at, is_settled in changed.items():
            for fate in carried[at]:
                fate.live += -1 if is_settled else 1
                if not is_settled:
                    self.doubt(fate.id, "a commit came late")
        for at in changed:
            for fate in carried[at]:
                if not fate.live and not fate.over:
                    text = "is committed, but neither delivered nor written elsewhere"
                    self.fail(f"{tp.topic}/{tp.partition}/{at} {text}", fate.id)

    # What replicas and receivers tell.

    def doubt(self, delivery: str, why: str) -> None:
        """Note that a delivery may be delivered or written twice."""
        fate = self.fates.get(delivery)
        if fate is not None and not fate.doubt:
            fate.doubt = why
            self._story.tell(f"may come twice: {why}", delivery)

    def attempted(self, replica: Replica, id: str) -> None:
        """See `receivers.Watcher`: what waits in overflow goes in order."""
        fate = self.fates[id]
        fate.attempts += 1
        fate.writes = 0
        self._story.tell(f"attempt {fate.attempts} by {replica}", id)
        if fate.line.is_ordered:
            self._check_line(fate, replica)
            return
        waiting = self._waiting.pop(id, ())
        for record in waiting:
            record.attempted = True
        if fate.doubt:
            return
        for record in waiting:
            if record.tp in replica.owned:
                self._check_order(record)
        if fate.attempts == 1 and not waiting:
            self._check_overtaking(fate, replica)

    def answered(self, replica: Replica, id: str, result: AttemptResult) -> None:
        """See `receivers.Watcher`."""
        (fate := self.fates[id]).statuses.add(result.status)
        self._story.tell(f"answered {result.status or result.error} to {replica}", id)
        if not 200 <= result.status < 300:
            return
        self._delivered_at[fate.hook] = self._time()
        fate.answered += 1
        if fate.answered == 1:
            if (before := fate.line.first_before(fate)) is not None:
                self.fail(f"delivered before {before.id}, which its user's order has first", id)
            if not fate.dead:
                self._end(fate)
            self._check_delay(fate)
        elif not fate.doubt:
            self.fail("delivered twice, for no reason", id)

    def killed(self, replica: Replica) -> None:
        """Whatever it had and is not committed may come twice."""
        for tp in replica.owned:
            for fate in self._uncommitted(tp):
                self.doubt(fate.id, f"{replica} was killed")

    def deferred(self, replica: Replica) -> None:
        """What is under way may arrive, and again from the retry topic."""
        for delivery in replica.transport.under_way:
            self.doubt(delivery, "deferred with an attempt under way")

    def gave_back(self, tps: Iterable[TopicPartition], owner: Replica) -> None:
        """The ownership of partitions has ended: its last commit may lack what is settled later."""
        outbox = owner.outbox
        if owner.consumer.troubled_until > self._time() or outbox.failing or outbox._unfinished:
            self._repeated.update(tps)

    def assigned(self, tps: Iterable[TopicPartition]) -> None:
        """Partitions have an owner: what was not committed when they had none comes again."""
        for tp in self._repeated.intersection(tps):
            self._repeated.remove(tp)
            for fate in self._uncommitted(tp):
                self.doubt(fate.id, "a commit or an acknowledgement was lost before a rebalance")

    # The promises.

    def check_end(self) -> None:
        """Each delivery has an end."""
        for fate in self.fates.values():
            if not fate.over:
                self.fail("neither delivered nor a dead letter at the end", fate.id)

    def check_memory(self, replica: Replica) -> None:
        """Queues and outbox stay within their bounds."""
        plan = self._plan
        queued = replica.scheduler._waiting
        bound = 2 * plan.waiting + plan.concurrency + len(plan.hooks)
        if queued > bound:
            self.fail(f"{replica} has {queued} deliveries in its queues; bound {bound}")
        unfinished = replica.outbox._unfinished
        if unfinished > plan.outbox + bound:
            self.fail(f"{replica} has {unfinished} records in its outbox; {plan.outbox + bound}")

    def _check_line(self, fate: Fate, replica: Replica) -> None:
        """One delivery of a line is under way at a time at a replica; those of an earlier
        assignment, which ended while they were under way, apart.
        """
        self._waiting.pop(fate.id, None)
        for other in fate.line.fates:
            if other is not fate and other.id in replica.transport.under_way and not other.doubt:
                self.fail(f"begins while {other.id} of its user is under way", fate.id)

    def _check_order(self, waiting: Waiting) -> None:
        first = self._first(waiting.tp, waiting.fate.hook)
        if first is not None and first.offset < waiting.offset:
            text = f"attempted before {first.fate.id}, which waits at {first.offset}"
            self.fail(f"{text} of {first.tp}, before {waiting.offset}", waiting.fate.id)

    def _check_overtaking(self, fate: Fate, replica: Replica) -> None:
        """A new event goes behind those of its hook that wait in overflow."""
        if self.calm_since + READ_SECONDS > fate.produced_at:
            return
        for tp in replica.consumer.positions:
            if tp.topic == OWN.overflow:
                first = self._first(tp, fate.hook)
                if first is not None and first.written_at + READ_SECONDS < fate.produced_at:
                    self.fail(f"overtakes {first.fate.id}, which waits in {tp}", fate.id)

    def _first(self, tp: TopicPartition, hook: str) -> Waiting | None:
        """The first record that certainly waits."""
        queue, settled = self._queues[tp, hook], self._settled[tp]
        while queue:
            first = queue[0]
            if not (first.attempted or first.fate.over or settled[first.offset]):
                break
            queue.popleft()
        return next((waiting for waiting in queue if not waiting.fate.doubt), None)

    def _check_delay(self, fate: Fate) -> None:
        delay = self._time() - fate.produced_at
        if fate.hook != STEADY_HOOK or fate.produced_at < self.calm_since + CALM_SECONDS:
            return
        bound = STEADY_SECONDS + fate.queued * 0.05 / min(self._plan.per_hook, 4)
        if delay > bound and not fate.doubt:
            text = f"waited {delay:.1f} s for a receiver that is always well; bound {bound:.1f} s"
            self.fail(text, fate.id)

    def _dead_lettered(self, fate: Fate, reason: str) -> None:
        lonely = self._time() - self._delivered_at[fate.hook]
        if not fate.deserves(Reason(reason), self._plan.max_attempts, lonely):
            self.fail(f"a dead letter for a wrong reason: {reason}", fate.id)
        if not fate.over:
            self._end(fate)
        fate.dead = reason

    def _overflowed(self, fate: Fate, tp: TopicPartition, offset: int) -> None:
        fate.writes += 1
        if fate.writes > MAX_WRITES and not fate.doubt:
            self.fail(f"write {fate.writes} to overflow without an attempt", fate.id)
        waiting = Waiting(fate, tp, offset, self._time())
        self._queues[tp, fate.hook].append(waiting)
        self._waiting[fate.id].append(waiting)

    def _produced(self, tp: TopicPartition, record: FakeRecord) -> list[Fate]:
        event, fates = orjson.loads(record.value or b""), []
        for hook in self._hooks:
            if hook.select is None or event["data"]["event_key"] in hook.select:
                delivery = f"{event['id']}:{hook.id}"
                fate = Fate(delivery, hook.id, self._time(), self.unfinished[hook.id])
                self.fates[delivery] = fate
                self.unfinished[hook.id] += 1
                fate.line = self._lines[tp, hook.id, event.get("user", {}).get("id", "")]
                fate.line.is_ordered = hook.order is not None
                if fate.line.is_ordered:
                    fate.line.fates.append(fate)
                fates.append(fate)
        return fates

    def _known(self, record: FakeRecord) -> Fate:
        return self.fates[(last_value(record.headers, DELIVERY_ID) or b"").decode()]

    def _end(self, fate: Fate) -> None:
        self.unfinished[fate.hook] -= 1
        self.moved_at = self._time()

    def _uncommitted(self, tp: TopicPartition) -> Iterable[Fate]:
        settled = self._settled[tp]
        for offset, fates in enumerate(self._carried[tp]):
            if not settled[offset]:
                yield from fates
