"""The systemd unit: valid, sandboxed, and true to the daemon's settings and exit codes."""

import configparser
import re
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from consumer.__main__ import USAGE_ERROR
from consumer.settings import Settings
from support.project import ROOT

UNIT = ROOT / "deploy/hookstream.service"
ANALYZE = shutil.which("systemd-analyze")
needs_systemd = pytest.mark.skipif(ANALYZE is None, reason="systemd-analyze is not installed")


@pytest.fixture(scope="module")
def service() -> Mapping[str, str]:
    """The section Service; of settings that are there twice, the last."""
    parser = configparser.ConfigParser(interpolation=None, strict=False)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(UNIT)
    return parser["Service"]


def _analyze(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(ANALYZE), *arguments], capture_output=True, text=True, check=False, timeout=60
    )


@needs_systemd
def test_systemd_accepts_the_unit(tmp_path: Path) -> None:
    """The unit has no mistake that systemd knows of, once its program is installed."""
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/hookstream/bin/hookstream", sys.executable))
    found = _analyze("verify", str(unit))
    assert (found.returncode, found.stderr) == (0, "")
    unit.write_text(unit.read_text().replace("Restart=always", "Restart=allways"))
    assert "allways" in _analyze("verify", str(unit)).stderr


@needs_systemd
def test_the_sandbox_is_as_tight_as_the_unit_says() -> None:
    """The exposure that systemd-analyze finds is the one in the unit's comment, and below two."""
    found = _analyze("security", "--offline=yes", "--no-pager", str(UNIT))
    [exposure] = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", found.stdout)
    [version, told] = re.findall(r"systemd (\d+) rates .* ([0-9.]+)\.\n", UNIT.read_text())[0]
    assert float(told) < 2
    if f"systemd {version} " in _analyze("--version").stdout:
        assert exposure == told


def test_a_stop_has_the_daemons_time_and_ten_seconds(service: Mapping[str, str]) -> None:
    """Before systemd kills the daemon it waits for delivery.shutdown_grace and ten seconds."""
    assert float(service["TimeoutStopSec"]) == Settings().delivery.shutdown_grace + 10


def test_systemd_waits_for_the_daemon_and_reloads_it(service: Mapping[str, str]) -> None:
    """The unit is of the type whose notifications the daemon sends, with a watchdog, and a reload
    is the daemon's SIGHUP.
    """
    assert service["Type"] == "notify"
    assert float(service["WatchdogSec"]) > 0
    assert service["ExecReload"] == "/bin/kill -HUP $MAINPID"
    assert service["ExecStart"].split()[1:3] == ["run", "--config"]


def test_only_a_cure_restarts(service: Mapping[str, str]) -> None:
    """The daemon is started again after every end, other than that by wrong settings or hooks,
    which no restart cures.
    """
    assert service["Restart"] == "always"
    assert service["RestartPreventExitStatus"] == str(USAGE_ERROR)


def test_secrets_are_not_in_the_unit(service: Mapping[str, str]) -> None:
    """Secrets come from a file of the environment or from credentials, and the operator's page
    tells of both.
    """
    assert service["EnvironmentFile"] == "-/etc/hookstream/environment"
    page = (ROOT / "docs/operations.md").read_text()
    for name in ("/etc/hookstream/environment", "LoadCredential", "/run/credentials/"):
        assert name in UNIT.read_text()
        assert name in page
