"""One scenario for the model and for the real broker: the same facts must hold on both."""

import asyncio
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from inspect import isawaitable

from aiokafka import TopicPartition

from consumer.records.headers import DELIVERY_ID, last_value
from simulation.plan import TOPIC, HookPlan, Plan
from simulation.replica import DELAYS, OWN
from simulation.story import Lines, Story
from simulation.world import World
from support.daemon import InProcess
from support.fakes import FakeRecord
from support.receiver import Receiver, Reply, response
from support.receiver_harness import Arrival, ReceiverHarness
from support.workspace import Workspace, event, hook, ids_of

WELL, DEAD = "well", "dead"
PARTITIONS = 2
_PATIENCE_SECONDS = 60.0


class Stage(ABC):
    """A cluster, receivers of two hooks that want each event, and members to be started."""

    @property
    @abstractmethod
    def delivered(self) -> Counter[str]:
        """By delivery, how often it was answered 2xx."""

    @abstractmethod
    async def start_member(self) -> None:
        """Start one more member; returns when each partition has an owner again."""

    @abstractmethod
    async def produce(self, ids: Sequence[str]) -> None:
        """Write one event for each id."""

    @abstractmethod
    def recover(self) -> None:
        """Let the receiver that failed so far answer 2xx."""

    @abstractmethod
    async def waiting(self) -> Counter[str]:
        """The deliveries on the retry topics and the overflow topic, each as often as there."""

    @abstractmethod
    async def dead_letters(self) -> int:
        """Number of records on the dead-letter topic."""

    @abstractmethod
    async def behind(self) -> set[str]:
        """The kinds of topics with lag: `source`, `own`."""


async def play(stage: Stage) -> None:
    """Produce, deliver, overflow, rebalance, recover; check the facts on the way."""
    early, late = [f"e{n}" for n in range(40)], [f"e{n}" for n in range(100, 140)]
    await stage.start_member()
    await stage.produce(early)
    await _until(lambda: stage.delivered.keys() == ids_of(WELL, early), "the healthy deliveries")
    # What the dead endpoint gets is written elsewhere, so the source is committed to its end.
    await _until(lambda: _is_behind(stage, {"own"}), "the commits of the source")
    assert (await stage.waiting()).keys() == ids_of(DEAD, early)
    await stage.start_member()
    await stage.produce(late)
    healthy, dead = ids_of(WELL, [*early, *late]), ids_of(DEAD, [*early, *late])
    await _until(lambda: stage.delivered.keys() == healthy, "the deliveries after the rebalance")
    await _until(lambda: _is_behind(stage, {"own"}), "the commits of both members")
    assert (await stage.waiting()).keys() == dead
    stage.recover()
    await _until(lambda: stage.delivered.keys() == healthy | dead, "the rest")
    await _until(lambda: _is_behind(stage, set()), "all commits")
    assert set(stage.delivered.values()) == {1}
    assert await stage.dead_letters() == 0


async def _is_behind(stage: Stage, kinds: set[str]) -> bool:
    return await stage.behind() == kinds


async def _until(condition: Callable[[], bool | Awaitable[bool]], what: str) -> None:
    loop = asyncio.get_running_loop()
    deadline = loop.time() + _PATIENCE_SECONDS
    while True:
        found = condition()
        if await found if isawaitable(found) else found:
            return
        assert loop.time() < deadline, f"waited for {what}"
        await asyncio.sleep(0.5)


