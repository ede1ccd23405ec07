"""The transports under contract, the consumers beside them, and their certificates."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from consumer.clock import SystemClock
from consumer.delivery.egress.guard import EgressPolicy
from consumer.delivery.http.aiohttp import AiohttpTransport
from consumer.delivery.http.curl import CurlTransport
from consumer.delivery.http.transport import Transport
from support.attempts import LOOPBACK, Opener, trusting
from support.registered import Confluent
from support.schema_registry import SchemaRegistryDouble, schema_registry
from support.tls import server_context


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """A certificate authority that no system trusts."""
    return trustme.CA()


@pytest.fixture(scope="session")
def ca_file(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> str:
    """The file of the authority's certificate, as `network.ca_file` names one."""
    path: Path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


@pytest.fixture(scope="session")
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """The TLS side of a receiver on 127.0.0.1."""
    return server_context(authority, "127.0.0.1")


@pytest.fixture(scope="module")
def registry() -> Iterator[SchemaRegistryDouble]:
    """A registry that listens."""
    with schema_registry() as double:
        yield double


@pytest.fixture(scope="module")
def confluent(registry: SchemaRegistryDouble) -> Iterator[Confluent]:
    """Confluent's serializers."""
    confluent = Confluent(registry.url)
    yield confluent
    confluent.close()


@pytest.fixture(params=["curl", "aiohttp"])
async def open_transport(request: pytest.FixtureRequest) -> AsyncIterator[Opener]:
    """Open each adapter in turn; all are closed after the test."""
    loop = asyncio.get_running_loop()
    opened: list[Transport] = []

    def opener(ca_file: str | None = None, policy: EgressPolicy = LOOPBACK) -> Transport:
        transport: Transport = (
            CurlTransport(loop, policy, trusting(ca_file))
            if request.param == "curl"
            else AiohttpTransport(loop, policy, trusting(ca_file), clock=SystemClock())
        )
        opened.append(transport)
        return transport

    yield opener
    for transport in opened:
        await transport.close()


@pytest.fixture
async def transport(open_transport: Opener, ca_file: str) -> Transport:
    """An adapter that trusts the tests' authority."""
    return open_transport(ca_file)
