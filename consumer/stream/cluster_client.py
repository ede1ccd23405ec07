"""The client inside aiokafka's consumer, producer and admin client: finds the cluster, and finds it
again after a change.

aiokafka's own client asks one server after the other with 40 s for each, contacts the bootstrap
servers only once, dials an unreachable broker 40 times a second, and blocks all connections while
it dials one.
"""

import asyncio
import random
from functools import partial
from typing import Any

import aiokafka.admin.client
import aiokafka.consumer.consumer
import aiokafka.producer.producer
from aiokafka.client import AIOKafkaClient, ConnectionGroup
from aiokafka.conn import CloseReason
from aiokafka.errors import (
    KafkaError,
    NodeNotReadyError,
    RequestTimedOutError,
)
from aiokafka.protocol.admin import ApiVersionRequest
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest
from aiokafka.protocol.produce import ProduceRequest

from consumer.logs import get_logger
from consumer.stream.backoff import Address, Unreachable, pause_after
from consumer.stream.bootstrap import ask_first, with_brokers
from consumer.stream.cluster_identity import identity_for
from consumer.stream.connections import CONNECT_TIMEOUT_SECONDS, FAILURES, Connection, connect
from consumer.stream.metadata import metadata_request
from consumer.stream.race import AllFailedError, first_success, race

log = get_logger(__name__)

NODE_STAGGER_SECONDS = 1.0
"""How long a broker has for a question to any broker before another one is asked as well."""
ANY_NODE = "any node"
"""Node id for requests that any broker can answer: metadata, settings, coordinators."""
PING_INTERVAL_SECONDS = 5.0
"""Interval in which a coordinator is checked while a member waits for its group."""
METADATA_INTERVAL_SECONDS = 0.1
"""Minimum between two metadata requests; while a topic or a leader is missing, aiokafka repeats
them as fast as they are answered."""


