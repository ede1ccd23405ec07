"""The Helm chart as Helm's own packages render it, and the schemas that it is validated against.

`helm/main.go` is compiled once, with the version of Helm that `helm/go.mod` pins, and kept in
`.cache/helm`. It is a fraction of the command `helm`: what a chart needs, without what talks to
clusters and registries. The schemas of Kubernetes are in the package `kubernetes-validate`, those
of the other kinds in the modules of the projects that define them.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from support.filled_folder import Fetch, filled_folder
from support.project import ROOT

CHART = ROOT / "deploy/chart"
SOURCE = Path(__file__).parent / "helm"
CACHE = ROOT / ".cache/helm"
RELEASE, NAMESPACE = "push", "webhooks"


@dataclass(frozen=True)
class CustomKinds:
    """A Go module that has definitions of custom kinds, by kind."""

    module: str
    sum: str
    """The module's hash, as in a go.sum."""
    files: Mapping[str, str]


CUSTOM_KINDS = (
    CustomKinds(
        "github.com/prometheus-operator/prometheus-operator@v0.85.0",
        "h1:M5xLCLEoaW2IJfnuCwFzzpL+jSVQu3KGT84Pye+fW8s=",
        {
            "PodMonitor": "example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml",
            "PrometheusRule": (
                "example/prometheus-operator-crd/monitoring.coreos.com_prometheusrules.yaml"
            ),
        },
    ),
    CustomKinds(
        "github.com/kedacore/keda/v2@v2.21.0",
        "h1:R6z2HZvstK4RLUMxroNACzBj74xGxt3kG59b5Xc+Xps=",
        {"ScaledObject": "config/crd/bases/keda.sh_scaledobjects.yaml"},
    ),
)


class NoHelmError(Exception):
    """The chart cannot be rendered here; the sentence says what to install, or carries Go's."""


@dataclass(frozen=True)
class Rendered:
    """What Helm makes of one set of values."""

    error: str
    """Why it refuses the values; empty if it does not."""
    documents: Sequence[dict[str, Any]]
    notes: str
    lint: Sequence[str]
    """What `helm lint` warns of."""

    def find(self, kind: str, name: str = "") -> dict[str, Any]:
        """The only object of a kind, or that with this end of its name."""
        assert self.error == ""
        [found] = [
            document
            for document in self.documents
            if document["kind"] == kind and document["metadata"]["name"].endswith(name)
        ]
        return found

    def kinds(self) -> Sequence[str]:
        """The objects' kinds, in order."""
        assert self.error == ""
        return sorted(document["kind"] for document in self.documents)


def _go(*arguments: str) -> str:
    """What a command of Go prints.

    Raises:
        NoHelmError: there is no Go, or it failed.
    """
    if shutil.which("go") is None:
        raise NoHelmError(
            "The tests of the Helm chart need Go 1.26 or later and a Go module proxy, to compile "
            "Helm's own packages once, and there is no `go` on the PATH. Install Go, then run "
            "`make chart`."
        )
    done = subprocess.run(
        ["go", *arguments],
        cwd=SOURCE,
        env={**os.environ, "GOFLAGS": "-mod=readonly -buildvcs=false", "GOWORK": "off"},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoHelmError(
            f"`go {arguments[0]}` could not build what the tests of the Helm chart need. They need "
            f"Go 1.26 or later and a Go module proxy; `make chart` tries again.\n"
            f"{done.stdout}{done.stderr}"
        )
    return done.stdout


def build(folder: Path) -> None:
    """Compile the renderer and copy the definitions of custom kinds into `folder`.

    Raises:
        NoHelmError: it cannot be done.
    """
    _go("build", "-ldflags=-s -w", "-o", str(folder / "render"), ".")
    for source in CUSTOM_KINDS:
        module = json.loads(_go("mod", "download", "-json", source.module))
        if module["Sum"] != source.sum:
            raise NoHelmError(f"{source.module} is not the one that is pinned: {module['Sum']}")
        for kind, file in source.files.items():
            shutil.copyfile(Path(module["Dir"]) / file, folder / f"{kind}.yaml")


def tools(cache: Path = CACHE, fetch: Fetch = build) -> Path:
    """The folder with the renderer and the definitions, filled at the first call
    (`filled_folder`).
    """
    sources = [*(SOURCE / name for name in ("go.mod", "go.sum", "main.go")), Path(__file__)]
    return filled_folder(cache, sources, fetch)


def render(
    cases: Mapping[str, Mapping[str, Any]], package: Path, chart: Path = CHART
) -> Mapping[str, Rendered]:
    """What Helm makes of each case's values; the chart's package is written into `package`."""
    request = {
        name: {"values": values, "release": RELEASE, "namespace": NAMESPACE}
        for name, values in cases.items()
    }
    done = subprocess.run(
        [tools() / "render", chart, package],
        input=json.dumps(request),
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise NoHelmError(done.stderr)
    return {name: Rendered(**result) for name, result in json.loads(done.stdout).items()}


def custom_schema(kind: str) -> dict[str, Any]:
    """The JSON Schema of a custom kind, in which an unknown field is an error."""
    definition = yaml.safe_load((tools() / f"{kind}.yaml").read_text())
    [version] = [one for one in definition["spec"]["versions"] if one["storage"]]
    schema: dict[str, Any] = _strict(version["schema"]["openAPIV3Schema"])
    schema["properties"]["metadata"] = {"type": "object"}
    return schema


def _strict(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_strict(one) for one in schema]
    if not isinstance(schema, dict):
        return schema
    strict = {key: _strict(value) for key, value in schema.items()}
    if (
        isinstance(schema.get("properties"), dict)
        and schema.get("type") == "object"
        and "x-kubernetes-preserve-unknown-fields" not in schema
    ):
        strict.setdefault("additionalProperties", False)
    if schema.get("x-kubernetes-int-or-string"):
        strict["type"] = ["integer", "string"]
    return strict


def main() -> None:
    """Build what the tests of the chart need, before any test's time limit runs."""
    try:
        folder = tools()
    except NoHelmError as error:
        sys.exit(str(error))
    sys.stdout.write(f"Helm for the tests: {folder / 'render'}\n")


if __name__ == "__main__":
    main()
