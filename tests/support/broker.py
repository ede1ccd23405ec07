"""A real Apache Kafka in a process of its own: started, stopped, killed and started again."""

import base64
import random
import socket
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from itertools import cycle
from pathlib import Path
from types import TracebackType
from typing import NamedTuple, Self

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

HOST = "127.0.0.1"

CLUSTER_ID = base64.urlsafe_b64encode(b"hookstream-tests").rstrip(b"=").decode()
"""KRaft wants sixteen bytes in base64url. All clusters share one and differ in the data folder."""
OTHER_CLUSTER_ID = base64.urlsafe_b64encode(b"another-cluster!").rstrip(b"=").decode()

PORTS = range(20_000, 32_000)
"""Below Linux's ephemeral ports. Inside them, a client that dials a broker which is down can be
given that very port as its own, reach itself, and keep the broker from coming back.
"""
_SHUFFLED = cycle(random.sample(PORTS, len(PORTS)))
"""Each port is given out once: two that are asked for before either is used must differ."""


class BrokerError(Exception):
    """The broker did not come up; carries the end of its log."""


class Node(NamedTuple):
    """One member of a KRaft cluster, broker and controller in one process."""

    id: int
    port: int
    controller_port: int


def free_port() -> int:
    """A loopback port on which nothing listened a moment ago."""
    while True:
        port = next(_SHUFFLED)
        with socket.socket() as probe:
            try:
                probe.bind((HOST, port))
            except OSError:
                continue
            return port


def new_node(node_id: int = 1) -> Node:
    """A node on ports of its own."""
    return Node(node_id, free_port(), free_port())


def properties(
    node: Node, quorum: Sequence[Node], data: Path, extra: Mapping[str, str] | None = None
) -> str:
    """The text of `server.properties` for one node of the quorum; `extra` wins."""
    copies = str(min(3, len(quorum)))
    settings = {
        "process.roles": "broker,controller",
        "node.id": str(node.id),
        "controller.quorum.voters": ",".join(
            f"{member.id}@{HOST}:{member.controller_port}" for member in quorum
        ),
        "listeners": f"PLAINTEXT://{HOST}:{node.port},CONTROLLER://{HOST}:{node.controller_port}",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{node.port}",
        "controller.listener.names": "CONTROLLER",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
        "log.dirs": str(data),
        "auto.create.topics.enable": "false",
        # A group forms at once, and a member that died is missed after a second.
        "group.initial.rebalance.delay.ms": "0",
        "group.min.session.timeout.ms": "1000",
        # So is a broker: one that was killed may come back only when it has been missed.
        "broker.heartbeat.interval.ms": "500",
        "broker.session.timeout.ms": "3000",
        # Fifty partitions, the default, is what a first consumer would wait for.
        "offsets.topic.num.partitions": "4",
        "offsets.topic.replication.factor": copies,
        "transaction.state.log.num.partitions": "4",
        "transaction.state.log.replication.factor": copies,
        "transaction.state.log.min.isr": "1",
    } | dict(extra or {})
    return "".join(f"{key}={value}\n" for key, value in settings.items())


def _always() -> bool:
    return True


def wait_until_serving(
    bootstrap: str, *, timeout: float = 60.0, brokers: int = 1, alive: Callable[[], bool] = _always
) -> bool:
    """Wait until that many brokers answer for metadata; False after `timeout` seconds, or as soon
    as `alive` is false.
    """
    admin = AdminClient(
        {"bootstrap.servers": bootstrap, "reconnect.backoff.max.ms": 200, "log_level": 0}
    )
    deadline = time.monotonic() + timeout
    while alive() and time.monotonic() < deadline:
        try:
            if len(admin.list_topics(timeout=0.5).brokers) >= brokers:
                return True
        except KafkaException:
            continue  # it waited for its own 0.5 s
    return False


class KafkaServer:
    """One broker with its data in `folder`; the same port and data over every restart.

    Blocking: from a coroutine, call the methods by `asyncio.to_thread`. For a cluster, make one
    server for each node of one `quorum`, call `launch` on all and then `wait` on all.
    """

    def __init__(
        self,
        lib: Path,
        folder: Path,
        *,
        node: Node | None = None,
        quorum: Sequence[Node] = (),
        extra: Mapping[str, str] | None = None,
        heap: str = "512m",
        cluster_id: str = CLUSTER_ID,
    ) -> None:
        self.node = node or new_node()
        self.folder = folder
        self._quorum = quorum or (self.node,)
        self._java = ["java", f"-Xmx{heap}", "-XX:+UseSerialGC", "-cp", f"{lib}/*"]
        self._extra = extra
        self._cluster_id = cluster_id
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def bootstrap(self) -> str:
        """`host:port`, as `kafka.bootstrap_servers` takes it."""
        return f"{HOST}:{self.node.port}"

    @property
    def running(self) -> bool:
        """Whether the process lives."""
        return self._process is not None and self._process.poll() is None

    @property
    def pid(self) -> int:
        """The process, for a test that wants to freeze it by a signal."""
        if self._process is None:
            raise BrokerError("the broker was never started")
        return self._process.pid

    def start(self, timeout: float = 60.0) -> None:
        """Start it and wait until it serves.

        Raises:
            BrokerError: it ended, or did not serve within `timeout` seconds.
        """
        self.launch()
        self.wait(timeout)

    def launch(self) -> None:
        """Start the process without waiting for it to serve."""
        if self.running:
            raise BrokerError("the broker runs already")
        config = self._formatted()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                [*self._java, "kafka.Kafka", str(config)],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def wait(self, timeout: float = 60.0) -> None:
        """Wait until the whole quorum serves; on failure the process is ended.

        Raises:
            BrokerError: it ended, or did not serve within `timeout` seconds.
        """
        serving = wait_until_serving(
            self.bootstrap,
            timeout=timeout,
            brokers=len(self._quorum),
            alive=lambda: self.running,
        )
        if not serving:
            self.kill()
            raise BrokerError(f"the broker does not serve; its log ends:\n{self._log_end()}")

    def stop(self, timeout: float = 30.0) -> None:
        """End it in good order (SIGTERM); by force if that takes longer than `timeout`."""
        if self._process is None:
            return
        self._process.terminate()
        try:
            self._process.wait(timeout)
        except subprocess.TimeoutExpired:
            self.kill()

    def kill(self) -> None:
        """End it as a crash would (SIGKILL)."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def move(self) -> None:
        """Give it another port, here and in what it tells its clients; only while it is down."""
        before, self.node = self.node, self.node._replace(port=free_port())
        config = self.folder / "server.properties"
        config.write_text(config.read_text().replace(f":{before.port}", f":{self.node.port}"))
        self._quorum = tuple(self.node if node.id == before.id else node for node in self._quorum)

    def restart(self, timeout: float = 60.0) -> None:
        """Start it again on the same port with the same data, after a stop if it still runs."""
        self.stop()
        self.start(timeout)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()

    @property
    def _log(self) -> Path:
        return self.folder / "kafka.log"

    def _log_end(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-20:])

    def _formatted(self) -> Path:
        """The settings file, with the data folder made ready at the first start."""
        config, data = self.folder / "server.properties", self.folder / "data"
        if not config.exists():
            self.folder.mkdir(parents=True, exist_ok=True)
            config.write_text(properties(self.node, self._quorum, data, self._extra))
            tool = ["kafka.tools.StorageTool", "format", "-t", self._cluster_id, "-c", str(config)]
            done = subprocess.run(
                [*self._java, *tool],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            if done.returncode != 0:
                config.unlink()
                raise BrokerError(f"the data folder could not be formatted:\n{done.stdout}")
        return config
