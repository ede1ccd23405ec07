"""The search for a Kafka: three ways in a fixed order, and a clear sentence otherwise."""

import socket
import threading
from collections.abc import Iterator, Sequence
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from support.find_kafka import IMAGE, NoKafkaError, Way, choose, container, engine_answers


def _not_asked() -> bool:
    pytest.fail("asked for a Docker engine although a broker was given")


def _none_missing() -> Sequence[str]:
    return ()


def test_a_given_broker_comes_first() -> None:
    """HOOKSTREAM_TEST_BOOTSTRAP comes first, and nothing else is looked for."""
    assert choose("kafka:9092", _not_asked, _none_missing) is Way.GIVEN


def test_a_container_comes_second() -> None:
    """A container engine that answers is used even if Java is installed."""
    assert choose("", lambda: True, _none_missing) is Way.CONTAINER


def test_jars_come_third() -> None:
    """Java and Maven are used if there is neither a given broker nor an engine."""
    assert choose("", lambda: False, _none_missing) is Way.JARS


@pytest.mark.parametrize("missing", [["java"], ["mvn"], ["java", "mvn"]])
def test_none_is_a_failure_that_says_how_to_get_one(missing: Sequence[str]) -> None:
    """Without any Kafka the tests fail, and the error names all three ways and what is missing."""
    with pytest.raises(NoKafkaError) as caught:
        choose("", lambda: False, lambda: missing)
    sentence = str(caught.value)
    for word in ["HOOKSTREAM_TEST_BOOTSTRAP", "Docker", "Java", "Maven", ", ".join(missing)]:
        assert word in sentence


class _Engine(BaseHTTPRequestHandler):
    """As much of the Docker Engine API as a client asks for before its first command."""

    def do_GET(self) -> None:
        body = b'{"ApiVersion": "1.43"}' if self.path.endswith("/version") else b"OK"
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def answering_engine() -> Iterator[str]:
    """The address of an engine that answers."""
    with HTTPServer(("127.0.0.1", 0), _Engine) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"tcp://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture
def hanging_engine() -> Iterator[str]:
    """The address of an engine that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"tcp://127.0.0.1:{server.getsockname()[1]}"


def test_an_engine_that_answers_is_seen(
    answering_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A container engine is found by a ping at the address that Docker's own client would use."""
    monkeypatch.setenv("DOCKER_HOST", answering_engine)
    assert engine_answers()


def test_an_engine_that_hangs_is_none(hanging_engine: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """An engine that hangs counts as none after a bounded time."""
    monkeypatch.setenv("DOCKER_HOST", hanging_engine)
    assert not engine_answers(timeout=0.2)


def test_no_engine_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing socket counts as no engine."""
    monkeypatch.setenv("DOCKER_HOST", f"unix://{tmp_path}/docker.sock")
    assert not engine_answers()


def test_the_container_is_reached_on_loopback(
    answering_engine: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The container's broker advertises the published port on loopback."""
    monkeypatch.setenv("DOCKER_HOST", answering_engine)
    broker = container(20123)
    assert broker.image == IMAGE
    assert broker.ports == {"9092": 20123}
    assert broker.env["KAFKA_ADVERTISED_LISTENERS"] == "PLAINTEXT://127.0.0.1:20123"
