"""What stands around the Helm chart's pods: names, network, scaling, disruptions, monitoring."""

import ipaddress
import re
from collections.abc import Mapping, Sequence
from typing import Any

import pytest

from support.chart_cases import CASES, daemon, pods
from support.charts import RELEASE, Rendered, render

LONG_NAME: Mapping[str, Any] = {
    "fullnameOverride": "n" * 80,
    "panel": {"enabled": True},
    "secrets": {"existingSecret": "s"},
}


@pytest.fixture(scope="module")
def charts(tmp_path_factory: pytest.TempPathFactory) -> Mapping[str, Rendered]:
    """The variants, and one with a long name."""
    return render({**CASES, "long name": LONG_NAME}, tmp_path_factory.mktemp("package"))


def test_names_fit(charts: Mapping[str, Rendered]) -> None:
    """Every name is valid for its kind, however long the release's is."""
    assert "n" * 55 in {one["metadata"]["name"] for one in charts["long name"].documents}
    for chart in charts.values():
        for document in chart.documents:
            name = document["metadata"]["name"]
            most = 61 if document["kind"] == "Service" else 251
            assert re.fullmatch(f"[a-z]([-a-z0-9]{{0,{most}}}[a-z0-9])?", name)


def _selectors(document: dict[str, Any]) -> Sequence[dict[str, str]]:
    spec = document.get("spec", {})
    found = {
        "Service": lambda: [spec["selector"]],
        "PodDisruptionBudget": lambda: [spec["selector"]["matchLabels"]],
        "NetworkPolicy": lambda: [spec["podSelector"]["matchLabels"]],
        "PodMonitor": lambda: [spec["selector"]["matchLabels"]],
        "Deployment": lambda: [
            spec["selector"]["matchLabels"],
            *(
                one["labelSelector"]["matchLabels"]
                for one in spec["template"]["spec"].get("topologySpreadConstraints", [])
            ),
        ],
    }
    made = found.get(document["kind"], list)()
    return [*made]


@pytest.mark.parametrize("case", ["proxy", "everything"])
def test_each_selector_chooses_one_component(charts: Mapping[str, Rendered], case: str) -> None:
    """Services, disruption budgets, network policies, monitors and spread constraints choose the
    pods of their own component, and no others, whatever podLabels say.
    """
    labels = [template["metadata"]["labels"] for template in pods(charts[case])]
    assert len(labels) == 2
    count = 0
    for document in charts[case].documents:
        component = document["metadata"]["labels"].get("app.kubernetes.io/component")
        for selector in _selectors(document):
            count += 1
            [chosen] = [one for one in labels if selector.items() <= one.items()]
            assert chosen["app.kubernetes.io/component"] == component
            assert chosen["app.kubernetes.io/instance"] == RELEASE
    assert count >= 10


PUBLIC = ("93.184.216.34", "2606:2800:220:1::1")
PRIVATE = (
    *("10.1.2.3", "172.16.0.1", "172.31.255.1", "192.168.1.1", "100.64.0.1", "127.0.0.1"),
    *("169.254.169.254", "0.0.0.0", "198.18.0.1", "224.0.0.1", "240.0.0.1"),
    *("::1", "fc00::1", "fd12::1", "fe80::1", "ff02::1", "::ffff:10.0.0.1", "64:ff9b::a00:1"),
)


def _allows(rule: dict[str, Any], address: str) -> bool:
    """Whether an egress rule has a peer of this address."""
    wanted = ipaddress.ip_address(address)

    def within(network: str) -> bool:
        return wanted in ipaddress.ip_network(network)

    return any(
        within(peer["ipBlock"]["cidr"]) and not any(map(within, peer["ipBlock"].get("except", [])))
        for peer in rule["to"]
    )


@pytest.mark.parametrize("name", ["hookstream-daemon", "hookstream-panel"])
def test_egress_is_dns_brokers_and_public_addresses(
    charts: Mapping[str, Rendered], name: str
) -> None:
    """The daemon and the panel may reach DNS, the brokers' ports of the settings, and ports 80 and
    443 of public addresses, of private ones nothing else; rules of the user are added.
    """
    chart = charts["everything"]
    dns, brokers, receivers, extra = chart.find("NetworkPolicy", name)["spec"]["egress"]
    assert "to" not in dns
    assert {one["port"] for one in dns["ports"]} == {53, 5353}
    assert [one["port"] for one in brokers["ports"]] == [9093, 9092]
    assert brokers["to"] == [{"podSelector": {"matchLabels": {"app": "kafka"}}}]
    assert [one["port"] for one in receivers["ports"]] == [80, 443]
    assert [one for one in (*PUBLIC, *PRIVATE) if _allows(receivers, one)] == [*PUBLIC]
    assert extra["ports"] == [{"port": 8080}]


