"""Who is measured: the daemon as users run it, and the forty lines."""

import json
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol
from uuid import uuid4

from benchmarks.events import SPRING

IN_FLIGHT = {"concurrency": 256, "per_host_concurrency": 128, "per_hook_concurrency": 64}
"""`delivery` of the daemon so that one hook has 64 requests in flight, as the forty lines have:
a hook may hold no more places than are left free."""


@dataclass(frozen=True)
class Endpoint:
    """One hook: what the daemon and the forty lines both make of it."""

    id: str
    url: str
    subject: str = SPRING
    enabled: bool = True


@dataclass(frozen=True)
class Task:
    """What a contestant is to do."""

    bootstrap: str
    topic: str
    endpoints: Sequence[Endpoint]
    ca_file: Path | None = None


class Contestant(Protocol):
    """A program that takes events and calls endpoints."""

    def command(self, task: Task, folder: Path) -> Sequence[str]:
        """How to start it; `folder` takes its files."""
        ...


@dataclass(frozen=True)
class Daemon:
    """`hookstream run`."""

    delivery: Mapping[str, Any] = field(default_factory=lambda: IN_FLIGHT)

    def command(self, task: Task, folder: Path) -> Sequence[str]:
        """See `Contestant`."""
        settings: dict[str, Any] = {
            "kafka": {"bootstrap_servers": [task.bootstrap], "group_id": _group()},
            "sources": [{"topic": task.topic, "trigger": "push_click"}],
            "hooks": {"path": "hooks"},
            "delivery": dict(self.delivery),
            "network": {"allow": ["127.0.0.0/8"]},
            "admin": {"port": 0},
        }
        if task.ca_file is not None:
            settings["network"]["ca_file"] = str(task.ca_file)
        (folder / "hooks").mkdir()
        (folder / "hooks" / "all.yaml").write_text(_stream(map(_definition, task.endpoints)))
        file = folder / "hookstream.yaml"
        file.write_text(_stream([settings]))
        # -P: the compiled one of PYTHONPATH, not the sources of this folder.
        return [sys.executable, "-P", "-m", "consumer", "run", "--config", str(file)]


class FortyLines:
    """`forty_lines.py`."""

    def command(self, task: Task, folder: Path) -> Sequence[str]:  # noqa: ARG002  # needs no file
        """See `Contestant`."""
        hooks = defaultdict(list)
        for endpoint in task.endpoints:
            hooks[endpoint.subject].append(endpoint.url)
        script = Path(__file__).with_name("forty_lines.py")
        arguments = [task.bootstrap, task.topic, _group(), json.dumps(hooks)]
        return [sys.executable, str(script), *arguments, str(task.ca_file or "")]


def _definition(endpoint: Endpoint) -> dict[str, Any]:
    return {
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


def _stream(documents: Any) -> str:
    """JSON is YAML."""
    return "".join(f"---\n{json.dumps(document)}\n" for document in documents)


def _group() -> str:
    """A consumer group without offsets: it reads from the beginning."""
    return f"benchmark-{uuid4().hex[:8]}"
