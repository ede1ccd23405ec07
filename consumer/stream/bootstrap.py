"""Asks the bootstrap servers for metadata in a staggered race."""

from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import Any

from aiokafka.errors import KafkaConnectionError

from consumer.stream.backoff import Address
from consumer.stream.connections import FAILURES, Connection
from consumer.stream.race import AllFailedError, race

SERVER_STAGGER_SECONDS = 0.5
"""How long a bootstrap server has before the next one is asked as well."""

Connect = Callable[[str, int], Awaitable[Connection]]


class BootstrapError(KafkaConnectionError):  # type: ignore[misc]  # aiokafka has no types
    """No bootstrap server answered, or none accepted the connection."""

    def __init__(self, causes: Sequence[tuple[str, Exception]]) -> None:
        super().__init__("; ".join(f"{server}: {cause!r}" for server, cause in causes))
        self.causes = causes
        """Each server as `host:port`, with its error."""


async def ask_first(servers: Sequence[Address], connect: Connect, request: Any) -> Any:
    """Return the first answer to a metadata request. Raises `BootstrapError` if there is none."""
    attempts = [partial(_ask, host, port, connect, request) for host, port in servers]
    try:
        return await race(attempts, stagger=SERVER_STAGGER_SECONDS, failures=FAILURES)
    except AllFailedError as error:
        names = [f"{host}:{port}" for host, port in servers]
        raise BootstrapError(list(zip(names, error.causes, strict=True))) from error


async def _ask(host: str, port: int, connect: Connect, request: Any) -> Any:
    connection = await connect(host, port)
    try:
        return with_brokers(await connection.send(request))
    finally:
        connection.close()


def with_brokers(metadata: Any) -> Any:
    """Return `metadata`. Raises `KafkaConnectionError` if it names no brokers, as after a start."""
    if not metadata.brokers:
        raise KafkaConnectionError("the broker knows no brokers yet")
    return metadata
