"""The Helm chart's pods: how they run, stop and reload, and what they are given."""

import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from consumer.reload import FIXED_SECTIONS, FIXED_SETTINGS
from consumer.settings import load_settings
from support.chart_cases import CASES, HOOKS, daemon, pods
from support.charts import CHART, Rendered, render

RELOADED: Mapping[str, Mapping[str, object]] = {
    "log": {"level": "debug"},
    "delivery": {"concurrency": 10, "transport": "curl"},
    "network": {"allow": ["receiver"]},
    "retry": {"delays": "10s", "max_attempts": 7},
    "delivery_log": {"successes": 0.5},
}
"""Settings that a reload applies, beside those that hold for the daemon's life."""
FIXED: Mapping[str, Mapping[str, object]] = {
    "kafka": {"kafka": {"group_id": "other"}},
    "sources": {"sources": [{"topic": "t", "trigger": "event"}]},
    "retry.delays": {"retry": {"delays": "10s, 5m"}},
    "delivery.transport": {"delivery": {"transport": "aiohttp"}},
    "delivery_log.is_on": {"delivery_log": {"failures": False, "successes": 0}},
    "hooks.live": {"hooks": {"live": False}},
    "schema_registry.url": {"schema_registry": {"url": "http://registry:8081"}},
    "tracing.endpoint": {"tracing": {"endpoint": "http://collector:4318"}},
}
BASE: Mapping[str, Any] = {"reload": "signal", "hooks": HOOKS}
GRACES = {"500ms": 11, "45s": 55, "2m": 130}
MORE: Mapping[str, Mapping[str, Any]] = {
    "base": {**BASE, "settings": {"retry": {"delays": "10s"}, "delivery": {"transport": "curl"}}},
    "reloaded": {**BASE, "settings": RELOADED},
    "other hooks": {"hooks": {"clicks.yaml": "id: other\n"}},
    "other log": {"hooks": HOOKS, "settings": {"log": {"level": "debug"}}},
    "plain": {"hooks": HOOKS},
    "fixed base": BASE,
    **{f"fixed {name}": {**BASE, "settings": settings} for name, settings in FIXED.items()},
    **{f"grace {grace}": {"settings": {"delivery": {"shutdown_grace": grace}}} for grace in GRACES},
}


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rendered]:
    """The variants, and those of this file."""
    return render({**CASES, **MORE}, tmp_path_factory.mktemp("package"))


def annotations(chart: Rendered) -> dict[str, str]:
    """Those of the daemon's pods: the pods are made anew when they change."""
    found: dict[str, str] = daemon(chart)["spec"]["template"]["metadata"]["annotations"]
    return found


@pytest.mark.parametrize("case", CASES)
def test_pods_are_restricted(charts: Mapping[str, Rendered], case: str) -> None:
    """Every container of every variant meets the restricted pod security standard with a read-only
    root, under whatever uid the cluster gives it (OpenShift), and without a service account's token
    or a service's variables.
    """
    for template in pods(charts[case]):
        spec = template["spec"]
        assert spec["securityContext"] == {
            "runAsNonRoot": True,
            "seccompProfile": {"type": "RuntimeDefault"},
        }
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        for container in spec["containers"]:
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}
        # A file of a mode for its owner and group alone could not be read under any other uid.
        assert "defaultMode" not in json.dumps(spec["volumes"])
        names = {volume["name"] for volume in spec["volumes"]}
        mounts = {
            mount["name"] for one in spec["containers"] for mount in one.get("volumeMounts", [])
        }
        assert mounts == names


def test_probes_ask_where_the_daemon_listens(charts: Mapping[str, Rendered]) -> None:
    """The daemon listens for probes at its pod's address, and each probe asks it: liveness and
    start at /healthz, readiness at /readyz.
    """
    [container] = daemon(charts["default"])["spec"]["template"]["spec"]["containers"]
    env = {one["name"]: one["value"] for one in container["env"]}
    settings = load_settings(None, env)
    assert settings.admin.host == ("0.0.0.0",)
    assert container["ports"] == [{"name": "metrics", "containerPort": settings.admin.port}]
    paths = {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    for probe, path in paths.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "metrics"}


@pytest.mark.parametrize("case", ["default", "everything", "tokens", "files"])
def test_the_settings_load(charts: Mapping[str, Rendered], case: str, tmp_path: Path) -> None:
    """The daemon accepts the settings file that the chart makes, with the values that were given
    and the folder into which the definitions are mounted.
    """
    file = tmp_path / "hookstream.yaml"
    file.write_text(charts[case].find("ConfigMap", "-settings")["data"]["hookstream.yaml"])
    settings = load_settings(file, {})
    spec = daemon(charts[case])["spec"]["template"]["spec"]
    mounts = {one["name"]: one["mountPath"] for one in spec["containers"][0]["volumeMounts"]}
    assert str(settings.hooks.path) == mounts["hooks"]
    assert spec["containers"][0]["args"] == ["run", "--config", f"{mounts['settings']}/{file.name}"]
    if case == "everything":
        assert settings.kafka.bootstrap_servers[0] == "kafka-1:9093"
        assert settings.delivery.concurrency == 2000
    assert settings.hooks.live is (case != "files")


@pytest.mark.parametrize(
    ("case", "seconds"),
    [("default", 35), ("everything", 100), *((f"grace {one}", GRACES[one]) for one in GRACES)],
)
def test_a_stop_has_the_daemons_time_and_ten_seconds(
    charts: Mapping[str, Rendered], case: str, seconds: int
) -> None:
    """Kubernetes waits for delivery.shutdown_grace and ten seconds before it kills a daemon."""
    spec = daemon(charts[case])["spec"]["template"]["spec"]
    assert spec["terminationGracePeriodSeconds"] == seconds


