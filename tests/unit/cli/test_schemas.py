"""`hookstream schema`, judged by a validator that is not ours."""

import json
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator, ValidationError
from typer.testing import CliRunner

from consumer.cli.commands import commands
from support.project import ROOT

EXAMPLES = [
    *sorted((ROOT / "config" / "hooks").glob("*.yaml")),
    *sorted((ROOT / "consumer" / "demo" / "hooks").glob("*.yaml")),
    *sorted((ROOT / "deploy" / "hooks").glob("*.yaml")),
]
SETTINGS = [ROOT / "config" / "hookstream.yaml", ROOT / "deploy" / "hookstream.yaml"]
FULL = {
    "id": "all-fields",
    "name": 7,
    "enabled": False,
    "app": "shop",
    "method": "GET",
    "trigger": "event",
    "select": ["a", 1],
    "uri": "https://example.com/{x}",
    "uri_parameters": {"x": {"label": "X", "default": 1, "missing": "empty"}},
    "headers": [{"key": "X-A", "source": "profile", "value": "city", "encode": "percent"}],
    "parameters": [{"key": "b", "source": "fixed", "value": True, "missing": "omit"}],
    "rate_limit": {"requests": 5, "per": "1s", "burst": 9},
    "when": {
        "data.price": {"at_least": 1000, "below": 5000},
        "user.attributes.city": ["İstanbul", 6],
        "data.a": True,
        "any": [{"data.b": {"not": ["x"], "exists": True}}, {"data.c": {"same_text": "y"}}],
    },
    "retry_on": [403],
    "order": "user",
    "timeout": "10s",
    "signing_secrets": ["whsec_AAAA"],
}


def printed(which: str) -> Any:
    """What the command prints, as JSON."""
    result = CliRunner().invoke(commands, ["schema", which])
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def validator(which: str) -> Draft202012Validator:
    """An independent validator of the printed schema, which must be a schema itself."""
    schema = printed(which)
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda file: f"{file.parts[-3]}-{file.stem}")
def test_every_example_hook_fits_the_schema(file: Path) -> None:
    """Each definition that this project shows is valid by the schema that it prints."""
    documents = [document for document in yaml.safe_load_all(file.read_text()) if document]
    assert documents
    for document in documents:
        validator("hooks").validate(document)


@pytest.mark.parametrize("file", SETTINGS, ids=lambda file: file.parts[-2])
def test_every_example_of_settings_fits_the_schema(file: Path) -> None:
    """Each settings file that this project shows is valid by the schema that it prints."""
    validator("settings").validate(yaml.safe_load(file.read_text()))


def test_a_definition_with_every_field_fits_the_schema() -> None:
    """Every field of a definition is in the schema, in each spelling that the loader takes."""
    validator("hooks").validate(FULL)
    validator("hooks").validate({**FULL, "timeout": None, "select": None})


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("id", "Not An Id"),
        ("method", "POST"),
        ("trigger", "push-click"),
        ("surprise", 1),
        ("timeout", 10),
        ("retry_on", [200]),
        ("order", "users"),
        ("when", {}),
        ("when", {"data.a": {"at_leest": 5}}),
        ("when", {"data.a": {"below": "5"}}),
        ("when", {"data.a": []}),
        ("when", {"data.a": {}}),
        ("when", {"any": [{"any": [{"data.a": 1}]}]}),
        ("headers", [{"key": "X-A", "source": "cookie", "value": "a"}]),
        ("parameters", [{"key": "a", "source": "fixed", "value": "a", "encode": "percent"}]),
    ],
)
def test_what_the_loader_refuses_the_schema_refuses(field: str, value: object) -> None:
    """An editor marks a wrong name, word, number or duration before `check` has to."""
    document = deepcopy(FULL) | {field: value}
    with pytest.raises(ValidationError):
        validator("hooks").validate(document)


@pytest.mark.parametrize(("which", "file"), [("hooks", "hook"), ("settings", "settings")])
def test_the_schemas_beside_the_examples_are_the_printed_ones(which: str, file: str) -> None:
    """The files that the examples' editor comment names are what the command prints."""
    written = json.loads((ROOT / "config" / "schemas" / f"{file}.json").read_text())
    assert written == printed(which)


def test_the_examples_name_their_schema() -> None:
    """Each example file begins with the comment by which an editor finds its schema."""
    for file in [*(ROOT / "config" / "hooks").glob("*.yaml"), ROOT / "config" / "hookstream.yaml"]:
        first = file.read_text().splitlines()[0]
        mark, _, target = first.partition("$schema=")
        assert mark == "# yaml-language-server: "
        assert (file.parent / target).exists()
