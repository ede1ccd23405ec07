"""Which cluster this process works with: offsets of one cluster mean nothing in another."""

import asyncio
from collections.abc import Iterable
from functools import cache
from typing import Any

from aiokafka.errors import StaleMetadata

from consumer.errors import HookstreamError


class ClusterIdentity:
    """The id of the cluster that the clients of one process have found; None before the first
    answer, and for brokers before 0.10.1, which have none.
    """

    def __init__(self) -> None:
        self._id: str | None = None
        self._contradiction = ""
        self._contradicted = asyncio.Event()

    def learn(self, metadata: Any) -> None:
        """Compare the answer of a bootstrap server; the first one decides for the process's life.

        Raises `HookstreamError` if it is of another cluster.
        """
        found = self._foreign(metadata)
        if found is not None:
            self._contradiction = (
                f"kafka.bootstrap_servers lead to another cluster now ({found}, before "
                f"{self._id}): start the daemon again, if that is meant"
            )
            self._contradicted.set()
            raise HookstreamError(self._contradiction)
        self._id = self._id or _cluster_id(metadata)

    def require(self, metadata: Any) -> None:
        """Raise `StaleMetadata` if the answer of a broker is of another cluster: its address was
        given away.
        """
        found = self._foreign(metadata)
        if found is not None:
            raise StaleMetadata(f"another cluster answers at this address now: {found}")

    async def watch(self) -> None:
        """Wait, as a rule for ever, until any client has found another cluster behind the bootstrap
        servers; then raise `HookstreamError`.
        """
        await self._contradicted.wait()
        raise HookstreamError(self._contradiction)

    def _foreign(self, metadata: Any) -> str | None:
        """The id in `metadata` if it is another cluster's."""
        found = _cluster_id(metadata)
        return None if self._id is None or found == self._id else found


class BootstrapServers(list[str]):
    """Bootstrap servers as aiokafka takes them. It hands them on to the client inside each of its
    objects, and so these carry the identity that all clients of the process share: a producer that
    is made anew must not begin with another cluster than the consumer has.
    """

    def __init__(self, servers: Iterable[str]) -> None:
        super().__init__(servers)
        self.identity = _shared(tuple(self))


@cache
def _shared(_servers: tuple[str, ...]) -> ClusterIdentity:
    return ClusterIdentity()


def identity_for(bootstrap_servers: object) -> ClusterIdentity:
    """The shared identity; one of its own for a client that was not given `BootstrapServers`."""
    if isinstance(bootstrap_servers, BootstrapServers):
        return bootstrap_servers.identity
    return ClusterIdentity()


def _cluster_id(metadata: Any) -> str | None:
    found: str | None = getattr(metadata, "cluster_id", None)
    return found
