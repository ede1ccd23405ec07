"""Certificates, keys and authorities for Kafka that are renewed in their files."""

import asyncio
import signal
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
import trustme

from support.cluster import Cluster
from support.daemon import Daemon
from support.received import ids
from support.receiver import Receiver
from support.secure_broker import CERTIFIED, SecureBroker, replace
from support.waiting import wait_until
from support.workspace import Workspace, event, hook

NOT_AFTER = "hookstream_kafka_certificate_not_after_seconds"
SOON = datetime(2037, 5, 6, 7, 8, 9, tzinfo=UTC)
LATER = datetime(2060, 5, 6, 7, 8, 9, tzinfo=UTC)
BEGIN = datetime(2020, 5, 6, 7, 8, 9, tzinfo=UTC)
EXPIRED = datetime(2021, 5, 6, 7, 8, 9, tzinfo=UTC)
USELESS = "the client certificate for Kafka cannot be used"
UNREACHABLE = "hookstream_broker_unreachable_seconds"
SEVERAL_DIALS = 10.0
"""Seconds: pauses between attempts are two at most."""
MINUTE = 60.0


@pytest.fixture(scope="module")
def broker(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SecureBroker]:
    """One that is this file's own, since it is restarted."""
    broker = SecureBroker(kafka_lib, tmp_path_factory.mktemp("secure"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
async def workspace(
    broker: SecureBroker, topic_prefix: str, tmp_path: Path
) -> AsyncIterator[Workspace]:
    """One source, and a user with a certificate who may do everything."""
    workspace = Workspace(tmp_path, Cluster(broker.bootstrap), topic_prefix)
    topic = workspace.topic("event")
    workspace.sources = {topic: workspace.sources[topic]}
    await workspace.create_topics(partitions=1)
    await broker.allow(CERTIFIED, {"*": ["ALL"]}, group=workspace.group)
    own = {"ssl_certfile": broker.certificate, "ssl_keyfile": broker.key}
    workspace.write_settings(kafka=broker.settings("MUTUAL", **own))
    yield workspace
    await workspace.remove_topics()


async def _arrives(workspace: Workspace, receiver: Receiver, name: str) -> None:
    await workspace.cluster.produce(workspace.topic("event"), [event(name)])
    await wait_until(
        lambda: f"{name}:a" in ids(receiver.requests), f"{name} to arrive", patience=MINUTE
    )


async def _reload(daemon: Daemon, told: str) -> None:
    before = len(daemon.said(told))
    daemon.signal(signal.SIGHUP)
    await wait_until(lambda: len(daemon.said(told)) > before, told)


async def test_a_renewed_client_certificate(broker: SecureBroker, workspace: Workspace) -> None:
    """A client certificate and key that were renewed in place are used for the next connection
    after SIGHUP; a key that does not fit refuses the reload and leaves the last pair in use; a
    metric says until when the certificate is valid.
    """
    after = trustme.CA()
    broker.certify_client(broker.authority, not_after=SOON)
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _arrives(workspace, receiver, "e1")
            assert await daemon.sample(NOT_AFTER) == SOON.timestamp()
            replace(broker.key, after.issue_cert("other.test").private_key_pem.bytes())
            await _reload(daemon, "reload refused; the old settings and hooks stay")
            assert await daemon.sample(NOT_AFTER) == SOON.timestamp()
            broker.certify_client(after, not_after=LATER)
            await _reload(daemon, "hooks and settings reloaded")
            assert await daemon.sample(NOT_AFTER) == LATER.timestamp()
            broker.trust_clients_of(after)
            await asyncio.to_thread(broker.restart)
            await _arrives(workspace, receiver, "e2")
            await wait_until(daemon.ready, "the daemon to be ready")
            assert await daemon.stop() == 0


async def test_a_client_certificate_that_has_expired(
    broker: SecureBroker, workspace: Workspace
) -> None:
    """When the brokers come back after the client certificate has expired, one error line names the
    file and the time, however often they are dialled; with the next certificate events flow.
    """
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _arrives(workspace, receiver, "e1")
            broker.certify_client(broker.authority, not_before=BEGIN, not_after=EXPIRED)
            broker.trust_clients_of(broker.authority)  # another test may have changed it
            await asyncio.to_thread(broker.restart)
            await wait_until(lambda: daemon.said(USELESS), "the line")

            async def misses_the_broker() -> bool:
                return await daemon.sample(UNREACHABLE) > SEVERAL_DIALS

            await wait_until(misses_the_broker, "further attempts")
            [line] = daemon.said(USELESS)
            assert line["level"] == "error"
            assert str(broker.certificate) in line["problem"]
            assert EXPIRED.isoformat() in line["problem"]
            broker.certify_client(broker.authority, not_after=LATER)
            await _arrives(workspace, receiver, "e2")
            assert len(daemon.said(USELESS)) == 1
            await daemon.stop()


async def test_a_renewed_authority(broker: SecureBroker, workspace: Workspace) -> None:
    """When the file of authorities has another one in it, the next connection trusts that one, even
    without SIGHUP.
    """
    after = trustme.CA()
    async with Receiver() as receiver:
        workspace.write_hooks(hook("a", receiver.origin))
        async with Daemon(workspace.config) as daemon:
            await _arrives(workspace, receiver, "e1")
            replace(broker.ca_file, after.cert_pem.bytes())
            broker.certify_broker(after)
            await asyncio.to_thread(broker.restart)
            await _arrives(workspace, receiver, "e2")
            assert await daemon.stop() == 0
