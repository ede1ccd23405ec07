"""The alert rules: valid PromQL, about metrics and labels that the daemon really has."""

from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from consumer.metrics import Metrics
from consumer.reasons import Reason
from support.filled_metrics import fill_stream
from support.project import ROOT

(GROUP,) = yaml.safe_load((ROOT / "deploy/alerts.yml").read_text())["groups"]
RULES: list[dict[str, Any]] = GROUP["rules"]


@pytest.fixture(scope="module")
def samples() -> dict[str, set[str]]:
    """Each sample's name with its labels, as a scrape gives them."""
    metrics = Metrics("1.0")
    metrics.events("event").undecodable()
    fill_stream(metrics)
    hook = metrics.hook("shop")
    hook.attempt("2xx", 0.1)
    hook.latency(0.1)
    hook.dead_lettered(Reason.PERMANENT)
    found = {"up": {"job", "instance"}}
    for family in metrics.collect():
        for sample in family.samples:
            found.setdefault(sample.name, set()).update(sample.labels)
    return found


def _selectors(expression: str) -> Iterator[promql_parser.VectorSelector]:
    found: list[promql_parser.VectorSelector] = []

    def visit(node: promql_parser.Expr) -> None:
        if isinstance(node, promql_parser.VectorSelector):
            found.append(node)
        elif isinstance(node, promql_parser.MatrixSelector):
            found.append(node.vector_selector)

    promql_parser.walk(promql_parser.parse(expression), visit)
    yield from found


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_watches_metrics_that_exist(
    rule: dict[str, Any], samples: dict[str, set[str]]
) -> None:
    """A misspelt metric or label would make an alert that never fires."""
    selectors = list(_selectors(rule["expr"]))
    assert selectors
    for selector in selectors:
        assert selector.name in samples
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= samples[selector.name]


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """Each has a severity, a summary and a description."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description"}


OBSERVED_ONLY = {"hookstream_build_info", "hookstream_in_flight"}
"""Numbers that nothing has to be done about, whatever they are."""


def test_every_metric_of_trouble_has_an_alert(samples: dict[str, set[str]]) -> None:
    """Each number of the Kafka side is watched by a rule, or is named as one to look at only."""
    watched = {selector.name for rule in RULES for selector in _selectors(rule["expr"])}
    filled = Metrics("0")
    fill_stream(filled)
    stream = {sample.name for family in filled.stream.collect() for sample in family.samples}
    counted = {name for name in stream if not name.endswith("_created")}
    assert counted - OBSERVED_ONLY <= watched
    assert counted <= samples.keys()


def test_names_are_unique() -> None:
    """Two alerts of one name would be silenced together."""
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
