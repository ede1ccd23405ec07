"""A scheduler between a source, the retry topics and the overflow topic, in simulated time."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from random import Random
from typing import Any

from consumer.delivery.scheduling.circuit import CircuitPolicy
from consumer.delivery.scheduling.delivery import Delivery
from consumer.delivery.scheduling.limits import Limits
from consumer.delivery.scheduling.retry_policy import DeadLetter, Defer, Overflow
from consumer.hooks.table import Hook
from consumer.reasons import Reason
from support.scheduler_harness import CIRCUIT, POLICY, SchedulerHarness

DELAYS = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)
"""The default ones."""
_LOOK = 0.5
"""Seconds between two looks at a retry topic that waits."""


@dataclass
class ModelRecord:
    """A deferred or overflowed delivery."""

    id: str
    hook: Hook
    attempts: int
    first_failed_at: float | None
    cause: str
    due: float = 0.0
    """Of a retry topic: monotonic seconds."""
    number: int = 0
    """Its place in the overflow topic."""


@dataclass
class ModelRetryTopic:
    """One partition of a retry topic: its first record holds back the others until it is due
    (head-of-line blocking).
    """

    delay: float
    records: deque[ModelRecord] = field(default_factory=deque)
    held_until: float = 0.0

    def next_due(self, now: float) -> ModelRecord | None:
        """The first record, once it is due."""
        if not self.records or now < self.held_until:
            return None
        if self.records[0].due > now:
            self.held_until = max(self.records[0].due, now + _LOOK)
            return None
        return self.records.popleft()


class DrainHarness(SchedulerHarness):
    """Takes in what there is as long as there is capacity, and answers as fast as it is told."""

    def __init__(
        self,
        limits: Limits,
        *,
        partitions: int = 3,
        step: float = 0.25,
        taken: int = 250,
        circuit: CircuitPolicy = CIRCUIT,
        **policy: Any,
    ) -> None:
        """`step`: seconds between two turns. `taken`: records that intake can take in one."""
        self._random = Random(1)  # noqa: S311  # a simulation that is the same each time
        policy = {"delays": DELAYS, "jitter": 0.2, "expire_after": 1e9, **policy}
        super().__init__(
            limits, replace(POLICY, **policy), circuit, outcomes=self, random=self._random.random
        )
        self.source: deque[Hook] = deque()
        """Events that were not taken in yet."""
        self.retry_topics = [
            [ModelRetryTopic(delay) for _ in range(partitions)] for delay in DELAYS
        ]
        self.overflow: defaultdict[str, list[ModelRecord]] = defaultdict(list)
        """By hook, its records that wait in the overflow topic, in order."""
        self.status: Callable[[str], int] = lambda _hook: 200
        """What a hook's receiver answers now."""
        self.attempts: Counter[str] = Counter()
        """Answers, by hook."""
        self.dead_letters: Counter[str] = Counter()
        """Dead letters, by reason."""
        self.per_second: dict[str, float] = {}
        """Answers that a hook's receiver gives; one that is not listed answers at once."""
        self.ends: defaultdict[str, list[float]] = defaultdict(list)
        """By hook, when its deliveries were made."""
        self.order: defaultdict[str, list[str]] = defaultdict(list)
        """By hook, the ids of its deliveries as they were made."""
        self.writes: Counter[str] = Counter()
        """By delivery, how often it was written to a topic."""
        self._step, self._taken = step, taken
        self._begin = self.clock.monotonic()
        self._owed: defaultdict[str, float] = defaultdict(float)
        self._ask_at: dict[str, float] = {}
        self._out: dict[str, ModelRecord] = {}
        """By id, what was taken from the overflow topic."""
        self._last_number = 0

    @property
    def now(self) -> float:
        """Seconds since the begin."""
        return self.clock.monotonic() - self._begin

    def turn(self) -> None:
        """One step of simulated time."""
        self.clock.advance(self._step)
        for name, rate in self.per_second.items():
            self._owed[name] = min(self._owed[name] + rate * self._step, rate)
        self._answer()
        self._take_in()
        self._answer()

    def amend(
        self, delivery: Delivery, deferral: Defer | Overflow
    ) -> Defer | Overflow | DeadLetter:
        """See `Outcomes.amend`."""
        del delivery
        return deferral

    def delivered(self, delivery: Delivery) -> None:
        """See `Outcomes.delivered`."""
        self.ends[delivery.endpoint.hook.id].append(self.now)
        self.order[delivery.endpoint.hook.id].append(delivery.id)

    def deferred(self, delivery: Delivery, deferral: Defer, cause: str) -> None:
        """See `Outcomes.deferred`."""
        record = self._write(delivery, cause)
        record.due = self.clock.monotonic() + deferral.delay
        self._random.choice(self.retry_topics[deferral.topic_number]).records.append(record)

    def overflowed(self, delivery: Delivery, cause: str) -> None:
        """See `Outcomes.overflowed`; what comes from there without an attempt is not written."""
        queue = self.overflow[delivery.endpoint.hook.id]
        record = self._out.pop(delivery.id, None)
        if record is not None and record.attempts == delivery.attempts:
            queue.append(record)
            queue.sort(key=lambda other: other.number)
            return
        record = self._write(delivery, cause)
        self._last_number = record.number = self._last_number + 1
        queue.append(record)

    def dead_lettered(self, delivery: Delivery, reason: Reason, detail: str) -> None:
        """See `Outcomes.dead_lettered`."""
        assert detail
        self.dead_letters[reason] += 1
        self.ends[f"{delivery.endpoint.hook.id} {reason}"].append(self.now)

    def _write(self, delivery: Delivery, cause: str) -> ModelRecord:
        assert cause
        self.writes[delivery.id] += 1
        hook, failed = delivery.endpoint.hook, delivery.first_failed_at
        return ModelRecord(delivery.id, hook, delivery.attempts, failed, cause)

    def _answer(self) -> None:
        index = 0
        while index < len(self.transport.open):
            name = self.under_way_at(index)
            if name in self.per_second:
                if self._owed[name] < 1:
                    index += 1
                    continue
                self._owed[name] -= 1
            self.attempts[name] += 1
            self.transport.answer(self.status(name), index)
        self.transport.sent.clear()
        self.transport.sent_at.clear()

    def under_way_at(self, index: int) -> str:
        """The hook of an attempt under way."""
        return self.transport.open[index][0].url.rpartition("/")[2]

    def _take_in(self) -> None:
        left = self._taken
        for record in chain(self._with_room(), self._due()):
            self._resume(record)
            left -= 1
            if self._is_full() or not left:
                return
        while self.source and left and not self._is_full():
            hook = self.source.popleft()
            if self.overflow[hook.id]:
                self.scheduler.line_up(self.delivery(hook))
            else:
                self.submit(hook)
            left -= 1

    def _with_room(self) -> Iterable[ModelRecord]:
        for name, queue in list(self.overflow.items()):
            now = self.clock.monotonic()
            if not queue or now < self._ask_at.get(name, now):
                continue
            failed = min(record.first_failed_at or 0.0 for record in queue)
            room, again_in = self.scheduler.room(queue[0].hook, failed)
            self._ask_at[name] = now + again_in
            for record in queue[:room]:
                queue.remove(record)
                self._out[record.id] = record
                yield record

    def _due(self) -> Iterable[ModelRecord]:
        for retry_topic in chain(*self.retry_topics):
            while record := retry_topic.next_due(self.clock.monotonic()):
                yield record

    def _resume(self, record: ModelRecord) -> None:
        facts = {"attempts": record.attempts, "first_failed_at": record.first_failed_at}
        delivery = self.delivery(record.hook, id=record.id, **facts)
        self.scheduler.resubmit(delivery, record.cause)

    def _is_full(self) -> bool:
        if self.scheduler.at_capacity:
            self.scheduler.shed_load()
        return self.scheduler.at_capacity
