"""Runs a plan: its steps, then a time in which everything is well, until nothing is left to do."""

import asyncio
from dataclasses import dataclass
from typing import Any

import orjson
from aiokafka import TopicPartition

from consumer.matching.store import make_index
from simulation.broker import Broker, Faults
from simulation.group import Group
from simulation.oracle import Oracle
from simulation.plan import KEYS, TOPIC, USERS, Kind, Plan, Step
from simulation.receivers import Receiver
from simulation.replica import DELAYS, OWN, Replica, make_hooks
from simulation.story import Lines, Story, Violation
from simulation.virtual_time import VirtualClock, run_virtually
from support.fakes import FakeRecord

TICK_SECONDS = 0.25
"""Between two looks at bounds."""
STUCK_SECONDS = 60.0
"""Once everything is well, something ends or is committed within this time."""
_MAX_REPLICAS = 4


@dataclass(frozen=True)
class Result:
    """How a run ended."""

    plan: Plan
    violation: Violation | None
    story: Story
    deliveries: int
    seconds: float
    """Virtual ones."""


def run(plan: Plan, *, keep_story: bool = False) -> Result:
    """Run a plan to its end or to the first broken promise."""
    return run_virtually(_run(plan, keep_story=keep_story))


async def _run(plan: Plan, *, keep_story: bool) -> Result:
    loop = asyncio.get_running_loop()
    begin, story = loop.time(), Story(loop.time, is_kept=keep_story)
    with Lines(story) as lines:
        world = World(plan, story, lines)
        try:
            await world.run()
        except Violation as broken:
            world.oracle.fail(broken.text, broken.delivery)
        violation = world.oracle.violation
        await world.close()
    return Result(plan, violation, story, len(world.oracle.fates), loop.time() - begin)


