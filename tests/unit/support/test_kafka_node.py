"""The settings of a test broker, for one node and for several."""

from pathlib import Path

import pytest

from support.broker import PORTS, BrokerError, KafkaServer, Node, free_port, properties

NODES = [Node(1, 20001, 20011), Node(2, 20002, 20012), Node(3, 20003, 20013)]


def _settings(text: str) -> dict[str, str]:
    return dict(line.split("=", 1) for line in text.splitlines())


def test_one_node_keeps_one_copy() -> None:
    """A single test broker has a replication factor of one."""
    settings = _settings(properties(NODES[0], NODES[:1], Path("data")))
    assert settings["offsets.topic.replication.factor"] == "1"
    assert settings["controller.quorum.voters"] == "1@127.0.0.1:20011"


def test_three_nodes_know_each_other_and_keep_three_copies() -> None:
    """Three nodes have the same quorum, each its own ports, and three copies."""
    settings = _settings(properties(NODES[1], NODES, Path("data")))
    assert settings["node.id"] == "2"
    assert settings["offsets.topic.replication.factor"] == "3"
    voters = "1@127.0.0.1:20011,2@127.0.0.1:20012,3@127.0.0.1:20013"
    assert settings["controller.quorum.voters"] == voters
    assert settings["advertised.listeners"] == "PLAINTEXT://127.0.0.1:20002"


def test_extra_settings_win() -> None:
    """Extra settings of a test override the defaults of the broker."""
    extra = {"auto.create.topics.enable": "true"}
    settings = _settings(properties(NODES[0], NODES[:1], Path("data"), extra))
    assert settings["auto.create.topics.enable"] == "true"


def test_ports_are_not_ephemeral() -> None:
    """A broker's port is outside the ephemeral range, so no client's connection can take it."""
    assert free_port() in PORTS
    assert max(PORTS) < 32768


def test_a_server_that_was_never_started_has_no_process(tmp_path: Path) -> None:
    """A server that was never started reports no process, and stopping it is no error."""
    server = KafkaServer(tmp_path, tmp_path)
    server.stop()
    server.kill()
    assert not server.running
    with pytest.raises(BrokerError, match="never started"):
        _ = server.pid
