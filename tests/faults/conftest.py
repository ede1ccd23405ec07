"""A workspace in a cluster: in the shared one, or in one that a test may kill."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from support.broker import KafkaServer
from support.cluster import Cluster
from support.log_ledger import LOG_EVERYTHING, LogLedger
from support.workspace import Workspace


@pytest.fixture
def log_ledger(monkeypatch: pytest.MonkeyPatch) -> LogLedger:
    """What the receivers of a test see, to be compared with the delivery log."""
    return LogLedger.watch(monkeypatch)


@pytest.fixture
async def workspace(
    bootstrap_servers: str, topic_prefix: str, tmp_path: Path, log_ledger: LogLedger
) -> AsyncIterator[Workspace]:
    """A workspace for faults that leave the broker alone; its topics are removed with the test.
    Everything is logged, and after the test the log is compared with the receivers' requests.
    """
    workspace = Workspace(tmp_path, Cluster(bootstrap_servers), topic_prefix)
    workspace.delivery_log = LOG_EVERYTHING
    yield workspace
    await log_ledger.check(workspace)
    await workspace.remove_topics()


@pytest.fixture(scope="module")
def server(kafka_lib: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[KafkaServer]:
    """A broker to be killed, shared by the tests of one file; each leaves it running. Every user
    may do everything that no rule forbids.
    """
    rules = {
        "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
        "allow.everyone.if.no.acl.found": "true",
        # So a test can leave a hanging transaction, as broker faults do (KIP-664).
        "transaction.partition.verification.enable": "false",
        # Compacted topics are compacted while a test waits; by default the broker looks every 15 s.
        "log.cleaner.backoff.ms": "300",
        # Retention by time too; by default the broker looks every five minutes.
        "log.retention.check.interval.ms": "300",
        "log.initial.task.delay.ms": "300",
    }
    folder = tmp_path_factory.mktemp("broker")
    with KafkaServer(kafka_lib, folder, extra=rules) as server:
        yield server


@pytest.fixture
async def mortal(
    server: KafkaServer, topic_prefix: str, tmp_path: Path, log_ledger: LogLedger
) -> AsyncIterator[Workspace]:
    """A workspace on the broker that may be killed; the broker runs again after the test. The
    delivery log is compared as for `workspace`.
    """
    workspace = Workspace(tmp_path, Cluster(server.bootstrap), topic_prefix)
    workspace.delivery_log = LOG_EVERYTHING
    yield workspace
    if not server.running:
        await asyncio.to_thread(server.start)
    await log_ledger.check(workspace)
    await workspace.remove_topics()
