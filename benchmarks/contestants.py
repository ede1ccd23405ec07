"""The measured programs: the daemon as users run it, and scripts that replace it."""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from benchmarks.errors import BenchmarkError
from benchmarks.events import SPRING

_HERE = Path(__file__).parent
_PEERS_PYTHON = _HERE.parent / ".cache" / "peers" / "bin" / "python"
"""The Python of the peers' own environment, which `make peers` creates."""


@dataclass(frozen=True)
class Endpoint:
    """One hook, for the daemon and its peers."""

    id: str
    url: str
    subject: str = SPRING
    enabled: bool = True
    rate_limit: Mapping[str, Any] | None = None
    """The `rate_limit` of a definition; peers ignore it."""


@dataclass(frozen=True)
class Task:
    """The task of a contestant."""

    bootstrap: str
    topic: str
    endpoints: Sequence[Endpoint]
    ca_file: Path | None = None


class Contestant(Protocol):
    """A program that takes events and calls endpoints."""

    def command(self, task: Task, folder: Path) -> Sequence[str]:
        """The command that starts it; `folder` takes its files."""
        ...


@dataclass(frozen=True)
class Daemon:
    """`hookstream run` as installed: 64 requests in flight for a hook, as the peers have."""

    group: str = ""
    """The consumer group; by default a new one for each run."""
    delivery_log: Mapping[str, Any] | None = None
    """The settings of this section; None: the defaults."""

    def command(self, task: Task, folder: Path) -> Sequence[str]:
        """See `Contestant`."""
        settings: dict[str, Any] = {
            "kafka": {"bootstrap_servers": [task.bootstrap], "group_id": self.group or new_group()},
            "sources": [{"topic": task.topic, "trigger": "push_click"}],
            "hooks": {"path": "hooks"},
            "network": {"allow": ["127.0.0.0/8"]},
            "admin": {"port": 0},
        }
        if self.delivery_log is not None:
            settings["delivery_log"] = self.delivery_log
        if task.ca_file is not None:
            settings["network"]["ca_file"] = str(task.ca_file)
        (folder / "hooks").mkdir()
        hooks = [_definition(endpoint) for endpoint in task.endpoints]
        (folder / "hooks" / "all.json").write_text(json.dumps(hooks))
        file = folder / "hookstream.yaml"
        file.write_text(json.dumps(settings))  # JSON is YAML
        # -P: the compiled package of PYTHONPATH, not the sources in this folder.
        return [sys.executable, "-P", "-m", "consumer", "run", "--config", str(file)]


@dataclass(frozen=True)
class Peer:
    """A script of `peers/`."""

    script: str
    name: str
    """The name in tables and charts."""

    def command(self, task: Task, folder: Path) -> Sequence[str]:  # noqa: ARG002  # needs no file
        """See `Contestant`."""
        if not _PEERS_PYTHON.exists():
            raise BenchmarkError("the peers are not installed: `make peers` does it")
        hooks = defaultdict(list)
        for endpoint in task.endpoints:
            hooks[endpoint.subject].append(endpoint.url)
        script = _HERE / "peers" / self.script
        arguments = [task.bootstrap, task.topic, new_group(), json.dumps(hooks)]
        return [str(_PEERS_PYTHON), "-I", str(script), *arguments, str(task.ca_file or "")]


FORTY_LINES = Peer("forty_lines.py", "aiokafka + aiohttp, forty lines")
PEERS = (
    FORTY_LINES,
    Peer("faststream_loop.py", "FastStream + aiohttp, at-least-once"),
    Peer("pyreqwest_loop.py", "aiokafka + pyreqwest, forty lines"),
    Peer("bare_loop.py", "confluent-kafka + pycurl, no guarantees"),
)


def _definition(endpoint: Endpoint) -> dict[str, Any]:
    definition: dict[str, Any] = {
        "id": endpoint.id,
        "name": endpoint.id,
        "enabled": endpoint.enabled,
        "trigger": "push_click",
        "select": [endpoint.subject],
        "uri": f"{endpoint.url}/{{campaign}}",
        "uri_parameters": {"campaign": {"label": "Campaign code", "default": "spring 26"}},
        "headers": [
            {"key": "X-Api-Key", "source": "fixed", "value": "k"},
            {"key": "X-City", "source": "profile", "value": "city"},
        ],
        "parameters": [
            {"key": "uid", "source": "profile", "value": "id"},
            {"key": "t", "source": "event", "value": "occurred_at"},
            {"key": "n", "source": "event", "value": "data.n"},
            {"key": "fail", "source": "event", "value": "data.fail"},
        ],
    }
    if endpoint.rate_limit is not None:
        definition["rate_limit"] = dict(endpoint.rate_limit)
    return definition


def new_group() -> str:
    """The name of a consumer group without offsets, which reads from the beginning."""
    return f"benchmark-{uuid4().hex[:8]}"