class World:
    """The broker, the group, the receivers and the replicas of one run."""

    def __init__(self, plan: Plan, story: Story, lines: Lines) -> None:
        self._loop = asyncio.get_running_loop()
        self._plan = plan
        self._story = story
        self._lines = lines
        self._clock = VirtualClock(self._loop)
        self._random = plan.random("world")
        self._begin = self._loop.time()
        self._hooks = make_hooks(plan)
        self._index = make_index({hook.id: hook for hook in self._hooks})
        topics = {
            TOPIC: plan.partitions,
            OWN.overflow: plan.overflow_partitions,
            **{OWN.retry(delay): plan.retry_partitions for delay in DELAYS},
        }
        self._consumed = list(topics)
        topics[OWN.dead_letter] = 1
        self.broker = Broker(topics, self._clock.now, plan.random("broker"))
        self.oracle = Oracle(plan, self._hooks, self._loop.time, story)
        self.broker.observer = self.oracle
        self.group = Group(
            self.broker, self._consumed, plan.random("group"), story, self.oracle.assigned
        )
        self.receivers = {
            hook.id: Receiver(self._loop.time, plan.random(hook.id), poison=plan.poison)
            for hook in self._hooks
        }
        self.replicas: list[Replica] = []
        self._events = 0
        self._grouping = asyncio.ensure_future(self.group.run())
        self._loop.set_exception_handler(self._uncaught)

    async def run(self) -> None:
        """Run the steps, heal everything, and wait until nothing is left to do."""
        for _ in range(self._plan.replicas):
            self.start()
        for step in self._plan.steps:
            await self._pass_until(self._begin + step.at)
            self._story.tell(str(step))
            self._do(step)
        last = self._begin + max((step.at + _lasts(step) for step in self._plan.steps), default=0)
        await self._pass_until(last)
        self._heal()
        healed_at = self._loop.time()
        while not self._is_quiet():
            if self._loop.time() > max(healed_at, self.oracle.moved_at) + STUCK_SECONDS:
                waiting = next((f.id for f in self.oracle.fates.values() if not f.over), "")
                lag = {f"{tp.topic}/{tp.partition}": number for tp, number in self.lag().items()}
                raise Violation(f"nothing moves for {STUCK_SECONDS:.0f} s: {lag}", waiting)
            await self._pass_until(self._loop.time() + TICK_SECONDS)
        self.oracle.check_end()

    async def close(self) -> None:
        """End everything that runs."""
        for replica in self.replicas:
            replica.kill()
        self._grouping.cancel()
        await asyncio.sleep(0)

    # Time passes.

    async def _pass_until(self, moment: float) -> None:
        while self._loop.time() < moment:
            await asyncio.sleep(min(TICK_SECONDS, moment - self._loop.time()))
            self._check()

    def _check(self) -> None:
        if self.oracle.violation is not None:
            raise self.oracle.violation
        if self._lines.bug:
            raise Violation(f"a bug: {self._lines.bug}")
        if self.broker.faults.any or not self.group.is_stable:
            self.oracle.disturb()
        for replica in self.replicas:
            if (error := replica.error) is not None:
                raise Violation(f"{replica} has ended: {error!r}")
            if replica.alive:
                self.oracle.check_memory(replica)
                if replica.stopping:
                    self.oracle.disturb()

    def _is_quiet(self) -> bool:
        return not self.lag() and not any(self.oracle.unfinished.values())

    def lag(self) -> dict[TopicPartition, int]:
        """Records that are not committed, by partition of a topic that is consumed."""
        return {tp: lag for tp, lag in self.broker.lag.items() if tp.topic in self._consumed}

    def _heal(self) -> None:
        self._story.tell("everything is well from now on")
        faults, none = self.broker.faults, Faults()
        faults.silent_acks, faults.late_acks = none.silent_acks, none.late_acks
        faults.silent_commits = none.silent_commits
        faults.away.clear()
        for receiver in self.receivers.values():
            receiver.heal()
        if not any(replica.alive and not replica.stopping for replica in self.replicas):
            self.start()

    # Steps.

    def _do(self, step: Step) -> None:
        if step.kind is Kind.PRODUCE:
            for number in range(step.number):
                self._loop.call_later(step.seconds * number / step.number, self._produce)
        elif step.kind is Kind.RECEIVER:
            hook, _, behaviour = step.detail.partition(" ")
            self.receivers[hook].behave(behaviour, step.number, step.seconds)
        else:
            self.oracle.disturb()
            self._disturb(step)

    def _disturb(self, step: Step) -> None:
        replicas = [each for each in self.replicas if each.alive and not each.stopping]
        chosen = replicas[step.number % len(replicas)] if replicas else None
        match step.kind:
            case Kind.KILL if chosen is not None:
                self._story.tell(f"{chosen} is killed")
                self.oracle.killed(chosen)
                chosen.kill()
            case Kind.STOP if chosen is not None:
                self._story.tell(f"{chosen} is asked to stop")
                chosen.stop()
            case Kind.START if len(replicas) < _MAX_REPLICAS:
                self.start()
            case Kind.REBALANCE:
                self.group.rebalance()
            case Kind.RETENTION:
                topics = sorted(self._consumed)
                self.broker.expire(topics[step.number % len(topics)], step.number / 100)
            case _:
                self._trouble(step)

    def _trouble(self, step: Step) -> None:
        faults = self.broker.faults
        match step.kind:
            case Kind.ACKS:
                faults.silent_acks = step.number / 200
                faults.late_acks = 0.5 - faults.silent_acks
                self._loop.call_later(step.seconds, self._end_acks)
            case Kind.COMMITS:
                faults.silent_commits = step.number / 100
                self._loop.call_later(step.seconds, self._end_commits)
            case Kind.LEADER:
                tps = list(self.broker.logs)
                tp = tps[step.number % len(tps)]
                faults.away.add(tp)
                self._loop.call_later(step.seconds, faults.away.discard, tp)
            case _:
                return

    def _end_acks(self) -> None:
        self.broker.faults.silent_acks = self.broker.faults.late_acks = 0.0

    def _end_commits(self) -> None:
        self.broker.faults.silent_commits = 0.0

    def start(self) -> None:
        """Start a replica."""
        name = f"replica-{len(self.replicas)}"
        self._story.tell(f"{name} starts")
        self.replicas.append(
            Replica(
                name,
                self._plan,
                self._index,
                self.receivers,
                broker=self.broker,
                group=self.group,
                oracle=self.oracle,
                clock=self._clock,
            )
        )

    def _produce(self) -> None:
        event = {
            "id": f"e{self._events}",
            "data": {"event_key": self._random.choice(KEYS)},
            "user": {"id": f"u{self._events % USERS}"},
        }
        partition = self._random.randrange(self._plan.partitions)
        key = f"user{self._random.randrange(20)}".encode()
        self._events += 1
        record = FakeRecord(orjson.dumps(event), key=key)
        self.broker.append(TopicPartition(TOPIC, partition), record)

    def _uncaught(self, _loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        error = context.get("exception")
        if not isinstance(error, asyncio.CancelledError):
            self.oracle.fail(f"an exception that nothing catches: {context['message']} {error!r}")


def _lasts(step: Step) -> float:
    return 0.0 if step.kind is Kind.RECEIVER else step.seconds
