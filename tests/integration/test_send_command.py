"""`send`: one attempt, and what it means."""

import http.server
import json
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.broker import free_port
from support.command import CLICK, EVENT, SECRETS, Done, call_command, write_config


class _Handler(http.server.BaseHTTPRequestHandler):
    """Answers with the status that stands first in the path."""

    seen: list[tuple[str, dict[str, str]]]

    def do_GET(self) -> None:
        """Note the request, and answer."""
        self.seen.append((self.path, dict(self.headers)))
        self.send_response(int(self.path.split("/")[1]))
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class _Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False


@pytest.fixture
def receiver() -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """A receiver's origin, and the requests that came."""
    _Handler.seen = []
    with _Server(("127.0.0.1", 0), _Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}", _Handler.seen
        server.shutdown()
        thread.join()


def _send(folder: Path, uri: str, transport: str = "curl", **sections: Any) -> Done:
    hook = {**CLICK, "uri": uri, "uri_parameters": {}}
    delivery = {"transport": transport, "connect_timeout": "1s"}
    write_config(folder, hook, delivery=delivery, **sections)
    (folder / "event.json").write_text(json.dumps(EVENT))
    return call_command(
        "send", "click-analytics", "--event", "event.json", folder=folder, environ=SECRETS
    )


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
def test_a_delivery(
    tmp_path: Path, receiver: tuple[str, list[tuple[str, dict[str, str]]]], transport: str
) -> None:
    """`send` makes the daemon's request, secrets included, and prints none of them."""
    origin, seen = receiver
    done = _send(tmp_path, f"{origin}/204/x", transport)
    assert done.returncode == 0, done.stderr
    for words in ("204 No Content", "delivered", "click%2E1:click-analytics", " ms"):
        assert words in done.stdout
    assert "canary" not in done.stdout + done.stderr
    ((path, headers),) = seen
    assert path == "/204/x?uid=u%2042&key=canary-of-a-key"
    assert headers["X-Api-Key"] == "Bearer canary-of-a-key"
    assert headers["webhook-id"] == "click%2E1:click-analytics"


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (503, "would be retried"),
        (429, "would be retried"),
        (404, "would go to the dead-letter topic: permanent"),
        (302, "would go to the dead-letter topic: permanent"),
        (410, "dead-letter topic: permanent"),
    ],
)
def test_what_other_answers_mean(
    tmp_path: Path,
    receiver: tuple[str, list[tuple[str, dict[str, str]]]],
    status: int,
    words: str,
) -> None:
    """`send` makes one attempt, prints what would follow from the answer, and ends with exit code
    1.
    """
    origin, seen = receiver
    done = _send(tmp_path, f"{origin}/{status}/x")
    assert done.returncode == 1
    assert str(status) in done.stdout
    assert words in done.stdout
    assert len(seen) == 1


def test_a_refused_connection_is_reported(tmp_path: Path) -> None:
    """`send` names the kind of a network error."""
    done = _send(tmp_path, f"http://127.0.0.1:{free_port()}/x")
    assert done.returncode == 1
    assert "none: connect" in done.stdout
    assert "would be retried" in done.stdout
    assert done.stderr == ""


@pytest.mark.parametrize("transport", ["curl", "aiohttp"])
def test_where_no_request_may_go(
    tmp_path: Path, receiver: tuple[str, list[tuple[str, dict[str, str]]]], transport: str
) -> None:
    """`send` refuses a destination on this machine by default and says why and what the daemon
    would do.
    """
    origin, seen = receiver
    done = _send(tmp_path, f"{origin}/200/x", transport, network={})
    assert done.returncode == 1
    assert "none: blocked (127.0.0.1 is loopback (RFC 1122 section 3.2.1.3))" in done.stdout
    assert "would go to the dead-letter topic: blocked" in done.stdout
    assert seen == []


def test_an_event_that_the_hook_does_not_want(
    tmp_path: Path, receiver: tuple[str, list[tuple[str, dict[str, str]]]]
) -> None:
    """`send` sends an event that the hook does not match and says that the daemon would not."""
    origin, seen = receiver
    hook = {**CLICK, "uri": f"{origin}/200/x", "uri_parameters": {}, "app": "shop"}
    write_config(tmp_path, hook)
    (tmp_path / "event.json").write_text(json.dumps({**EVENT, "app": "bank"}))
    done = call_command(
        "send", "click-analytics", "--event", "event.json", folder=tmp_path, environ=SECRETS
    )
    assert done.returncode == 0
    assert "would not send this: the event has the app bank" in done.stderr
    assert len(seen) == 1