class ModelStage(Stage):
    """The simulation's world."""

    def __init__(self) -> None:
        keys = ("k",)
        plan = Plan(
            seed=0,
            partitions=PARTITIONS,
            overflow_partitions=PARTITIONS,
            retry_partitions=PARTITIONS,
            replicas=0,
            hooks=(HookPlan(WELL, keys, host="well"), HookPlan(DEAD, keys, host="dead")),
            concurrency=16,
            per_hook=8,
            waiting=200,
            outbox=100,
            max_attempts=60,
            timeout=2.0,
            poison=False,
            steps=(),
        )
        story = Story(asyncio.get_running_loop().time, is_kept=False)
        self._world = World(plan, story, Lines(story))
        self._world.receivers[DEAD].behave("down", 0, 1e9)

    @property
    def delivered(self) -> Counter[str]:
        """See `Stage`."""
        fates = self._world.oracle.fates.values()
        return Counter({fate.id: fate.answered for fate in fates if fate.answered})

    async def start_member(self) -> None:
        """See `Stage`."""
        self._world.start()
        await _until(lambda: self._world.group.is_stable, "the rebalance")

    async def produce(self, ids: Sequence[str]) -> None:
        """See `Stage`."""
        for number, event_id in enumerate(ids):
            tp = TopicPartition(TOPIC, number % PARTITIONS)
            self._world.broker.append(tp, FakeRecord(event(event_id)))

    def recover(self) -> None:
        """See `Stage`."""
        self._world.receivers[DEAD].heal()

    async def waiting(self) -> Counter[str]:
        """See `Stage`."""
        topics = {OWN.overflow, *map(OWN.retry, DELAYS)}
        logs = [log for tp, log in self._world.broker.logs.items() if tp.topic in topics]
        return Counter(_delivery(record.headers) for log in logs for record in log)

    async def dead_letters(self) -> int:
        """See `Stage`."""
        return len(self._world.broker.logs[TopicPartition(OWN.dead_letter, 0)])

    async def behind(self) -> set[str]:
        """See `Stage`."""
        return {"source" if tp.topic == TOPIC else "own" for tp in self._world.lag()}


class RealStage(Stage):
    """A real broker, the daemon in this process, and receivers on sockets."""

    def __init__(self, workspace: Workspace, stack: AsyncExitStack) -> None:
        self._workspace = workspace
        self._stack = stack
        self._is_dead = True
        self._delivered: Counter[str] = Counter()

    @property
    def delivered(self) -> Counter[str]:
        """See `Stage`."""
        return self._delivered

    async def open(self) -> None:
        """Make topics, receivers and settings."""
        workspace = self._workspace
        await workspace.create_topics(PARTITIONS)
        await workspace.create_own_topics(PARTITIONS)
        receiver = Receiver(otherwise=ReceiverHarness(self._answer))
        await self._stack.enter_async_context(receiver)
        workspace.write_hooks(hook(WELL, receiver.origin), hook(DEAD, receiver.origin))
        workspace.write_settings()

    def _answer(self, arrival: Arrival) -> Reply:
        if arrival.hook == DEAD and self._is_dead:
            return response(503)
        self._delivered[arrival.delivery] += 1
        return response()

    async def start_member(self) -> None:
        """See `Stage`."""
        await self._stack.enter_async_context(InProcess(self._workspace.config))

    async def produce(self, ids: Sequence[str]) -> None:
        """See `Stage`."""
        topic = self._workspace.topic("event")
        await self._workspace.cluster.produce(topic, map(event, ids))

    def recover(self) -> None:
        """See `Stage`."""
        self._is_dead = False

    async def waiting(self) -> Counter[str]:
        """See `Stage`."""
        found: Counter[str] = Counter()
        for topic in (self._workspace.overflow_topic, *self._workspace.retry_topics):
            records = await self._workspace.cluster.read(topic)
            found.update(_delivery(record.headers) for record in records)
        return found

    async def dead_letters(self) -> int:
        """See `Stage`."""
        return len(await self._workspace.dead_letters())

    async def behind(self) -> set[str]:
        """See `Stage`."""
        own = self._workspace.own_topics
        return {"own" if topic in own else "source" for topic, _ in await self._workspace.behind()}


def _delivery(headers: Sequence[tuple[str, bytes | None]]) -> str:
    return (last_value(headers, DELIVERY_ID) or b"").decode()
