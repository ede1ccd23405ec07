"""Whose cluster id is whose."""

import asyncio

from consumer.stream.cluster_identity import BootstrapServers, ClusterIdentity


async def _two_clients() -> tuple[ClusterIdentity, ClusterIdentity]:
    return BootstrapServers(["kafka:9092"]).identity, BootstrapServers(["kafka:9092"]).identity


def test_clients_of_one_loop_share_their_clusters_identity() -> None:
    """All clients of one event loop with the same bootstrap servers share one identity, and a
    program that runs on another loop later has one of its own.
    """
    first, second = asyncio.run(_two_clients())
    later, _ = asyncio.run(_two_clients())
    assert first is second
    assert later is not first
