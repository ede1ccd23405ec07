"""The identity of the Kafka cluster: offsets of one cluster mean nothing in another."""

import asyncio
from collections.abc import Iterable
from typing import Any
from weakref import WeakKeyDictionary

from aiokafka.errors import StaleMetadata

from consumer.errors import HookstreamError


class ClusterIdentity:
    """The cluster id of one event loop's clients; unknown at first, and before Kafka 0.10.1."""

    def __init__(self) -> None:
        self._id: str | None = None
        self._contradiction = ""
        self._contradicted = asyncio.Event()

    def learn(self, metadata: Any) -> None:
        """Check a bootstrap server's answer; the first one sets the id for good.

        Raises `HookstreamError` if it is another cluster's.
        """
        found = self._foreign(metadata)
        if found is not None:
            self._contradiction = (
                f"kafka.bootstrap_servers lead to another cluster now ({found}, before "
                f"{self._id}): restart the daemon if this is intended"
            )
            self._contradicted.set()
            raise HookstreamError(self._contradiction)
        self._id = self._id or _cluster_id(metadata)

    def require(self, metadata: Any) -> None:
        """Raise `StaleMetadata` if a broker's answer is another cluster's (a reused address)."""
        found = self._foreign(metadata)
        if found is not None:
            raise StaleMetadata(f"another cluster answers at this address now: {found}")

    async def watch(self) -> None:
        """Wait, usually for ever, until a client has found another cluster behind the bootstrap
        servers; then raise `HookstreamError`.
        """
        await self._contradicted.wait()
        raise HookstreamError(self._contradiction)

    def _foreign(self, metadata: Any) -> str | None:
        """The id in `metadata` if it is another cluster's, else None."""
        found = _cluster_id(metadata)
        return None if self._id is None or found == self._id else found


class BootstrapServers(list[str]):
    """Bootstrap servers as aiokafka takes them, with the `ClusterIdentity` that all clients of one
    event loop share; to be made on the running loop.

    aiokafka passes this list on to each inner client, so a new producer cannot start with another
    cluster than the consumer's.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        super().__init__(servers)
        shared = _SHARED.setdefault(asyncio.get_running_loop(), {})
        self.identity = shared.setdefault(tuple(self), ClusterIdentity())


_SHARED: WeakKeyDictionary[asyncio.AbstractEventLoop, dict[tuple[str, ...], ClusterIdentity]] = (
    WeakKeyDictionary()
)
"""By event loop, so that two programs in one process, one after the other, share nothing."""


def identity_for(bootstrap_servers: object) -> ClusterIdentity:
    """The shared identity, or a new one if the client was not given `BootstrapServers`."""
    if isinstance(bootstrap_servers, BootstrapServers):
        return bootstrap_servers.identity
    return ClusterIdentity()


def _cluster_id(metadata: Any) -> str | None:
    found: str | None = getattr(metadata, "cluster_id", None)
    return found
