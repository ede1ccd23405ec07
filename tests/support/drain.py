"""A dispatcher between a source and the retry lanes, in simulated time."""

from collections import Counter, defaultdict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from itertools import chain
from random import Random
from typing import Any

from consumer.delivery.circuit import CircuitPolicy
from consumer.delivery.endpoint import Delivery
from consumer.delivery.outcome import Park
from consumer.delivery.registry import Limits
from consumer.hooks.table import Hook
from consumer.reasons import Reason
from support.bench import CIRCUIT, POLICY, Bench
from support.fakes import FakeOrigin

LANES = (10.0, 60.0, 600.0, 3_600.0, 21_600.0)
"""The default ones."""
_LOOK = 0.5
"""Seconds: a lane that waits is looked at no oftener."""


@dataclass
class Letter:
    """A parked delivery; or with no `hook` somebody else's."""

    due: float
    id: str = ""
    hook: Hook | None = None
    attempts: int = 0
    first_failed_at: float | None = None
    cause: str = ""


@dataclass
class Lane:
    """One partition of a retry topic: its first record holds back the others until it is due."""

    delay: float
    letters: deque[Letter] = field(default_factory=deque)
    held_until: float = 0.0

    def next_due(self, now: float) -> Letter | None:
        """Its first record, once it is due."""
        if not self.letters or now < self.held_until:
            return None
        if self.letters[0].due > now:
            self.held_until = max(self.letters[0].due, now + _LOOK)
            return None
        return self.letters.popleft()


class Drain(Bench):
    """Takes in what there is as fast as there is room, and answers as fast as it is told."""

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
        policy = {"lanes": LANES, "jitter": 0.2, "expire_after": 1e9, **policy}
        super().__init__(
            limits, replace(POLICY, **policy), circuit, outcomes=self, random=self._random.random
        )
        self.source: deque[Hook] = deque()
        """Events that were not taken in yet."""
        self.lanes = [[Lane(delay) for _ in range(partitions)] for delay in LANES]
        self.status: Callable[[str], int] = lambda _hook: 200
        """What a hook's receiver answers now."""
        self.attempts: Counter[str] = Counter()
        """Answers, by hook."""
        self.letters: Counter[str] = Counter()
        """Dead letters, by reason."""
        self.per_second: dict[str, float] = {}
        """Answers that a hook's receiver gives; one that is not listed answers at once."""
        self.trickle = 0.0
        """Seconds between two records of others on each lane; 0: none."""
        self.ends: defaultdict[str, list[float]] = defaultdict(list)
        """By hook, when its deliveries were made."""
        self.writes: Counter[str] = Counter()
        """By delivery, how often it was parked."""
        self._step, self._taken = step, taken
        self._begin = self.clock.monotonic()
        self._owed: defaultdict[str, float] = defaultdict(float)
        self._next_trickle = 0.0

    @property
    def now(self) -> float:
        """Seconds since the begin."""
        return self.clock.monotonic() - self._begin

    def turn(self) -> None:
        """One step."""
        self.clock.advance(self._step)
        self._write_trickle()
        for name, rate in self.per_second.items():
            self._owed[name] = min(self._owed[name] + rate * self._step, rate)
        self._answer()
        self._take_in()
        self._answer()

    def delivered(self, delivery: Delivery[FakeOrigin]) -> None:
        """See `Outcomes.delivered`."""
        self.ends[delivery.endpoint.hook.id].append(self.now)

    def parked(self, delivery: Delivery[FakeOrigin], park: Park, cause: str) -> None:
        """See `Outcomes.parked`."""
        assert cause
        self.writes[delivery.id] += 1
        due = self.clock.monotonic() + park.delay
        hook = delivery.endpoint.hook
        self._random.choice(self.lanes[park.lane]).letters.append(
            Letter(due, delivery.id, hook, delivery.attempts, delivery.first_failed_at, cause)
        )

    def buried(self, delivery: Delivery[FakeOrigin], reason: Reason, detail: str) -> None:
        """See `Outcomes.buried`."""
        assert detail
        self.letters[reason] += 1
        self.ends[f"{delivery.endpoint.hook.id} {reason}"].append(self.now)

    def _write_trickle(self) -> None:
        if self.trickle and self.now >= self._next_trickle:
            self._next_trickle += self.trickle
            for partitions in self.lanes:
                lane = self._random.choice(partitions)
                due = self.clock.monotonic() + lane.delay * (1 + 0.2 * self._random.random())
                lane.letters.append(Letter(due))

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
        for lane, letter in self._due():
            left -= self._take(lane, letter)
            if self._is_full() or not left:
                return
        while self.source and left and not self._is_full():
            self.submit(self.source.popleft())
            left -= 1

    def _due(self) -> Iterable[tuple[Lane, Letter]]:
        for lane in chain(*self.lanes):
            while letter := lane.next_due(self.clock.monotonic()):
                yield lane, letter

    def _take(self, lane: Lane, letter: Letter) -> int:
        if letter.hook is None:
            return 0
        facts = {"attempts": letter.attempts, "first_failed_at": letter.first_failed_at}
        delivery = self.delivery(letter.hook, id=letter.id, **facts)
        self.dispatcher.resubmit(delivery, lane.delay, letter.cause)
        return 1

    def _is_full(self) -> bool:
        if self.dispatcher.full:
            self.dispatcher.relieve()
        return self.dispatcher.full