class ClusterClient(AIOKafkaClient):  # type: ignore[misc]
    """aiokafka's client, in which an unreachable server delays only its own answers.

    When no known broker answers, the bootstrap servers are resolved and asked again (KIP-899). All
    clients of a process use one cluster only: each new connection is first asked for its cluster
    id, since an address may have moved to another cluster.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._dialling: dict[object, asyncio.Task[Connection | None]] = {}
        self._unreachable = Unreachable(self._loop.time, random.random)
        self._last_answered: object = None
        """The node that last answered a request to any node."""
        self.identity = identity_for(options.get("bootstrap_servers"))
        """The cluster of this client and of all others with the same bootstrap servers."""
        self._metadata_failures = 0
        self._metadata_after = 0.0
        """The loop's time before which no metadata is requested."""

    async def bootstrap(self) -> None:
        """Learn the cluster from the first server that answers. Raises `BootstrapError`."""
        metadata = await self._ask_bootstrap_servers(metadata_request(()))
        self.identity.learn(metadata)
        self.cluster.update_metadata(metadata)
        if self._sync_task is None:
            self._sync_task: Any = asyncio.ensure_future(self._md_synchronizer())

    async def close(self) -> None:
        """Close all connections, including those being dialled."""
        dialling = list(self._dialling.values())
        for task in dialling:
            task.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)
        await super().close()
        update: asyncio.Future[bool] | None = self._md_update_fut
        if update is not None and not update.done():
            update.set_result(False)  # the task that would set it has ended with the client

    async def send(
        self, node_id: Any, request: Any, *, group: int = ConnectionGroup.DEFAULT
    ) -> Any:
        """Return the node's answer to `request`. Raises `KafkaError`."""
        if node_id == ANY_NODE:
            return await self._send_to_any(request, group)
        connection = await self._get_conn(node_id, group=group)
        if connection is None:
            raise NodeNotReadyError(f"node {node_id} is unreachable")
        if not isinstance(request, JoinGroupRequest | SyncGroupRequest):
            return await self._answer(connection, request)
        watching = asyncio.ensure_future(self._close_if_silent(node_id, connection))
        try:
            return await self._answer(connection, request)
        finally:
            watching.cancel()

    async def _answer(self, connection: Connection, request: Any) -> Any:
        expects_answer = not isinstance(request, ProduceRequest) or request.required_acks != 0
        try:
            return await connection.send(request, expects_answer)
        except TimeoutError as error:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            self._note_failure((connection.host, connection.port), error)
            raise RequestTimedOutError from error

    async def _send_to_any(self, request: Any, group: int) -> Any:
        """Return the first answer in a staggered race: a frozen broker costs one stagger."""
        asked = [partial(self._ask_node, node, request, group) for node in self._nodes()]
        return await first_success(asked, stagger=NODE_STAGGER_SECONDS, failures=(KafkaError,))

    def get_random_node(self) -> Any:
        """The node for requests to any broker; aiokafka would choose one at random."""
        return ANY_NODE if self.cluster.brokers() else None

    async def _get_conn(
        self, node_id: Any, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Connection | None:
        """A connection to the node; None while it is unreachable."""
        del no_hint
        key = (node_id, group)
        connection: Connection | None = self._conns.get(key)
        if connection is not None:
            if connection.connected():
                return connection
            del self._conns[key]
        broker = self.cluster.broker_metadata(node_id)
        if broker is None:
            self.force_metadata_update()
            return None
        address = _address(broker)
        dialling = self._dialling.get((key, address))
        if dialling is None:
            if self._unreachable.backs_off(address):
                self.force_metadata_update()
                return None
            dialling = asyncio.ensure_future(self._dial(key, address))
            self._dialling[key, address] = dialling
            dialling.add_done_callback(lambda _: self._dialling.pop((key, address), None))
        return await asyncio.shield(dialling)

    async def _dial(self, key: tuple[Any, int], address: Address) -> Connection | None:
        try:
            connection = await self._connect_to_broker(address)
        except FAILURES as error:
            self._note_failure(address, error)
            self.force_metadata_update()
            return None
        except asyncio.CancelledError:
            return None  # cancelled by `close`; the waiting task was not
        self._unreachable.discard(address)
        if _moved(self.cluster.broker_metadata(key[0]), address):
            connection.close()
            return None
        self._conns[key] = connection
        return connection

    async def _connect_to_broker(self, address: Address) -> Connection:
        """Connect to a broker of this cluster. Raises one of `FAILURES`."""
        async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
            connection = await self._connect(*address, on_close=self._on_connection_closed)
            try:
                self.identity.require(await connection.send(metadata_request(())))
            except BaseException:
                connection.close()
                raise
        return connection

    async def _connect(self, host: str, port: int, **options: Any) -> Connection:
        return await connect(
            host,
            port,
            client_id=self._client_id,
            ssl_context=self._ssl_context,
            security_protocol=self._security_protocol,
            max_idle_ms=self._connections_max_idle_ms,
            sasl_mechanism=self._sasl_mechanism,
            sasl_plain_username=self._sasl_plain_username,
            sasl_plain_password=self._sasl_plain_password,
            **options,
        )

    def _note_failure(self, address: Address, error: Exception) -> None:
        cause = f" ({error.__cause__!r})" if error.__cause__ is not None else ""
        if self._unreachable.add(address, f"{type(error)} {type(error.__cause__)}"):
            log.warning("a broker is unreachable", broker=_text(address), error=f"{error!r}{cause}")

    async def _close_if_silent(self, node_id: Any, connection: Connection) -> None:
        """Close a connection with a long request in flight if its broker stops answering."""
        while True:
            await asyncio.sleep(PING_INTERVAL_SECONDS)
            try:
                await self.send(node_id, ApiVersionRequest())
            except KafkaError:
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
                return

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        """Update the metadata; false if no broker answered. Creates no topics.

        Raises `HookstreamError` if the bootstrap servers now lead to another cluster.
        """
        await asyncio.sleep(max(0.0, self._metadata_after - self._loop.time()))
        request = metadata_request(topics or None)
        asked = [partial(self._ask_for_metadata, node, request) for node in self._nodes()]
        asked.append(partial(self._ask_bootstrap_again, request))
        try:
            metadata, progress = await race(asked, stagger=NODE_STAGGER_SECONDS, failures=FAILURES)
        except AllFailedError as error:
            log.debug("no broker answers for metadata", errors=list(map(repr, error.causes)))
            metadata, progress = None, False
        self._metadata_failures = 0 if progress else self._metadata_failures + 1
        self._metadata_after = self._loop.time() + self._metadata_pause()
        if metadata is None:
            return False
        cluster_metadata.update_metadata(metadata)
        self._close_moved()
        return True

    def _close_moved(self) -> None:
        """Close connections to former addresses of brokers. A broker missing in the metadata keeps
        its connections: a broker that has just started may not know all others.
        """
        for (node_id, _), connection in list(self._conns.items()):
            broker = self.cluster.broker_metadata(node_id)
            if broker is not None and _address(broker) != (connection.host, connection.port):
                connection.close(reason=CloseReason.OUT_OF_SYNC)

    def _metadata_pause(self) -> float:
        failures = self._metadata_failures
        return pause_after(failures, random.random()) if failures else METADATA_INTERVAL_SECONDS  # noqa: S311

    async def _ask_node(
        self, node_id: Any, request: Any, group: int = ConnectionGroup.DEFAULT
    ) -> Any:
        answer = await self.send(node_id, request, group=group)
        self._last_answered = node_id
        return answer

    async def _ask_for_metadata(self, node_id: Any, request: Any) -> tuple[Any, bool]:
        return with_brokers(await self._ask_node(node_id, request)), True

    async def _ask_bootstrap_again(self, request: Any) -> tuple[Any, bool]:
        """Return the bootstrap servers' metadata, and whether its brokers are new."""
        metadata = await self._ask_bootstrap_servers(request)
        self.identity.learn(metadata)
        known = {_address(broker) for broker in self.cluster.brokers()}
        found = {(host, port) for _, host, port, *_ in metadata.brokers}
        self._unreachable.retain(found)
        if found == known:
            return metadata, False
        names = sorted(map(_text, found))
        log.info("the bootstrap servers named other brokers", brokers=names)
        return metadata, True

    async def _ask_bootstrap_servers(self, request: Any) -> Any:
        servers = [(host, port) for host, port, _ in self.hosts]
        return await ask_first(servers, self._connect, request)

    def _nodes(self) -> list[Any]:
        """The brokers, those likely to answer first."""
        brokers = list(self.cluster.brokers())
        random.shuffle(brokers)
        last = self._last_answered
        brokers.sort(key=lambda b: (_address(b) in self._unreachable, b.nodeId != last))
        return [broker.nodeId for broker in brokers]


def _address(broker: Any) -> Address:
    return broker.host, broker.port


def _moved(broker: Any, address: Address) -> bool:
    return broker is None or _address(broker) != address


def _text(address: Address) -> str:
    return "{}:{}".format(*address)


def install_cluster_client() -> None:
    """Make aiokafka's consumer, producer and admin client use this client."""
    for module in (aiokafka.consumer.consumer, aiokafka.producer.producer, aiokafka.admin.client):
        module.AIOKafkaClient = ClusterClient
