"""A model of the consumer group: rebalances, generations, and sessions that expire."""

import asyncio
from collections.abc import Callable, Collection, Iterable
from random import Random

from aiokafka import TopicPartition

from simulation.broker import Broker
from simulation.clients import ModelConsumer
from simulation.story import Story

HEARTBEAT_SECONDS = 0.5
"""Within this time a member notices a rebalance."""
SESSION_SECONDS = 4.0
"""After this time without a heartbeat a member is out."""


class Group:
    """The members, and the coordinator that gives each partition to one of them."""

    def __init__(
        self,
        broker: Broker,
        topics: Iterable[str],
        random: Random,
        story: Story,
        assigned: Callable[[Collection[TopicPartition]], None],
    ) -> None:
        """`topics` are those that are consumed. `assigned` is called with what a member gets."""
        self._broker = broker
        self._topics = list(topics)
        self._tps = {tp for tp in broker.logs if tp.topic in self._topics}
        self._random = random
        self._story = story
        self._assigned = assigned
        self._owners: dict[TopicPartition, ModelConsumer] = {}
        """The last one of each partition."""
        self._wanted = asyncio.Event()
        self._tasks: dict[ModelConsumer, asyncio.Task[None]] = {}
        self.members: list[ModelConsumer] = []
        self.generation = 0
        self._is_rebalancing = False

    @property
    def is_stable(self) -> bool:
        """Whether each partition has an owner that is alive, and no rebalance is under way."""
        alive = all(member.alive for member in self.members)
        owned = sum(len(member.positions) for member in self.members)
        return alive and owned == len(self._tps) and not self._is_rebalancing

    def last_owned_by(self, consumer: ModelConsumer) -> set[TopicPartition]:
        """The partitions that no other member got after `consumer`."""
        return {tp for tp, owner in self._owners.items() if owner is consumer}

    def is_member(self, consumer: ModelConsumer, generation: int) -> bool:
        """Whether commits of that member and generation are taken."""
        return consumer in self.members and generation == self.generation

    def join(self, consumer: ModelConsumer) -> None:
        """Add a member."""
        consumer.steady.clear()
        self.members.append(consumer)
        self.rebalance()

    def leave(self, consumer: ModelConsumer) -> None:
        """Remove a member, whose listener is called no more."""
        if consumer in self.members:
            self.members.remove(consumer)
        if (task := self._tasks.pop(consumer, None)) is not None:
            task.cancel()
        self.rebalance()

    def kill(self, consumer: ModelConsumer) -> None:
        """Keep a member whose process has ended until its session expires."""
        if (task := self._tasks.pop(consumer, None)) is not None:
            task.cancel()
        seconds = SESSION_SECONDS - self._random.uniform(0.0, HEARTBEAT_SECONDS)
        asyncio.get_running_loop().call_later(seconds, self._expire, consumer)

    def rebalance(self) -> None:
        """Begin a rebalance soon."""
        self._is_rebalancing = True
        self._wanted.set()

    async def run(self) -> None:
        """Rebalance when it is wanted, until cancelled."""
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            await self._rebalance()
            self._is_rebalancing = self._wanted.is_set()

    def _expire(self, consumer: ModelConsumer) -> None:
        if consumer in self.members:
            self._story.tell(f"the session of {consumer.name} has expired")
            self.members.remove(consumer)
            self.rebalance()

    async def _rebalance(self) -> None:
        self._story.tell(f"a rebalance begins, of {[member.name for member in self.members]}")
        joined: set[ModelConsumer] = set()
        while waiting := [member for member in self.members if member not in joined]:
            alive = [member for member in waiting if member.alive]
            for member in alive:
                before = self._tasks.get(member)
                self._tasks[member] = asyncio.ensure_future(self._revoke(member, before))
            tasks = [self._tasks[member] for member in alive]
            if tasks:
                await asyncio.wait(tasks)
            else:
                await asyncio.sleep(0.05)  # a killed member's session lasts
            joined.update(alive)
        self.generation += 1
        for member, tps in self._divide().items():
            member.generation = self.generation
            self._tasks[member] = asyncio.ensure_future(self._assign(member, tps))

    async def _revoke(self, member: ModelConsumer, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        await asyncio.sleep(self._random.uniform(0.0, HEARTBEAT_SECONDS))
        await member.begin_rebalance()

    async def _assign(self, member: ModelConsumer, tps: list[TopicPartition]) -> None:
        await asyncio.sleep(self._random.uniform(0.0, 0.02))
        if not member.alive:
            return
        self._assigned(tps)
        self._owners.update(dict.fromkeys(tps, member))
        names = [f"{tp.topic}/{tp.partition}" for tp in tps]
        self._story.tell(f"{member.name} is assigned {names}")
        await member.end_rebalance(*tps)

    def _divide(self) -> dict[ModelConsumer, list[TopicPartition]]:
        """The decision of the daemon's own assignor; any member may be the leader."""
        if not self.members:
            return {}
        leader = self._random.choice(self.members)
        joined = {member.name: member.assignor.metadata(self._topics) for member in self.members}
        decided = leader.assignor.assign(self._broker, joined)
        return {
            member: [
                TopicPartition(topic, number)
                for topic, numbers in decided[member.name].assignment
                for number in numbers
            ]
            for member in self.members
        }
