"""The Helm chart: every variant renders, lints, and is valid by the schemas of its objects."""

import copy
import functools
import json
import shutil
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from consumer import __version__
from support.chart_cases import CASES
from support.charts import CHART, CUSTOM_KINDS, NoHelmError, Rendered, custom_schema, render, tools
from support.project import ROOT

VERSIONS = ("1.29", "1.37")
"""The oldest Kubernetes that the chart allows, and the newest that has schemas here."""
CUSTOM = {kind for source in CUSTOM_KINDS for kind in source.files}


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder that the chart is packaged into."""
    return tmp_path_factory.mktemp("package")


@pytest.fixture(scope="module")
def charts(package: Path) -> Mapping[str, Rendered]:
    """All variants."""
    return render(CASES, package)


def problems(document: dict[str, Any], version: str) -> Sequence[str]:
    """Why an object is not valid in a version of Kubernetes; unknown fields are among it."""
    if document["kind"] in CUSTOM:
        return _validate(json.dumps(document), "")
    return _validate(json.dumps(document), version)


@functools.cache  # variants have many objects in common, and a schema takes long to read
def _validate(text: str, version: str) -> Sequence[str]:
    document = json.loads(text)
    if document["kind"] in CUSTOM:
        validator = jsonschema.Draft202012Validator(custom_schema(document["kind"]))
        return [error.message for error in validator.iter_errors(document)]
    try:
        kubernetes_validate.validate(document, version, strict=True)
    except kubernetes_validate.ValidationError as error:
        return [str(error)]
    return []


@pytest.mark.parametrize("case", CASES)
def test_a_variant_lints_and_renders(charts: Mapping[str, Rendered], case: str) -> None:
    """Helm renders each variant of the chart, and its linter has no warning."""
    assert charts[case].error == ""
    assert charts[case].lint == []
    assert "rollout status deployment/push-hookstream" in charts[case].notes


@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("case", CASES)
def test_every_object_is_valid(charts: Mapping[str, Rendered], case: str, version: str) -> None:
    """Each object of each variant is valid by Kubernetes' own schemas, of the oldest version and
    the newest, and by those of the Prometheus operator and KEDA; none has an unknown field.
    """
    assert charts[case].documents
    for document in charts[case].documents:
        assert problems(document, version) == []


@pytest.mark.parametrize(
    ("kind", "path", "wrong"),
    [
        ("Deployment", ("spec", "template", "spec", "graceSeconds"), 3),
        ("Deployment", ("spec", "selector"), None),
        ("Service", ("spec", "ports"), "http"),
        ("NetworkPolicy", ("spec", "egress", 0, "ports", 0, "port"), True),
        ("ScaledObject", ("spec", "fallback", "behavior"), "guess"),
        ("ScaledObject", ("spec", "triggers", 0, "metdata"), {}),
        ("PodMonitor", ("spec", "podMetricsEndpoints", 0, "interval"), "soon"),
        ("PrometheusRule", ("spec", "groups", 0, "name"), 3),
    ],
)
def test_the_schemas_refuse_nonsense(
    charts: Mapping[str, Rendered], kind: str, path: Sequence[str | int], wrong: object
) -> None:
    """The schemas refuse unknown fields, missing ones and wrong values of each kind."""
    [document, *_] = [one for one in charts["everything"].documents if one["kind"] == kind]
    broken: Any = copy.deepcopy(document)
    at = broken
    for step in path[:-1]:
        at = at[step]
    if wrong is None:
        del at[path[-1]]
    else:
        at[path[-1]] = wrong
    assert problems(broken, VERSIONS[0])
    assert problems(broken, VERSIONS[1])


def test_the_chart_names_the_version_of_the_image() -> None:
    """The chart's appVersion, from which the image's tag follows, is the program's version."""
    assert yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"] == __version__


def test_the_package_has_the_alerts(charts: Mapping[str, Rendered], package: Path) -> None:
    """The alerts exist once in the repository, and `helm package` puts their content into the
    chart's package, from which the PrometheusRule is made.
    """
    alerts = ROOT / "deploy/alerts.yml"
    assert (CHART / "files/alerts.yml").resolve() == alerts
    [archive] = package.glob("*.tgz")
    with tarfile.open(archive) as packed:
        member = packed.getmember("hookstream/files/alerts.yml")
        assert member.isreg()
        content = packed.extractfile(member)
        assert content is not None
        assert content.read() == alerts.read_bytes()
    rule = charts["monitored"].find("PrometheusRule")
    assert rule["spec"]["groups"] == yaml.safe_load(alerts.read_text())["groups"]


def test_each_dashboard_is_a_config_map(tmp_path: Path) -> None:
    """Every JSON file of deploy/dashboards becomes a ConfigMap with the label by which Grafana's
    sidecar finds it, whatever its name, and other files do not.
    """
    assert (CHART / "files/dashboards").resolve() == ROOT / "deploy/dashboards"
    chart = tmp_path / "chart"
    shutil.copytree(CHART, chart)
    content = json.dumps({"title": "{{ $labels.hook }}", "panels": [{"legend": "{{hook}}"}]})
    (chart / "files/dashboards/On_Call.json").write_text(content)
    (chart / "files/dashboards/notes.txt").write_text("none")
    found = render({"case": CASES["monitored"]}, tmp_path, chart)["case"]
    expected = {path.name for path in (chart / "files/dashboards").glob("*.json")}
    maps = {
        key: document
        for document in found.documents
        if document["metadata"]["labels"].get("grafana_dashboard") == "1"
        for key in document["data"]
    }
    assert set(maps) == expected
    assert json.loads(maps["On_Call.json"]["data"]["On_Call.json"]) == json.loads(content)
    assert maps["On_Call.json"]["metadata"]["name"].endswith("-dashboard-on-call")


def test_without_go_the_error_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without Go the tests of the chart fail, and the error says what to install."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(NoHelmError, match=r"Install Go.*make chart"):
        tools(tmp_path / "cache")


def test_a_build_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """A build that fails says so each time, and one that was complete is used again."""
    builds: list[Path] = []

    def fails(folder: Path) -> None:
        (folder / "render").touch()
        raise NoHelmError("no proxy")

    def succeeds(folder: Path) -> None:
        builds.append(folder)
        (folder / "render").touch()

    for _ in range(2):
        with pytest.raises(NoHelmError, match="no proxy"):
            tools(tmp_path, fails)
    assert tools(tmp_path, succeeds) == tools(tmp_path, fails)
    assert len(builds) == 1
