"""What a seed decides: a small world, and the steps that happen in it."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from enum import StrEnum
from random import Random
from typing import NamedTuple

TOPIC = "event"
KEYS = ("k0", "k1", "k2", "k3")
"""Event keys; each hook wants some of them."""
USERS = 4
STEADY_HOOK = "h0"
"""The hook whose receiver is always well: it must not wait for any other."""


class Kind(StrEnum):
    """The kinds of steps."""

    PRODUCE = "produce"
    RECEIVER = "receiver"
    KILL = "kill"
    STOP = "stop"
    START = "start"
    REBALANCE = "rebalance"
    ACKS = "acknowledgements"
    COMMITS = "commits"
    LEADER = "leader"
    RETENTION = "retention"


class Step(NamedTuple):
    """One thing that happens. `number` and `detail` depend on its kind."""

    ordinal: int
    """Its number in the seed's plan, which stays when others are dropped."""
    at: float
    """Seconds since the begin."""
    kind: Kind
    number: int = 0
    detail: str = ""
    seconds: float = 0.0

    def __str__(self) -> str:
        facts = f"{self.detail} {self.number}".strip()
        lasts = f" for {self.seconds:.1f} s" if self.seconds else ""
        return f"step {self.ordinal} at {self.at:.1f} s: {self.kind} {facts}{lasts}"


@dataclass(frozen=True)
class HookPlan:
    """One hook."""

    name: str
    keys: tuple[str, ...]
    rate: int = 0
    """Requests a second; 0: no limit."""
    host: str = ""
    is_ordered: bool = False
    """Whether each user's deliveries keep an order."""


@dataclass(frozen=True)
class Plan:
    """A world and what happens in it."""

    seed: int
    partitions: int
    """Of the source topic."""
    overflow_partitions: int
    retry_partitions: int
    replicas: int
    hooks: tuple[HookPlan, ...]
    concurrency: int
    per_hook: int
    waiting: int
    outbox: int
    """Records at which the outbox lets intake pause."""
    max_attempts: int
    timeout: float
    """Of an attempt, in seconds."""
    poison: bool
    """Whether some events are rejected by each receiver."""
    steps: tuple[Step, ...]

    def random(self, name: str) -> Random:
        """Random numbers of their own for one part of the world, so that a dropped step changes the
        others as little as possible.
        """
        return Random(f"{self.seed}/{name}")  # noqa: S311  # the same each time

    def keep(self, kept: Iterable[tuple[int, int]]) -> "Plan":
        """The plan with only these steps: ordinal and number of each."""
        numbers = dict(kept)
        return replace(
            self,
            steps=tuple(
                step._replace(number=numbers[step.ordinal])
                for step in self.steps
                if step.ordinal in numbers
            ),
        )

    @property
    def kept(self) -> str:
        """The steps as `--keep` takes them."""
        return ",".join(f"{step.ordinal}:{step.number}" for step in self.steps)


BEHAVIOURS = (
    "well", "down", "hang", "hang", "hang", "limit", "flaky", "slow", "slow", "pause", "refuse",
    "reset",
)  # fmt: skip
"""How a receiver may answer (`receivers.py`). Attempts that take long meet stops and rebalances."""
LAST_STEP_SECONDS = 10.0


def make_plan(seed: int) -> Plan:
    """The plan of a seed."""
    random = Random(f"{seed}/plan")  # noqa: S311  # the same each time
    # A world of its own: the others are as they were without it.
    ordering = Random(f"{seed}/order")  # noqa: S311  # the same each time
    ordered = ordering.choice((0.0, 0.5, 1.0))
    hooks = [HookPlan(STEADY_HOOK, KEYS[:2], host="steady.example")]
    for number in range(1, random.randint(2, 6)):
        keys = tuple(random.sample(KEYS, random.randint(1, len(KEYS))))
        rate = random.choice((0, 0, 0, 10, 40))
        host = f"r{random.randint(1, 4)}.example"
        hooks.append(HookPlan(f"h{number}", keys, rate, host, ordering.random() < ordered))
    return Plan(
        seed=seed,
        partitions=random.randint(1, 4),
        overflow_partitions=random.randint(1, 3),
        retry_partitions=random.randint(1, 2),
        replicas=random.randint(1, 3),
        hooks=tuple(hooks),
        concurrency=random.choice((8, 16, 32)),
        per_hook=random.choice((2, 4, 8)),
        waiting=random.choice((20, 50, 200)),
        outbox=random.choice((20, 100, 1_000)),
        max_attempts=random.choice((4, 60)),
        timeout=random.choice((2.0, 6.0)),
        poison=random.random() < 0.3,
        steps=_steps(random, hooks),
    )


def _steps(random: Random, hooks: list[HookPlan]) -> tuple[Step, ...]:
    # Some worlds have no faults of broker and group, so that order and delays are looked at too.
    kinds = [Kind.PRODUCE] * 4 + [Kind.RECEIVER] * 4
    if random.random() < 0.7:
        group = [Kind.KILL, Kind.STOP, Kind.START, Kind.START, Kind.REBALANCE]
        broker = [Kind.ACKS, Kind.ACKS, Kind.COMMITS, Kind.LEADER, Kind.RETENTION]
        kinds += random.choice((group, broker, group + broker))
    number = random.randint(6, 16)
    times = sorted(random.uniform(0.0, LAST_STEP_SECONDS) for _ in range(number))
    steps = [Step(0, 0.0, Kind.PRODUCE, random.randint(5, 60), "", 1.0)]
    for index, at in enumerate(times, start=1):
        kind = random.choice(kinds)
        steps.append(_MAKERS[kind](random, hooks, Step(index, round(at, 2), kind)))
    return tuple(steps)


def _produce(random: Random, _hooks: list[HookPlan], step: Step) -> Step:
    number, seconds = random.choice(((1, 0.0), (20, 0.0), (60, 2.0), (100, 0.0), (60, 6.0)))
    return step._replace(number=random.randint(1, number), seconds=seconds)


def _receiver(random: Random, hooks: list[HookPlan], step: Step) -> Step:
    name = random.choice(hooks[1:]).name
    return step._replace(
        detail=f"{name} {random.choice(BEHAVIOURS)}",
        number=random.randint(1, 20),
        seconds=random.choice((1.0, 4.0, 8.0, 16.0)),
    )


def _replica(random: Random, _hooks: list[HookPlan], step: Step) -> Step:
    return step._replace(number=random.randint(0, 2))


def _trouble(random: Random, _hooks: list[HookPlan], step: Step) -> Step:
    return step._replace(number=random.randint(0, 100), seconds=random.choice((0.5, 2.0, 6.0)))


_MAKERS: dict[Kind, Callable[[Random, list[HookPlan], Step], Step]] = {
    Kind.PRODUCE: _produce,
    Kind.RECEIVER: _receiver,
    Kind.KILL: _replica,
    Kind.STOP: _replica,
    Kind.START: _replica,
    Kind.REBALANCE: _replica,
    Kind.ACKS: _trouble,
    Kind.COMMITS: _trouble,
    Kind.LEADER: _trouble,
    Kind.RETENTION: _trouble,
}
