"""The Helm chart's panel: a second Deployment, with a Service, an Ingress and an OAuth proxy."""

from collections.abc import Mapping
from typing import Any

import pytest

from consumer.settings import load_settings
from support.chart_cases import CASES, PROXY
from support.charts import Rendered, render

REFUSED: Mapping[str, Mapping[str, Any]] = {
    "no log-in": {"panel": {"enabled": True}},
    "no image": {"panel": {"enabled": True, "oauthProxy": {"enabled": True}}},
    "no host": {
        "panel": {"enabled": True, "oauthProxy": PROXY, "ingress": {"enabled": True}},
    },
}


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rendered]:
    """The variants, and values that are refused."""
    return render({**CASES, **REFUSED}, tmp_path_factory.mktemp("package"))


def containers(chart: Rendered) -> list[dict[str, Any]]:
    """Those of the panel's pods."""
    spec = chart.find("Deployment", "-panel")["spec"]["template"]["spec"]
    found: list[dict[str, Any]] = spec["containers"]
    return found


def environment(container: Mapping[str, Any]) -> dict[str, str]:
    """The environment of a container, of those variables that have a value here."""
    return {one["name"]: one["value"] for one in container["env"] if "value" in one}


def test_without_the_panel_there_is_one_deployment(charts: Mapping[str, Rendered]) -> None:
    """The chart has no panel unless it is asked for."""
    assert charts["default"].kinds().count("Deployment") == 1
    assert "port-forward" not in charts["default"].notes


def test_the_panel_is_a_deployment_with_a_service(charts: Mapping[str, Rendered]) -> None:
    """The panel runs beside the daemon with the same settings, at its pod's address, and its
    Service leads to it; probes ask its /healthz.
    """
    [panel] = containers(charts["tokens"])
    assert panel["args"] == ["panel", "--config", "/etc/hookstream/settings/hookstream.yaml"]
    tokens = environment(panel) | {"HOOKSTREAM_PANEL__TOKENS": "[]"}
    assert tokens["HOOKSTREAM_PANEL__HOST"] == "0.0.0.0"
    assert panel["ports"] == [
        {"name": "panel", "containerPort": int(tokens["HOOKSTREAM_PANEL__PORT"])}
    ]
    for probe in ("startupProbe", "livenessProbe", "readinessProbe"):
        assert panel[probe]["httpGet"] == {"path": "/healthz", "port": "panel"}
    [port] = charts["tokens"].find("Service", "-panel")["spec"]["ports"]
    assert port == {"name": "http", "port": 80, "targetPort": "panel"}
    assert "port-forward service/push-hookstream-panel" in charts["tokens"].notes


def test_behind_a_proxy_nothing_else_reaches_the_panel(charts: Mapping[str, Rendered]) -> None:
    """With an OAuth proxy the panel listens on loopback and believes loopback alone; the Service
    and the network policy lead to the proxy, which has its own Secrets, and the image's health
    check asks the panel from inside.
    """
    panel, proxy = containers(charts["proxy"])
    settings = load_settings(None, environment(panel)).panel
    assert settings.is_loopback
    assert settings.trusted_proxies == ("127.0.0.1/32",)
    for probe in ("startupProbe", "livenessProbe"):
        assert panel[probe]["exec"] == {"command": ["python", "/opt/hookstream/healthcheck.py"]}
    assert "readinessProbe" not in panel
    assert proxy["image"] == PROXY["image"]
    assert proxy["args"] == PROXY["args"]
    assert proxy["envFrom"] == [{"secretRef": {"name": "oauth-environment"}}]
    [mount] = proxy["volumeMounts"]
    assert mount["mountPath"] == "/etc/oauth-proxy"
    assert proxy["ports"] == [{"name": "proxy", "containerPort": 4180}]
    assert proxy["readinessProbe"]["tcpSocket"] == {"port": "proxy"}
    [port] = charts["proxy"].find("Service", "-panel")["spec"]["ports"]
    assert port["targetPort"] == "proxy"
    [ingress] = charts["proxy"].find("NetworkPolicy", "-panel")["spec"]["ingress"]
    assert ingress["ports"] == [{"port": "proxy"}]


def test_the_ingress_leads_to_the_service(charts: Mapping[str, Rendered]) -> None:
    """The Ingress leads from the panel's host name, with its certificate, to the panel's Service,
    and there is none unless it is asked for.
    """
    ingress = charts["proxy"].find("Ingress")["spec"]
    assert ingress["ingressClassName"] == "nginx"
    assert ingress["tls"] == [{"secretName": "panel-tls", "hosts": ["panel.example.com"]}]
    [rule] = ingress["rules"]
    assert rule["host"] == "panel.example.com"
    [path] = rule["http"]["paths"]
    service = charts["proxy"].find("Service", "-panel")
    assert path["backend"]["service"] == {
        "name": service["metadata"]["name"],
        "port": {"name": service["spec"]["ports"][0]["name"]},
    }
    assert "ingressClassName" not in charts["everything"].find("Ingress")["spec"]
    assert "Ingress" not in charts["tokens"].kinds()


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("no log-in", ("no way to log in", "hookstream panel token", "panel.oauthProxy")),
        ("no image", ("panel.oauthProxy.image", "tag or digest")),
        ("no host", ("panel.ingress.host", "name under which people open the panel")),
    ],
)
def test_a_panel_that_would_not_work_is_refused(
    charts: Mapping[str, Rendered], case: str, words: tuple[str, ...]
) -> None:
    """A panel without a way to log in, a proxy without an image and an Ingress without a host are
    refused by a sentence that says what is missing and how to get it.
    """
    for word in words:
        assert word in charts[case].error
