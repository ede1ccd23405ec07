"""The `hookstream` command as its user runs it: its output and its exit code."""

import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import chdir, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any
from unittest.mock import patch

from consumer.__main__ import main

TIME_LIMIT = 60.0
"""Seconds."""


Done = subprocess.CompletedProcess[str]


def run_command(*arguments: str, folder: Path, environ: Mapping[str, str] | None = None) -> Done:
    """Run the command in `folder`, as a process."""
    done = subprocess.run(
        [sys.executable, "-m", "consumer", *arguments],
        cwd=folder,
        env=environment(environ),
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=TIME_LIMIT,
        check=False,
    )
    return Done(done.args, done.returncode, done.stdout.decode(), done.stderr.decode())


def call_command(
    *arguments: str,
    folder: Path,
    environ: Mapping[str, str] | None = None,
    stdin: bytes = b"",
) -> Done:
    """Run the command inside this process, which costs a hundredth; an exception that a process
    would show as a traceback is raised.
    """
    given, out, err = (io.TextIOWrapper(io.BytesIO(text), "utf-8") for text in (stdin, b"", b""))
    code: object = 0
    with (
        chdir(folder),
        patch.dict(os.environ, environment(environ), clear=True),
        patch.object(sys, "argv", ["hookstream", *arguments]),
        patch.object(sys, "stdin", given),
        redirect_stdout(out),
        redirect_stderr(err),
    ):
        try:
            main()
        except SystemExit as end:
            code = end.code
    return Done(arguments, int(str(code or 0)), _written(out), _written(err))


def environment(more: Mapping[str, str] | None) -> dict[str, str]:
    """The test's own environment without hookstream's names, with `more`, and wide enough for any
    sentence.
    """
    bare = {name: value for name, value in os.environ.items() if not name.startswith("HOOKSTREAM_")}
    return {**bare, "COLUMNS": "200", **(more or {})}


def _written(stream: io.TextIOWrapper) -> str:
    stream.flush()
    buffer = stream.buffer
    assert isinstance(buffer, io.BytesIO)
    return buffer.getvalue().decode()


def write_config(folder: Path, *hooks: Mapping[str, Any], **sections: Any) -> None:
    """`config/hookstream.yaml` and `config/hooks/hooks.yaml` in `folder`: the default places."""
    (folder / "config" / "hooks").mkdir(parents=True, exist_ok=True)
    settings = {
        "hooks": {"secrets": list(SECRETS)},
        "network": {"allow": ["127.0.0.1/32"]},
        "admin": {"port": 0},
        **sections,
    }
    # JSON is YAML.
    (folder / "config" / "hookstream.yaml").write_text(json.dumps(settings))
    documents = "\n---\n".join(json.dumps(hook) for hook in hooks)
    (folder / "config" / "hooks" / "hooks.yaml").write_text(documents)


CLICK: dict[str, Any] = {
    "id": "click-analytics",
    "trigger": "push_click",
    "select": ["spring-sale"],
    "uri": "https://analytics.example.com/collect/{campaign}",
    "uri_parameters": {"campaign": {"label": "Campaign code", "default": "none"}},
    "headers": [
        {"key": "X-Api-Key", "source": "fixed", "value": "Bearer ${env:ANALYTICS_KEY}"},
        {"key": "X-City", "source": "profile", "value": "city"},
    ],
    "parameters": [
        {"key": "uid", "source": "profile", "value": "id"},
        {"key": "key", "source": "fixed", "value": "${env:ANALYTICS_KEY}"},
    ],
    "signing_secrets": ["${env:CLICK_SECRET}"],
}
"""A hook with every kind of secret."""
SECRETS = {
    "ANALYTICS_KEY": "canary-of-a-key",
    "CLICK_SECRET": "whsec_Y2FuYXJ5LW9mLWEtc2lnbmluZy1rZXk=",
}
"""What its secrets are."""
EVENT: dict[str, Any] = {
    "id": "click.1",
    "user": {"id": "u 42", "attributes": {"city": "İstanbul"}},
    "notification": {"id": "spring-sale"},
}
"""An event that it fires for."""
