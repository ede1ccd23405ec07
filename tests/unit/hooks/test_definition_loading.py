"""One definition without a file: the same hook, or the same problems."""

import json
from pathlib import Path
from typing import Any

import pytest

from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.loading import load_definition
from consumer.hooks.secrets import SecretReader

NAME = "hookstream.hooks@7"
GOOD: dict[str, Any] = {
    "id": "h",
    "trigger": "event",
    "uri": "https://a.example/{code}",
    "uri_parameters": {"code": {"label": "Code", "default": 2.5}},
    "name": 26,
    "headers": [{"key": "X-Key", "source": "fixed", "value": "${env:KEY}"}],
    "parameters": [{"key": "flag", "source": "fixed", "value": True}],
    "rate_limit": {"requests": 50, "per": "1s"},
    "retry_on": [403],
    "order": "user",
    "app": None,
}
BAD: list[object] = [
    {**GOOD, "uri": "ftp://a.example/"},
    {**GOOD, "id": "No Id", "retry_on": [200]},
    {**GOOD, "uri_parameters": {}},
    {**GOOD, "headers": [{"key": "X-Key", "source": "fixed", "value": "${env:OTHER}"}]},
    {**GOOD, "trigeer": "event"},
    None,
    "text",
    12,
]


def context() -> LoadContext:
    """One that knows a single secret."""
    return LoadContext(SecretReader({"KEY": "canary"}, ["KEY"]))


def test_a_definition_is_the_same_hook_as_in_a_file(tmp_path: Path) -> None:
    """JSON values, with numbers as numbers, make the hook that a JSON file makes of them."""
    (tmp_path / "h.json").write_text(json.dumps(GOOD))
    [in_file] = load_hooks(tmp_path, context()).hooks.values()
    hook = load_definition(GOOD, context(), NAME)
    assert hook.request_parts == in_file.request_parts
    assert (hook.rate_limit, hook.retry_on) == (in_file.rate_limit, in_file.retry_on)
    assert (hook.file, hook.line) == (NAME, 0)


@pytest.mark.parametrize("data", BAD)
def test_a_bad_definition_is_told_as_of_a_file(tmp_path: Path, data: object) -> None:
    """The problems of a definition are those of the same one in a file, in its name."""
    (tmp_path / "h.json").write_text(json.dumps(data))
    with pytest.raises(ConfigError) as of_file:
        load_hooks(tmp_path, context())
    with pytest.raises(ConfigError) as refused:
        load_definition(data, context(), NAME)
    assert {d.file for d in refused.value.diagnostics} == {NAME}

    def told(error: ConfigError) -> list[tuple[str, str, str, str]]:
        return sorted((d.hook, d.field, d.message, d.hint) for d in error.diagnostics)

    assert told(refused.value) == told(of_file.value)
    assert "canary" not in str(refused.value)
