"""`hookstream hooks` on topics in memory: its settings, definitions and output."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import yaml

from consumer.control.sealed import new_key
from support.command import SECRETS, Done, call_command
from support.live_topics import LiveTopicsHarness

CANARY = "canary-of-a-seal"
PUBLIC, PRIVATE = new_key()
HOOKS = {"live": True, "secrets": list(SECRETS), "path": ""}
"""The section of the settings."""
PING: dict[str, Any] = {"id": "ping", "trigger": "event", "uri": "https://a.example.com/ping"}


def define(folder: Path, *definitions: Mapping[str, Any]) -> None:
    """Replace what `apply -f new` reads."""
    text = yaml.safe_dump_all(definitions, allow_unicode=True, sort_keys=False)
    (folder / "new" / "hooks.yaml").write_text(text)


def hooks(folder: Path, *words: str, stdin: bytes = b"") -> Done:
    """Run `hookstream hooks` in this process."""
    return call_command("hooks", *words, folder=folder, stdin=stdin)


def apply(folder: Path, *words: str) -> Done:
    """Run `hookstream hooks apply` on what `define` wrote."""
    return hooks(folder, "apply", "-f", "new", "--by", "ayse", *words)


def lines(done: Done) -> list[dict[str, Any]]:
    """The objects that a command printed, which must have succeeded."""
    assert done.returncode == 0, done.stderr
    return [orjson.loads(line) for line in done.stdout.splitlines()]


def live(topics: LiveTopicsHarness) -> dict[str, int]:
    """By id, the revisions of what is live; 0: deleted."""
    table = topics.table()
    return {hook_id: table.revision(hook_id) for hook_id in table.records}


def sealed_hook(hook_id: str, origin: str, sealed: str) -> dict[str, Any]:
    """A definition with a sealed header."""
    header = {"key": "X-Key", "source": "fixed", "value": sealed}
    return {**PING, "id": hook_id, "uri": f"{origin}/x", "headers": [header]}