def test_changed_settings_and_hooks_replace_the_pods(charts: Mapping[str, Rendered]) -> None:
    """With `reload: restart` a change of the settings or of a hook makes the pods anew."""
    before = annotations(charts["plain"])
    assert annotations(charts["other hooks"])["checksum/hooks"] != before["checksum/hooks"]
    assert annotations(charts["other log"])["checksum/settings"] != before["checksum/settings"]


def test_a_signal_replaces_no_pods(charts: Mapping[str, Rendered]) -> None:
    """With `reload: signal` a change that a reload applies leaves the pods as they are, and a
    container that shares their processes and mounts signals the daemon.
    """
    assert annotations(charts["reloaded"]) == annotations(charts["base"])
    spec = daemon(charts["reloaded"])["spec"]["template"]["spec"]
    assert spec["shareProcessNamespace"] is True
    _, reload = spec["containers"]
    mounts = {one["mountPath"] for one in reload["volumeMounts"]}
    assert set(reload["command"][2:]) | {str(Path(reload["command"][1]).parent)} == mounts
    script = charts["reloaded"].find("ConfigMap", "-reload")["data"]
    assert script["reload.py"].strip() == (CHART / "files/reload.py").read_text().strip()


def test_a_signal_replaces_pods_for_fixed_settings(charts: Mapping[str, Rendered]) -> None:
    """With `reload: signal` a change of each setting that holds for the daemon's life makes the
    pods anew, since the daemon would refuse to reload it.
    """
    listed = {*FIXED_SECTIONS, *(".".join(setting) for setting in FIXED_SETTINGS)}
    assert set(FIXED) == listed - {"admin"}  # the chart's own
    found = {annotations(charts[f"fixed {name}"])["checksum/fixed-settings"] for name in FIXED}
    assert len(found - {annotations(charts["fixed base"])["checksum/fixed-settings"]}) == len(FIXED)


class _EndError(Exception):
    """Ends the script's loop."""


def test_the_daemon_is_signalled_when_a_mount_changes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """The container beside the daemon sends it a SIGHUP after each exchange of a mounted
    ConfigMap, and to no other process, and outlives a daemon that ends meanwhile.
    """
    spec = importlib.util.spec_from_file_location("reload_script", CHART / "files/reload.py")
    assert spec is not None
    assert spec.loader is not None
    script = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    proc, settings, hooks = (tmp_path / name for name in ("proc", "settings", "hooks"))
    processes = {
        "1": "/pause",
        "7": "python\0/opt/hookstream/bin/hookstream\0run\0--config\0f",
        "8": "python\0/opt/reload/reload.py\0/etc/hookstream/settings",
        "9": "python\0/opt/hookstream/bin/hookstream\0check",
        "self": "hookstream\0run",
    }
    for pid, words in processes.items():
        (proc / pid).mkdir(parents=True)
        (proc / pid / "cmdline").write_text(f"{words}\0")
    settings.mkdir()
    hooks.mkdir()
    (settings / "..data").symlink_to("..1")
    waits: list[float] = []

    def wait(seconds: float) -> None:
        waits.append(seconds)
        if len(waits) == 2:  # in the first look nothing has changed
            (settings / "new").symlink_to("..2")
            (settings / "new").rename(settings / "..data")
        elif len(waits) == 4:
            (hooks / "..data").symlink_to("..1")
        elif len(waits) == 6:
            raise _EndError

    signals: list[tuple[int, int]] = []

    def kill(pid: int, number: int) -> None:
        signals.append((pid, number))
        if len(signals) == 2:
            raise ProcessLookupError

    with pytest.raises(_EndError):
        script.main([str(settings), str(hooks)], proc, wait=wait, kill=kill)
    assert signals == [(7, 1), (7, 1)]
    assert capsys.readouterr().out.count("SIGHUP to process 7") == 1


def test_what_exists_is_used(charts: Mapping[str, Rendered]) -> None:
    """ConfigMaps and Secrets that the user names are mounted, or become the environment, of the
    daemon and of the panel, and the chart makes none in their place.
    """
    chart = charts["existing"]
    assert "ConfigMap" not in chart.kinds()
    for kind in ("Secret", "ConfigMap"):
        assert kind not in chart.kinds()
    templates = [*pods(chart)]
    assert len(templates) == 2
    for template in templates:
        volumes = {one["name"]: one for one in template["spec"]["volumes"]}
        assert volumes["settings"]["configMap"] == {"name": "my-settings"}
        assert volumes["hooks"]["configMap"] == {"name": "my-hooks"}
        assert volumes["secret-kafka-tls"]["secret"] == {"secretName": "my-tls"}
        [container] = template["spec"]["containers"]
        assert container["envFrom"] == [{"secretRef": {"name": "my-environment"}}]
        mounts = {one["name"]: one["mountPath"] for one in container["volumeMounts"]}
        assert mounts["secret-kafka-tls"] == "/run/secrets/kafka-tls"
        assert template["spec"]["imagePullSecrets"] == [{"name": "registry"}]


def test_no_variant_makes_a_secret(charts: Mapping[str, Rendered]) -> None:
    """No variant makes a Secret: none of the chart's values is one."""
    assert all("Secret" not in chart.kinds() for chart in charts.values())
