"""The values of the Helm chart: typed, explained, and refused with the value's name."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
import yaml

from support.charts import CHART, Rendered, render
from support.project import ROOT

VALUES_FILE = CHART / "values.yaml"
SCHEMA = json.loads((CHART / "values.schema.json").read_text())
FREE = ("settings", "rollingUpdate", "requests", "limits", "affinity")
"""Mappings whose keys are Kubernetes' or the program's own."""

WRONG: Mapping[str, tuple[Mapping[str, Any], str]] = {
    "misspelt": ({"replica": 3}, "'replica' not allowed"),
    "misspelt below": ({"panel": {"ingres": {}}}, "/panel': .*'ingres' not allowed"),
    "text": ({"replicas": "three"}, "/replicas': got string, want integer"),
    "none": ({"replicas": 0}, "/replicas': minimum: got 0, want 1"),
    "reload": ({"reload": "SIGHUP"}, "/reload': value must be one of 'restart', 'signal'"),
    "digest": ({"image": {"digest": "latest"}}, "/image/digest': 'latest' does not match"),
    "port": ({"networkPolicy": {"brokerPorts": [70000]}}, "/networkPolicy/brokerPorts/0': maximum"),
    "disruptions": ({"podDisruptionBudget": {"maxUnavailable": "few"}}, "/maxUnavailable': 'few'"),
    "definition": ({"hooks": {"clicks.txt": ""}}, 'hooks has "clicks.txt": name a .* clicks.yaml'),
    "file": ({"secrets": {"files": [{"name": "tls"}]}}, "missing property 'existingSecret'"),
    "interval": ({"monitoring": {"podMonitor": {"interval": "often"}}}, "/interval': 'often'"),
    "grace": (
        {"settings": {"delivery": {"shutdown_grace": "30"}}},
        'settings.delivery.shutdown_grace is "30": write a whole number and its unit',
    ),
    "admin": ({"settings": {"admin": {"port": 1}}}, "settings.admin.port is the chart's: remove"),
    "host": ({"settings": {"panel": {"host": "::"}}}, "settings.panel.host is the chart's"),
    "no hooks": ({"settings": {"hooks": {"live": False}}}, "there are no hooks: put definition"),
    "bounds": (
        {"autoscaling": {"enabled": True, "minReplicas": 5, "maxReplicas": 3}},
        "autoscaling.minReplicas is 5 and autoscaling.maxReplicas 3",
    ),
}


@pytest.fixture(scope="module")
def refused(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rendered]:
    """What Helm says of wrong values."""
    cases = {name: values for name, (values, _) in WRONG.items()}
    return render(cases, tmp_path_factory.mktemp("package"))


@pytest.mark.parametrize("case", WRONG)
def test_a_wrong_value_is_refused_by_name(refused: Mapping[str, Rendered], case: str) -> None:
    """A wrong or misspelt value is refused before anything is installed, by an error that names it
    and says what it may be.
    """
    _, expected = WRONG[case]
    assert re.search(expected, refused[case].error), refused[case].error
    assert not refused[case].documents


def _paths(values: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if isinstance(values, dict) and values and (not path or path[-1] not in FREE):
        for key, value in values.items():
            yield (*path, key)
            yield from _paths(value, (*path, key))


def _declared(schema: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if "$ref" in schema:
        schema = SCHEMA["definitions"][schema["$ref"].rpartition("/")[2]]
    if path and path[-1] in FREE:
        return
    for key, value in schema.get("properties", {}).items():
        yield (*path, key)
        yield from _declared(value, (*path, key))


def test_the_schema_has_every_value() -> None:
    """Each value of values.yaml is in the schema, and each of the schema is in values.yaml, so that
    a reader of the file knows of all of them.
    """
    values = set(_paths(yaml.safe_load(VALUES_FILE.read_text())))
    declared = set(_declared(SCHEMA)) - {("global",)}  # Helm's own
    listed = {path for path in values if len(path) < 2 or path[-2] != "labels"}
    assert listed - declared == set()
    assert {path for path in declared - values if "claims" not in path} == set()


def test_every_value_is_explained() -> None:
    """Each value of values.yaml has a comment in its line or above it, is explained by the comment
    of the mapping around it, or is explained in docs/kubernetes.md.
    """
    page = (ROOT / "docs/kubernetes.md").read_text()
    unexplained = []
    for block in VALUES_FILE.read_text().split("\n\n"):
        explained: dict[int, bool] = {}
        commented: set[int] = set()
        for line in block.splitlines():
            indent = len(line) - len(line.lstrip())
            if line.lstrip().startswith("#"):
                commented.add(indent)
            elif match := re.match(r"\s*(?:- )?(\w+):", line):
                around = [known for depth, known in explained.items() if depth < indent]
                own = " # " in line or indent in commented or f"{match[1]}`" in page
                explained = {at: known for at, known in explained.items() if at < indent}
                explained[indent] = own or any(around)
                if not explained[indent]:
                    unexplained.append(line)
    assert unexplained == []


def test_the_page_names_values_that_exist() -> None:
    """Each value that docs/kubernetes.md names exists."""
    page = (ROOT / "docs/kubernetes.md").read_text()
    tops = set(yaml.safe_load(VALUES_FILE.read_text()))
    named = {
        tuple(name.split("."))
        for name in re.findall(r"`([a-zA-Z]+(?:\.[a-zA-Z]+)+)`", page)
        if name.split(".")[0] in tops - {"settings"}
    }
    known = set(_declared(SCHEMA)) | set(_paths(yaml.safe_load(VALUES_FILE.read_text())))
    assert named
    assert named - known == set()
