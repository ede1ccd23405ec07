"""Connections to Kafka brokers, with a timeout for every wait."""

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

CONNECT_TIMEOUT_SECONDS = 10.0
"""For a complete connection: name lookup, TCP, TLS, API versions, SASL."""
REQUEST_TIMEOUT_SECONDS = 10.0
"""For an answer. aiokafka waits 40 s and asks that broker nothing else meanwhile, but a client must
give up a silent leader or coordinator before it can find the successor."""
GROUP_REQUEST_TIMEOUT_SECONDS = 75.0
"""For answers that wait for the whole group: longer than `client.REBALANCE_TIMEOUT_SECONDS`."""
ADDRESS_STAGGER_SECONDS = 0.25
"""How long an address has before the name's next one is tried as well (RFC 8305, section 5)."""
FAILURES = (OSError, KafkaError, UnicodeError, ValueError, AssertionError)
"""Errors of a connection to a server that is unreachable, misconfigured or not Kafka. TimeoutError
and ssl.SSLError are OSErrors; an invalid host name raises UnicodeError or ValueError; aiokafka
asserts on what it reads."""


class Connection(AIOKafkaConnection):  # type: ignore[misc]  # aiokafka has no types
    """aiokafka's connection, to one address of its host; TLS verifies the host's name."""

    def __init__(self, host: str, port: int, address: str, **options: Any) -> None:
        super().__init__(host, port, **options)
        self._address = address

    async def connect(self) -> None:
        """Connect: TCP, TLS, API versions, SASL."""
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
        """Return an awaitable answer, which may raise `TimeoutError`."""
        slow = isinstance(request, JoinGroupRequest | SyncGroupRequest)
        self._request_timeout = GROUP_REQUEST_TIMEOUT_SECONDS if slow else REQUEST_TIMEOUT_SECONDS
        return self._written(partial(super().send, request, expect_response))

    def _send_sasl_token(self, payload: bytes, expect_response: bool = True) -> Any:  # noqa: FBT001, FBT002
        return self._written(partial(super()._send_sasl_token, payload, expect_response))

    def _written(self, send: Callable[[], Any]) -> Any:
        """Call `send`, and raise a write to a closed connection as aiokafka expects it.

        A closed transport of uvloop raises RuntimeError, but aiokafka handles only OSError
        (aio-libs/aiokafka#1038). The error would end the task that writes: without the metadata
        refresh task a client waits for ever after its broker's restart.
        """
        try:
            return send()
        except KafkaError:  # a subclass of RuntimeError
            raise
        except RuntimeError as error:
            self.close(reason=CloseReason.CONNECTION_BROKEN)
            message = f"Connection at {self.host}:{self.port} broken: {error}"
            raise KafkaConnectionError(message) from error


async def connect(host: str, port: int, **options: Any) -> Connection:
    """Connect to the first address of `host` at which a Kafka broker answers; `options` are
    aiokafka's.

    Raises one of `FAILURES`, within `CONNECT_TIMEOUT_SECONDS`.
    """
    async with asyncio.timeout(CONNECT_TIMEOUT_SECONDS):
        attempts = [
            partial(_connect_to, host, port, address, options)
            for address in await _addresses(host, port)
        ]
        return await first_success(
            attempts, stagger=ADDRESS_STAGGER_SECONDS, failures=FAILURES, discard=Connection.close
        )


async def _connect_to(host: str, port: int, address: str, options: Any) -> Connection:
    connection = Connection(host, port, address, **options)
    await connection.connect()
    return connection


async def _addresses(host: str, port: int) -> list[str]:
    """Addresses of `host` as resolved, IPv6 and IPv4 alternating (RFC 8305, section 4)."""
    try:
        return [str(ip_address(host))]
    except ValueError:
        pass
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=SOCK_STREAM)
    families: defaultdict[int, list[str]] = defaultdict(list)
    for family, _, _, _, address in found:
        families[family].append(str(address[0]))
    alternating = chain(*zip_longest(*families.values()))
    return list(dict.fromkeys(address for address in alternating if address is not None))
