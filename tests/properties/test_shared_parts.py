"""What the hooks of one load share changes nothing but their memory."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, get_args

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.hooks.value_sources import Source

# A few spellings, so that parts are often equal, and often equal but for their field or order.
keys = st.sampled_from(["X-A", "Host", "a", "b"])
entries = st.fixed_dictionaries(
    {
        "key": keys,
        "source": st.sampled_from(get_args(Source)),
        "value": st.sampled_from(["data.a", "${env:KEY}", "${env:NO}", "line\nend", True]),
    },
    optional={"missing": st.sampled_from(["omit", "reject", None])},
)
entries = entries | entries.map(lambda entry: dict(reversed(entry.items())))
described = st.fixed_dictionaries(
    {"label": st.sampled_from(["A", ""])}, optional={"default": st.sampled_from(["d", "", None])}
)
definitions = st.fixed_dictionaries(
    {"uri": st.sampled_from(["https://x.example/{a}", "https://x.example", "https://u@x.example"])},
    optional={
        "headers": st.lists(entries, max_size=2),
        "parameters": st.lists(entries, max_size=2),
        "uri_parameters": st.fixed_dictionaries({"a": described}),
    },
)

Result = tuple[list[Hook], list[str]]


def load(folder: Path, definitions: Sequence[Any]) -> Result:
    """The hooks of one file, and its problems; a definition has its number in its line."""
    file = folder / "hooks.json"
    file.write_text("[" + ",\n".join(map(json.dumps, definitions)) + "]")
    try:
        table = load_hooks(folder, LoadContext(SecretReader({"KEY": "canary"}, ["KEY"])))
    except ConfigError as error:
        return [], [str(problem) for problem in error.diagnostics]
    return list(table.hooks.values()), []


@settings(
    deadline=None,  # it would measure how busy the machine is
    suppress_health_check=[HealthCheck.function_scoped_fixture],  # the file is written anew
)
@given(found=st.lists(definitions, min_size=1, max_size=4))
def test_hooks_are_those_that_each_definition_makes_alone(
    tmp_path: Path, found: list[dict[str, Any]]
) -> None:
    """Hooks of one load, or their problems, are those that each definition makes when it is loaded
    alone.
    """
    together = [
        {"id": f"h{number}", "trigger": "event", **definition}
        for number, definition in enumerate(found)
    ]
    hooks, problems = load(tmp_path, together)
    alone = [load(tmp_path, [definition]) for definition in together]
    file = tmp_path / "hooks.json"
    assert problems == [
        problem.replace(f"{file}:1:", f"{file}:{line}:")
        for line, (_, its) in enumerate(alone, 1)
        for problem in its
    ]
    if not problems:
        assert hooks == [
            replace(hook, line=line, uri_line=line) for line, ([hook], _) in enumerate(alone, 1)
        ]
