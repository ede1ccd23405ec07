"""The Kafka that the tests run against; without any the run fails."""

import os
import socket
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from enum import Enum
from pathlib import Path

import docker
from docker.errors import DockerException
from requests.exceptions import RequestException
from testcontainers.core.container import DockerContainer

from support.broker import HOST, KafkaServer, free_port, wait_until_serving
from support.jars import kafka_jars, missing_tools

VARIABLE = "HOOKSTREAM_TEST_BOOTSTRAP"
IMAGE = "apache/kafka:4.4.0"


class NoKafkaError(Exception):
    """No Kafka to test against; the sentence says how to get one."""


class Way(Enum):
    """The source of the broker, in words for the run's first line."""

    GIVEN = f"the one that {VARIABLE} names"
    CONTAINER = f"a container of {IMAGE}"
    JARS = "Apache Kafka's own jars, on this machine's Java"


def choose(
    given: str, engine_answers: Callable[[], bool], missing: Callable[[], Sequence[str]]
) -> Way:
    """The first way that works, asked in order and no further than needed.

    Raises:
        NoKafkaError: none works.
    """
    if given:
        return Way.GIVEN
    if engine_answers():
        return Way.CONTAINER
    tools = missing()
    if not tools:
        return Way.JARS
    raise NoKafkaError(
        "These tests need a Kafka, and there is none. Do one of three things: set "
        f"{VARIABLE}=host:port to a broker that may be written to; start a Docker engine; or "
        f"install Java 17 or later and Maven (not found: {', '.join(tools)})."
    )


def _listening(address: str) -> bool:
    """Whether a Unix socket takes connections; a TCP address is left for the ping to try.

    Docker's client leaks the socket whose connection was refused, and a leak here is an error.
    """
    if not address.startswith("unix://"):
        return True
    with socket.socket(socket.AF_UNIX) as probe:
        try:
            probe.connect(address.removeprefix("unix://"))
        except OSError:
            return False
        return True


def engine_answers(timeout: float = 3.0) -> bool:
    """Whether a Docker engine answers within `timeout` seconds; one that hangs does not."""
    if not _listening(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock")):
        return False
    # A version that is named is not asked for, so nothing is dialled before the `try`.
    client = docker.from_env(timeout=timeout, version="1.41")
    try:
        return bool(client.ping())
    except (DockerException, RequestException):
        return False
    finally:
        client.close()


def container(port: int) -> DockerContainer:
    """A broker whose advertised address is loopback's `port`."""
    return (
        DockerContainer(IMAGE)
        .with_bind_ports(9092, port)
        .with_env("KAFKA_NODE_ID", "1")
        .with_env("KAFKA_PROCESS_ROLES", "broker,controller")
        .with_env("KAFKA_CONTROLLER_QUORUM_VOTERS", "1@localhost:9093")
        .with_env("KAFKA_CONTROLLER_LISTENER_NAMES", "CONTROLLER")
        .with_env("KAFKA_LISTENERS", "PLAINTEXT://:9092,CONTROLLER://:9093")
        .with_env("KAFKA_ADVERTISED_LISTENERS", f"PLAINTEXT://{HOST}:{port}")
        .with_env(
            "KAFKA_LISTENER_SECURITY_PROTOCOL_MAP", "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT"
        )
        .with_env("KAFKA_OFFSETS_TOPIC_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_REPLICATION_FACTOR", "1")
        .with_env("KAFKA_TRANSACTION_STATE_LOG_MIN_ISR", "1")
        .with_env("KAFKA_GROUP_INITIAL_REBALANCE_DELAY_MS", "0")
        .with_env("KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS", "1000")
        .with_env("KAFKA_AUTO_CREATE_TOPICS_ENABLE", "false")
    )


@contextmanager
def _container_running() -> Iterator[str]:
    port = free_port()
    bootstrap = f"{HOST}:{port}"
    with container(port):
        if not wait_until_serving(bootstrap):
            raise NoKafkaError(f"the container of {IMAGE} does not serve on {bootstrap}")
        yield bootstrap


@contextmanager
def running_kafka(folder: Path) -> Iterator[str]:
    """A broker's `host:port`, for as long as the block lasts; `folder` takes its data."""
    given = os.environ.get(VARIABLE, "")
    way = choose(given, engine_answers, missing_tools)
    if way is Way.GIVEN:
        if not wait_until_serving(given, timeout=15.0):
            raise NoKafkaError(f"{VARIABLE}={given}, and no broker answers there")
        yield given
    elif way is Way.CONTAINER:
        with _container_running() as bootstrap:
            yield bootstrap
    else:
        with KafkaServer(kafka_jars(), folder) as server:
            yield server.bootstrap


def main() -> None:
    """Say which Kafka the tests will use, and fetch it before any test's time limit runs."""
    try:
        way = choose(os.environ.get(VARIABLE, ""), engine_answers, missing_tools)
    except NoKafkaError as error:
        sys.exit(str(error))
    if not missing_tools():  # tests that kill a broker have their own, whatever the way
        kafka_jars()
    sys.stdout.write(f"Kafka for the tests: {way.value}\n")


if __name__ == "__main__":
    main()
