"""The Prometheus of the tests of alerts and dashboards."""

from pathlib import Path

import pytest

from support.find_prometheus import VARIABLE, NoPrometheusError, Prometheus, choose


def test_the_variable_wins_then_the_path_then_debians_package() -> None:
    """Programs that the environment names are taken, else those on the PATH, else Debian's."""
    on_path = {"prometheus": "/bin/prometheus", "promtool": "/bin/promtool"}.get
    assert choose("/opt", on_path, lambda: None).promtool == Path("/opt/promtool")
    assert choose("", on_path, lambda: None).server == Path("/bin/prometheus")
    fetched = choose("", lambda _: None, lambda: Path("/c"))
    assert fetched == Prometheus(Path("/c/prometheus"), Path("/c/promtool"))


def test_without_a_prometheus_the_run_fails_with_what_to_do() -> None:
    """Missing programs are an error that names each way to get them, and never a skipped test."""
    with pytest.raises(NoPrometheusError, match=f"make prometheus.*{VARIABLE}"):
        choose("", lambda _: None, lambda: None)
