"""The alert rules as Prometheus's own promtool evaluates them, and their runbook."""

import re
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

from support.alert_cases import CASES, Case, Series
from support.find_prometheus import find_prometheus
from support.project import ROOT

RULES_FILE = ROOT / "deploy" / "alerts.yml"
(GROUP,) = yaml.safe_load(RULES_FILE.read_text())["groups"]
RULES: dict[str, dict[str, Any]] = {rule["alert"]: rule for rule in GROUP["rules"]}
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
PARTS = ("Means.", "Look first.", "Do.", "Do not.")


def promtool(*arguments: str | Path) -> str:
    """What it says; fails the test with that if it fails."""
    command = [find_prometheus().promtool, *arguments]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def example(alert: str, series: Series, at: str, *, fires: bool) -> Mapping[str, Any]:
    """One test of promtool's."""
    return {
        "interval": "1m",
        "input_series": [{"series": name, "values": text} for name, text in series.items()],
        "promql_expr_test": [
            {
                "expr": f'count(ALERTS{{alertname="{alert}",alertstate="firing"}})',
                "eval_time": at,
                "exp_samples": [{"labels": "{}", "value": 1}] if fires else [],
            }
        ],
    }


def write_examples(folder: Path, alert: str, case: Case) -> Path:
    """The tests of one alert beside its rule alone: all rules at each minute would take long."""
    rule = {"groups": [{"name": "one", "rules": [RULES[alert]]}]}
    (folder / f"{alert}.rule.yml").write_text(yaml.safe_dump(rule))
    tests = [
        example(alert, series, case.at, fires=series is case.fires)
        for series in (case.fires, *case.quiet)
    ]
    if "for" in RULES[alert]:
        tests.append(example(alert, case.fires, "0m", fires=False))
    file = folder / f"{alert}.yml"
    examples = {
        "rule_files": [f"{alert}.rule.yml"],
        "evaluation_interval": "1m" if case.at.endswith("m") else "5m",
        "tests": tests,
    }
    file.write_text(yaml.safe_dump(examples))
    return file


def test_the_rules_are_valid() -> None:
    """Prometheus's own check accepts the rules, templates included."""
    assert f"{len(RULES)} rules found" in promtool("check", "rules", RULES_FILE)


def test_each_alert_fires_and_is_quiet_when_it_should(tmp_path: Path) -> None:
    """Each alert fires on the series that it is for, and on none that only comes near."""
    assert set(CASES) == set(RULES)
    promtool("test", "rules", *(write_examples(tmp_path, *each) for each in CASES.items()))


@pytest.mark.parametrize("alert", RULES)
def test_each_alert_leads_to_its_section_of_the_runbook(alert: str) -> None:
    """Each alert has a link to its own section of the runbook, which says what it means, what to
    look at first, what to do and what not to do.
    """
    assert RULES[alert]["annotations"]["runbook_url"] == f"docs/runbook.md#{alert.lower()}"
    [section] = re.findall(rf"^## {alert}$(.*?)(?=^## |\Z)", RUNBOOK, re.MULTILINE | re.DOTALL)
    assert [part for part in PARTS if f"**{part}**" not in section] == []


def test_the_runbook_has_no_section_of_an_alert_that_is_gone() -> None:
    """Each section of the runbook is that of an alert."""
    assert set(re.findall(r"^## (.+)$", RUNBOOK, re.MULTILINE)) == set(RULES)
