"""Fixtures of all tests: a Kafka broker, unique names in it, and hypothesis without deadlines."""

import re
import signal
from collections.abc import Iterator, Sequence
from pathlib import Path
from uuid import uuid4

import pytest
from hypothesis import HealthCheck, settings

from support.find_kafka import running_kafka
from support.jars import kafka_jars

# A shell starts what is behind `&` without Ctrl-C, and every process of a test would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Deadlines and slow draws measure how busy the machine is; pytest-timeout ends what hangs.
settings.register_profile(
    "steady", deadline=None, suppress_health_check=[HealthCheck.too_slow], print_blob=True
)
# `make fuzz`: the same searches, for as long as they may take.
settings.register_profile("fuzz", settings.get_profile("steady"), max_examples=5_000)
settings.load_profile("steady")

BROKER_FIXTURES = {"bootstrap_servers", "kafka_lib"}


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Mark tests that ask for a broker, so that `make unit` can leave them out by `-m "not
    broker"`.
    """
    for item in items:
        if BROKER_FIXTURES.intersection(getattr(item, "fixturenames", ())):
            item.add_marker("broker")


@pytest.fixture(scope="session")
def bootstrap_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The `host:port` of a real broker that is started when the first test asks for it; using a
    topic does not create it.
    """
    with running_kafka(tmp_path_factory.mktemp("kafka")) as bootstrap:
        yield bootstrap


@pytest.fixture(scope="session")
def kafka_lib() -> Path:
    """Apache Kafka's jars, for tests that kill their broker: `KafkaServer(kafka_lib, tmp_path)`."""
    return kafka_jars()


@pytest.fixture
def topic_prefix(request: pytest.FixtureRequest) -> str:
    """A prefix for names of topics and groups that no other test, and no other run, has."""
    name = re.sub(r"[^a-z0-9]+", "-", request.node.name.lower()).strip("-")
    return f"{name[:60]}-{uuid4().hex[:8]}"
