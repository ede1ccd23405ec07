"""The alert rules: valid PromQL, about metrics and labels that the daemon really has."""

import re
from collections.abc import Iterator
from typing import Any

import promql_parser
import pytest
import yaml

from consumer.documents.durations import parse_duration
from consumer.metrics import Metrics
from consumer.reasons import Reason
from consumer.stream.retry_topic import UNKNOWN_HOOK_SECONDS
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
    found = {"up": {"job", "instance"}, "probe_success": {"job", "instance"}}
    for family in metrics.registry.collect():
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
    """Each alert uses metrics and labels that the daemon or a Prometheus exporter has."""
    selectors = list(_selectors(rule["expr"]))
    assert selectors
    for selector in selectors:
        assert selector.name in samples
        labels = {matcher.name for matcher in selector.matchers.matchers}
        assert labels <= samples[selector.name] | {"job", "instance"}


@pytest.mark.parametrize("rule", RULES, ids=[rule["alert"] for rule in RULES])
def test_an_alert_says_what_to_do(rule: dict[str, Any]) -> None:
    """Each alert has a severity, a summary and a description."""
    assert rule["labels"]["severity"] in {"page", "ticket"}
    assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}


def _accepts(matcher: promql_parser.Matcher, value: str) -> bool:
    match str(matcher.op).removeprefix("MatchOp."):
        case "Equal":
            return matcher.value == value
        case "NotRe":
            return not re.fullmatch(matcher.value, value)
        case other:
            raise NotImplementedError(other)


def _alerts_on(metric: str, **labels: str) -> list[str]:
    """The alerts that a sample of `metric` with these `labels` raises as it grows."""

    def watches(selector: promql_parser.VectorSelector) -> bool:
        matchers = selector.matchers.matchers
        return selector.name == metric and all(
            _accepts(matcher, labels.get(matcher.name, "")) for matcher in matchers
        )

    return [rule["alert"] for rule in RULES if watches(next(_selectors(rule["expr"])))]


@pytest.mark.parametrize("reason", Reason)
def test_a_dead_letter_raises_one_alert(reason: Reason) -> None:
    """Each reason of a dead letter has one alert, and those that need another remedy than the rest
    have one of their own.
    """
    own = {
        Reason.TOO_LARGE: "HookstreamRecordTooLarge",
        Reason.HOOK_REMOVED: "HookstreamHookRemoved",
    }
    found = _alerts_on("hookstream_dead_letters_total", hook="shop", reason=reason)
    assert found == [own.get(reason, "HookstreamDeadLetters")]


def test_a_hook_that_a_replica_does_not_know_raises_an_alert() -> None:
    """Deliveries that are deferred for want of their hook raise an alert before they are given up;
    those of a known hook do not.
    """
    name = "hookstream_deliveries_total"
    assert _alerts_on(name, hook="", outcome="retried") == ["HookstreamHookUnknown"]
    assert _alerts_on(name, hook="shop", outcome="retried") == []
    assert _alerts_on(name, hook="", outcome="dead_lettered") == []
    [rule] = [rule for rule in RULES if rule["alert"] == "HookstreamHookUnknown"]
    assert parse_duration(rule["for"]) < UNKNOWN_HOOK_SECONDS


OBSERVED_ONLY = {
    "hookstream_attempt_duration_seconds",  # its time limits end in attempts that fail
    "hookstream_build_info",
    "hookstream_events_filtered_total",  # as the conditions of its author say
    "hookstream_in_flight",
    "hookstream_learned_rate",
    "hookstream_reloads_total",  # the last one's result has a gauge
}
"""Numbers that nothing has to be done about, whatever they are, or whose trouble another tells."""


def test_every_metric_of_trouble_has_an_alert() -> None:
    """Each metric of the daemon is watched by a rule, or is named as one to look at only."""
    watched = {selector.name for rule in RULES for selector in _selectors(rule["expr"])}
    filled = Metrics("0")
    filled.hook("h").latency(0.1)
    filled.events("event")
    fill_stream(filled)
    unwatched = {
        f"{family.name}_total" if family.type == "counter" else family.name
        for family in filled.collect()
        if watched.isdisjoint(sample.name for sample in family.samples)
    }
    assert unwatched == OBSERVED_ONLY


def test_names_are_unique() -> None:
    """No two alerts have the same name."""
    names = [rule["alert"] for rule in RULES]
    assert len(names) == len(set(names))
