"""The client inside aiokafka's consumer, producer and admin client: how it finds the cluster, keeps
it and finds it again.

aiokafka asks one server after the other with 40 s for each, goes to the bootstrap servers once and
never again, dials a broker that is away 40 times a second, and holds up all connections while it
dials one.
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
from consumer.stream.connections import CONNECT_TIMEOUT, FAILURES, Connection, connect
from consumer.stream.metadata import metadata_request
from consumer.stream.race import AllFailedError, first_success, race

log = get_logger(__name__)

NODE_STAGGER = 1.0
"""Seconds that a broker has for what any could answer before another one is asked as well."""
ANY_NODE = "any node"
"""The node of a question that every broker answers alike: metadata, settings, who coordinates."""
PING_INTERVAL = 5.0
"""Seconds between two questions whether a coordinator that makes us wait is there at all."""
METADATA_GAP = 0.1
"""Seconds between two requests for metadata; aiokafka repeats them as fast as they are answered
while a topic or a leader is missing."""


class ClusterClient(AIOKafkaClient):  # type: ignore[misc]
    """aiokafka's client, in which one server that is away holds up nothing but its own answers.

    When no known broker answers, the bootstrap servers are asked again (KIP-899), whose names are
    looked up anew. All clients of a process go to one cluster only: each connection to a broker is
    asked for its cluster before anything else, since an address may belong to another one by now.
    """

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        self._dialling: dict[object, asyncio.Task[Connection | None]] = {}
        self._unreachable = Unreachable(self._loop.time, random.random)
        """Brokers."""
        self._answered: object = None
        """The node that was the last to answer what any node could."""
        self.identity = identity_for(options.get("bootstrap_servers"))
        """The cluster of this client and of all others that the same settings made."""
        self._metadata_failures = 0
        self._metadata_after = 0.0
        """The loop's time before which nobody is asked for metadata."""

    async def bootstrap(self) -> None:
        """Learn the cluster from the first server that answers. Raises `BootstrapError`."""
        metadata = await self._ask_bootstrap_servers(metadata_request(()))
        self.identity.learn(metadata)
        self.cluster.update_metadata(metadata)
        if self._sync_task is None:
            self._sync_task: Any = asyncio.ensure_future(self._md_synchronizer())

    async def close(self) -> None:
        """End all connections, those too that are not made yet."""
        dialling = list(self._dialling.values())
        for task in dialling:
            task.cancel()
        await asyncio.gather(*dialling, return_exceptions=True)
        await super().close()
        update: asyncio.Future[bool] | None = self._md_update_fut
        if update is not None and not update.done():
            update.set_result(False)  # the task that would answer it has ended with the client

    async def send(
        self, node_id: Any, request: Any, *, group: int = ConnectionGroup.DEFAULT
    ) -> Any:
        """The node's answer to `request`, or a `KafkaError`."""
        if node_id == ANY_NODE:
            return await self._send_to_any(request, group)
        connection = await self._get_conn(node_id, group=group)
        if connection is None:
            raise NodeNotReadyError(f"node {node_id} cannot be reached now")
        if not isinstance(request, JoinGroupRequest | SyncGroupRequest):
            return await self._answer(connection, request)
        watching = asyncio.ensure_future(self._close_if_mute(node_id, connection))
        try:
            return await self._answer(connection, request)
        finally:
            watching.cancel()

    async def _answer(self, connection: Connection, request: Any) -> Any:
        unanswered = isinstance(request, ProduceRequest) and request.required_acks == 0
        try:
            return await connection.send(request, not unanswered)
        except TimeoutError as error:
            connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
            self._note_failure((connection.host, connection.port), error)
            raise RequestTimedOutError from error

    async def _send_to_any(self, request: Any, group: int) -> Any:
        """The first answer in a staggered race, so that a frozen broker costs `NODE_STAGGER`."""
        asked = [partial(self._ask_node, node, request, group) for node in self._nodes()]
        return await first_success(asked, stagger=NODE_STAGGER, failures=(KafkaError,))

    def get_random_node(self) -> Any:
        """The node for questions that any can answer, which aiokafka asks of one by chance."""
        return ANY_NODE if self.cluster.brokers() else None

    async def _get_conn(
        self, node_id: Any, *, group: int = ConnectionGroup.DEFAULT, no_hint: bool = False
    ) -> Connection | None:
        """A connection to the node; None while it cannot be reached."""
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
            if self._unreachable.rests(address):
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
            return None  # by `close`; whoever waits for this was not cancelled
        self._unreachable.discard(address)
        if _moved(self.cluster.broker_metadata(key[0]), address):
            connection.close()
            return None
        self._conns[key] = connection
        return connection

    async def _connect_to_broker(self, address: Address) -> Connection:
        """A connection to a broker of this cluster. Raises one of `FAILURES` otherwise."""
        async with asyncio.timeout(CONNECT_TIMEOUT):
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
            log.warning(
                "a broker cannot be reached", broker=_text(address), error=f"{error!r}{cause}"
            )

    async def _close_if_mute(self, node_id: Any, connection: Connection) -> None:
        """Close a connection whose answer may take minutes, once its broker answers no other."""
        while True:
            await asyncio.sleep(PING_INTERVAL)
            try:
                await self.send(node_id, ApiVersionRequest())
            except KafkaError:
                connection.close(reason=CloseReason.CONNECTION_TIMEOUT)
                return

    async def _metadata_update(self, cluster_metadata: Any, topics: Any) -> bool:
        """Ask for metadata; false if nobody answered. Topics do not come about by the question.

        Raises `HookstreamError` if the bootstrap servers lead to another cluster now.
        """
        await asyncio.sleep(max(0.0, self._metadata_after - self._loop.time()))
        request = metadata_request(topics or None)
        asked = [partial(self._ask_for_metadata, node, request) for node in self._nodes()]
        asked.append(partial(self._ask_anew, request))
        try:
            metadata, progress = await race(asked, stagger=NODE_STAGGER, failures=FAILURES)
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
        """Close connections to addresses that their brokers had before. A broker that the metadata
        does not name keeps its connections: one that has just started may not know all others.
        """
        for (node_id, _), connection in list(self._conns.items()):
            broker = self.cluster.broker_metadata(node_id)
            if broker is not None and _address(broker) != (connection.host, connection.port):
                connection.close(reason=CloseReason.OUT_OF_SYNC)

    def _metadata_pause(self) -> float:
        failures = self._metadata_failures
        return pause_after(failures, random.random()) if failures else METADATA_GAP  # noqa: S311

    async def _ask_node(
        self, node_id: Any, request: Any, group: int = ConnectionGroup.DEFAULT
    ) -> Any:
        answer = await self.send(node_id, request, group=group)
        self._answered = node_id
        return answer

    async def _ask_for_metadata(self, node_id: Any, request: Any) -> tuple[Any, bool]:
        return with_brokers(await self._ask_node(node_id, request)), True

    async def _ask_anew(self, request: Any) -> tuple[Any, bool]:
        """Metadata from the bootstrap servers, and whether it names other brokers."""
        metadata = await self._ask_bootstrap_servers(request)
        self.identity.learn(metadata)
        known = {_address(broker) for broker in self.cluster.brokers()}
        found = {(host, port) for _, host, port, *_ in metadata.brokers}
        self._unreachable.retain(found)
        if found == known:
            return metadata, False
        names = sorted(map(_text, found))
        log.info("the brokers were learnt anew from the bootstrap servers", brokers=names)
        return metadata, True

    async def _ask_bootstrap_servers(self, request: Any) -> Any:
        servers = [(host, port) for host, port, _ in self.hosts]
        return await ask_first(servers, self._connect, request)

    def _nodes(self) -> list[Any]:
        """The brokers, first those that are likely to answer."""
        brokers = list(self.cluster.brokers())
        random.shuffle(brokers)
        brokers.sort(key=lambda b: (_address(b) in self._unreachable, b.nodeId != self._answered))
        return [broker.nodeId for broker in brokers]


def _address(broker: Any) -> Address:
    return broker.host, broker.port


def _moved(broker: Any, address: Address) -> bool:
    return broker is None or _address(broker) != address


def _text(address: Address) -> str:
    return "{}:{}".format(*address)


def install_cluster_client() -> None:
    """Have aiokafka's consumer, producer and admin client make this client."""
    for module in (aiokafka.consumer.consumer, aiokafka.producer.producer, aiokafka.admin.client):
        module.AIOKafkaClient = ClusterClient
