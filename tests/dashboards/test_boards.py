"""The dashboards' files, without a Prometheus."""

import json

import promql_parser
import pytest

from consumer.metrics import Metrics
from dashboards.boards import BOARDS
from support.filled_metrics import fill_stream
from support.project import ROOT

FOLDER = ROOT / "deploy" / "dashboards"


@pytest.mark.parametrize("name", BOARDS)
def test_each_file_is_what_the_code_makes(name: str) -> None:
    """deploy/dashboards has what `make dashboards` writes."""
    assert (FOLDER / f"{name}.json").read_text() == BOARDS[name].write()


def test_there_is_no_other_file() -> None:
    """deploy/dashboards has the dashboards of the code and no other."""
    assert {path.stem for path in FOLDER.iterdir()} == set(BOARDS)


def _metric_names() -> set[str]:
    metrics = Metrics("0")
    hook = metrics.hook("h")
    hook.attempt("2xx", 0.1)
    hook.latency(0.1)
    metrics.events("event")
    fill_stream(metrics)
    samples = {sample.name for family in metrics.registry.collect() for sample in family.samples}
    return samples | {"up", "ALERTS"}


@pytest.mark.parametrize("name", BOARDS)
def test_each_query_asks_for_metrics_that_exist(name: str) -> None:
    """Each query is PromQL about metrics of the daemon, of this installation alone."""
    known, asked = _metric_names(), list[promql_parser.VectorSelector]()

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            asked.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            asked.append(node.vector_selector)

    for panel in json.loads(BOARDS[name].write())["panels"]:
        for target in panel.get("targets", ()):
            promql_parser.walk(
                promql_parser.parse(target["expr"].replace("$__rate_interval", "1m")), visit
            )
    assert {selector.name for selector in asked} <= known
    matched = [[matcher.name for matcher in one.matchers.matchers] for one in asked]
    assert all("job" in names or "alertname" in names for names in matched)
