"""A real cluster of three nodes, each broker and controller, of which tests may kill one."""

import asyncio
import os
import signal
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from aiokafka.admin import NewTopic
from aiokafka.errors import KafkaError, for_code

from support.broker import KafkaServer, new_node
from support.cluster import Cluster
from support.waiting import wait_until

NODES = 3


class Quorum:
    """The nodes of one cluster, by number from 1."""

    def __init__(self, servers: Sequence[KafkaServer]) -> None:
        self.servers = {server.node.id: server for server in servers}
        self._frozen: set[int] = set()

    @property
    def bootstrap(self) -> str:
        """The address of every node, as `kafka.bootstrap_servers` takes them."""
        return ",".join(server.bootstrap for server in self.servers.values())

    async def create(
        self, topic: str, leaders: Sequence[int], configs: Mapping[str, str] | None = None
    ) -> None:
        """Make a topic whose partitions have one copy each, on these nodes in order."""
        placed = {number: [node] for number, node in enumerate(leaders)}
        async with Cluster(self.bootstrap).admin() as admin:
            response = await admin.create_topics(
                [NewTopic(topic, -1, -1, placed, dict(configs or {}))]
            )
            errors = [for_code(code) for _, code, *_ in response.topic_errors if code]
            assert not errors, errors
        await wait_until(lambda: self._led(topic, len(leaders)), f"{topic} to have its leaders")

    async def create_copied(self, topic: str, *, partitions: int) -> None:
        """Make a topic that each node has a copy of."""
        async with Cluster(self.bootstrap).admin() as admin:
            await admin.create_topics([NewTopic(topic, partitions, NODES)])
        await wait_until(lambda: self._led(topic, partitions), f"{topic} to have its leaders")

    @contextmanager
    def frozen(self, node: int) -> Iterator[None]:
        """Freeze a node's process, and let it go on at the end of the block."""
        server = self.servers[node]
        os.kill(server.pid, signal.SIGSTOP)
        self._frozen.add(node)
        try:
            yield
        finally:
            os.kill(server.pid, signal.SIGCONT)
            self._frozen.discard(node)

    async def kill(self, node: int) -> None:
        """Kill a node; returns when the others know that its partitions have no leader."""
        await asyncio.to_thread(self.servers[node].kill)
        await wait_until(lambda: self._missed(node), f"node {node} to be missed")

    async def revive(self) -> None:
        """Start the nodes that were killed; returns when the whole cluster serves."""
        for server in self.servers.values():
            if not server.running:
                await asyncio.to_thread(server.start)

    async def _led(self, topic: str, partitions: int) -> bool:
        leaders = [part["leader"] for part in await self._partitions(topic)]
        return len(leaders) == partitions and -1 not in leaders

    async def _missed(self, node: int) -> bool:
        try:
            return all(part["leader"] != node for part in await self._partitions())
        except KafkaError:
            return False  # the answer came from one that still counts on it

    async def _partitions(self, *topics: str) -> list[dict[str, int]]:
        async with Cluster(self.alive).admin() as admin:
            described = await admin.describe_topics(list(topics) or None)
        return [part for topic in described for part in topic["partitions"]]

    @property
    def alive(self) -> str:
        """The addresses of the nodes that run, as `kafka.bootstrap_servers` takes them."""
        well = self.servers.keys() - self._frozen
        return ",".join(s.bootstrap for n, s in self.servers.items() if n in well and s.running)


@contextmanager
def running_quorum(lib: Path, folder: Path) -> Iterator[Quorum]:
    """Three nodes that serve; killed at the end of the block."""
    nodes = [new_node(number) for number in range(1, NODES + 1)]
    servers = [
        KafkaServer(lib, folder / str(node.id), node=node, quorum=nodes, heap="256m")
        for node in nodes
    ]
    try:
        for server in servers:
            server.launch()
        for server in servers:
            server.wait()
        yield Quorum(servers)
    finally:
        for server in servers:
            server.kill()
