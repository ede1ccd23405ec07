"""Connections to Kafka's servers, in which no wait is without a limit."""

import asyncio
import weakref
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from ipaddress import ip_address
from itertools import chain, zip_longest
from socket import SOCK_STREAM
from ssl import SSLContext
from typing import Any

from aiokafka.conn import READER_LIMIT, AIOKafkaConnection, AIOKafkaProtocol, CloseReason
from aiokafka.errors import KafkaConnectionError, KafkaError
from aiokafka.protocol.group import JoinGroupRequest, SyncGroupRequest

from consumer.stream.race import first_success
from consumer.stream.tls import TlsFiles

CONNECT_TIMEOUT = 10.0
"""Seconds for a connection with all that belongs to it: name, TCP, TLS, versions, SASL."""
REQUEST_TIMEOUT = 10.0
"""Seconds for an answer. aiokafka waits for 40, and while it does, nothing else is asked of that
broker: a leader or coordinator that is mute must be given up before its successor can be found."""
GROUP_TIMEOUT = 75.0
"""Seconds for the answers that the broker gives when the whole group is there: longer than
`client.REBALANCE_TIMEOUT`."""
ADDRESS_STAGGER = 0.25
"""Seconds that an address has before the name's next one is tried as well (RFC 8305, section 5)."""
FAILURES = (OSError, KafkaError, UnicodeError, ValueError, AssertionError)
"""What a server that is away, wrong or no Kafka at all makes of a connection. TimeoutError and
ssl.SSLError are OSErrors; a host name may be no name at all; aiokafka asserts what it reads."""


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's connection, to one address of its host; TLS goes by the host's name."""

    def __init__(self, host: str, port: int, address: str, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._address = address

    async def connect(self) -> None:
        """Open it: TCP, TLS, the server's versions, SASL."""
        if not self._security_protocol.endswith("SSL"):
            await self._open(None)
            return
        files: TlsFiles = self._ssl_context
        tls = files.current()
        try:
            await self._open(tls)
        except FAILURES as error:
            files.failed(tls, error)
            raise

    async def _open(self, tls: SSLContext | None) -> None:
        loop = self._loop
        self._closed_fut = loop.create_future()
        reader = asyncio.StreamReader(limit=READER_LIMIT, loop=loop)
        protocol = AIOKafkaProtocol(self._closed_fut, reader, loop=loop)
        transport, _ = await loop.create_connection(
            lambda: protocol,
            self._address,
            self._port,
            ssl=tls,
            server_hostname=self._host if tls else None,
        )
        self._writer = asyncio.StreamWriter(transport, protocol, reader, loop)
        self._reader, self._protocol = reader, protocol
        self._read_task = self._create_reader_task()
        if self._max_idle_ms is not None:
            self._idle_check(weakref.ref(self))
        try:
            await self._do_version_lookup()
            if self._security_protocol.startswith("SASL"):
                await self._do_sasl_handshake()
        except BaseException:
            self.close()
            raise

    def send(self, request: Any, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002  # aiokafka's
        """An awaitable answer, or `TimeoutError`."""
        slow = isinstance(request, JoinGroupRequest | SyncGroupRequest)
        self._request_timeout = GROUP_TIMEOUT if slow else REQUEST_TIMEOUT
        return self._written(partial(super().send, request, expect_response))

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002
        return self._written(partial(super()._send_sasl_token, payload, expect_response))

    def _written(self, send: Callable[[], Any]) -> Any:
        """What `send` returns; a write to a closed connection fails as aiokafka expects it.

        A closed transport of uvloop raises RuntimeError, where aiokafka counts on OSError
        (aio-libs/aiokafka#1038). That would end whichever of its tasks happened to write: without
        the one that refreshes the metadata, a client waits for ever once its broker was restarted.
        """
        try:
            return send()
        except KafkaError:  # a RuntimeError too
            raise
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            message = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(message) from error


async def connect(host: str, port: int, **options: Any) -> Connection:
    """A connection to the first address of `host` that leads to a Kafka server; `options` are
    aiokafka's.

    Raises one of `FAILURES`, within `CONNECT_TIMEOUT`.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT):
        attempts = [
            partial(_connect_to, host, port, address, options)
            for address in await _addresses(host, port)
        ]
        return await first_success(
            attempts, stagger=ADDRESS_STAGGER, failures=FAILURES, discard=Connection.close
        )


async def _connect_to(host: str, port: int, address: str, options: Any) -> Connection:
    connection = Connection(host, port, address, **options)
    await connection.connect()
    return connection


async def _addresses(host: str, port: int) -> list[str]:
    """Of `host`, IPv6 and IPv4 in turn (RFC 8305, section 4); else the order is the resolver's."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    families: defaultdict[int, list[str]] = defaultdict(list)
    for family, _, _, _, where in found:
        families[family].append(str(where[0]))
    in_turn = chain(*zip_longest(*families.values()))
    return list(dict.fromkeys(address for address in in_turn if address is not None))