def test_ingress_is_the_metrics(charts: Mapping[str, Rendered]) -> None:
    """The daemon takes connections at its metrics alone: from the peers that may scrape, and from
    KEDA when it is autoscaled.
    """
    scraped, keda = charts["everything"].find("NetworkPolicy", "-daemon")["spec"]["ingress"]
    assert scraped["ports"] == keda["ports"] == [{"port": "metrics"}]
    assert scraped["from"] == [{"podSelector": {"matchLabels": {"app": "prometheus"}}}]
    assert keda["from"][0]["podSelector"] == {"matchLabels": {"app": "keda-operator"}}
    [only] = charts["default"].find("NetworkPolicy", "-daemon")["spec"]["ingress"]
    assert only == {"ports": [{"port": "metrics"}]}


def test_autoscaling_owns_the_number_of_replicas(charts: Mapping[str, Rendered]) -> None:
    """With autoscaling the Deployment names no replicas, so that no upgrade undoes what the scaler
    decided; without it the number is the user's.
    """
    assert "replicas" not in daemon(charts["autoscaled"])["spec"]
    assert daemon(charts["default"])["spec"]["replicas"] == 2
    assert "ScaledObject" not in charts["default"].kinds()


def test_replicas_follow_the_work_not_the_lag(charts: Mapping[str, Rendered]) -> None:
    """KEDA scales the daemon by the sum of hookstream_wanted_replicas over all replicas, at their
    own addresses, one replica for each; no trigger reads the group's lag.
    """
    chart = charts["autoscaled"]
    spec = chart.find("ScaledObject")["spec"]
    [trigger] = spec["triggers"]
    assert (trigger["type"], trigger["metricType"]) == ("metrics-api", "AverageValue")
    service = chart.find("Service", "-metrics")
    assert trigger["metadata"] == {
        "url": f"http://{service['metadata']['name']}.webhooks.svc:9464/metrics",
        "format": "prometheus",
        "valueLocation": "hookstream_wanted_replicas",
        "aggregateFromKubeServiceEndpoints": "true",
        "aggregationType": "sum",
        "targetValue": "1",
    }
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"] is True  # they have work, too
    assert service["spec"]["ports"][0]["port"] == 9464
    assert spec["scaleTargetRef"] == {"name": daemon(chart)["metadata"]["name"]}
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (3, 12)


def test_a_drain_takes_one_replica_at_a_time(charts: Mapping[str, Rendered]) -> None:
    """A drain of nodes takes as many replicas at a time as the disruption budget says, and replicas
    that are not ready hold it up as little as a rolling update.
    """
    spec = charts["default"].find("PodDisruptionBudget")["spec"]
    assert spec["maxUnavailable"] == 1
    assert spec["unhealthyPodEvictionPolicy"] == "AlwaysAllow"
    assert charts["everything"].find("PodDisruptionBudget", "-panel")["spec"]["maxUnavailable"] == (
        "25%"
    )
    strategy = daemon(charts["default"])["spec"]["strategy"]
    assert strategy["rollingUpdate"] == {"maxSurge": 1, "maxUnavailable": 0}


def test_the_monitor_scrapes_the_job_of_the_alerts(charts: Mapping[str, Rendered]) -> None:
    """The PodMonitor scrapes each replica under the job name that the alerts use, and it and the
    rules have the labels by which a Prometheus selects them.
    """
    monitor = charts["monitored"].find("PodMonitor")
    [endpoint] = monitor["spec"]["podMetricsEndpoints"]
    assert (endpoint["port"], endpoint["interval"]) == ("metrics", "15s")
    assert {"targetLabel": "job", "replacement": "hookstream"} in endpoint["relabelings"]
    for document in (monitor, charts["monitored"].find("PrometheusRule")):
        assert document["metadata"]["labels"]["release"] == "prometheus"
