"""Sets of values for the Helm chart: each variant that its templates have, alone or with others."""

from collections.abc import Iterator, Mapping
from typing import Any

from support.charts import Rendered

Values = Mapping[str, Any]

HOOKS = {
    "clicks.yaml": "id: clicks\nname: Clicks\ntrigger: push_click\nuri: https://example.com/c\n"
}
TOKENS = [{"name": "ayse", "role": "editor", "sha256": "0" * 64}]
PROXY = {
    "enabled": True,
    "image": "quay.io/oauth2-proxy/oauth2-proxy:v7.12.0",
    "args": ["--http-address=0.0.0.0:4180"],
    "existingSecret": "oauth-environment",
    "existingFiles": "oauth-files",
}
MONITORING = {
    "podMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "prometheusRule": {"enabled": True, "labels": {"release": "prometheus"}},
    "dashboards": {"enabled": True},
}
PANEL: Values = {"enabled": True}

CASES: Mapping[str, Values] = {
    "default": {},
    "files": {"hooks": HOOKS, "settings": {"hooks": {"live": False}}},
    "signal": {"reload": "signal", "hooks": HOOKS},
    "autoscaled": {"autoscaling": {"enabled": True, "minReplicas": 3, "maxReplicas": 12}},
    "existing": {
        "existingSettings": "my-settings",
        "existingHooks": "my-hooks",
        "secrets": {
            "existingSecret": "my-environment",
            "files": [{"name": "kafka-tls", "existingSecret": "my-tls"}],
        },
        "imagePullSecrets": [{"name": "registry"}],
        "panel": PANEL,
    },
    "tokens": {"settings": {"panel": {"tokens": TOKENS}}, "panel": PANEL},
    "proxy": {
        "panel": {
            **PANEL,
            "oauthProxy": PROXY,
            "ingress": {
                "enabled": True,
                "className": "nginx",
                "host": "panel.example.com",
                "annotations": {"cert-manager.io/cluster-issuer": "main"},
                "tls": [{"secretName": "panel-tls", "hosts": ["panel.example.com"]}],
            },
        },
    },
    "monitored": {"monitoring": MONITORING},
    "bare": {
        "networkPolicy": {"enabled": False},
        "podDisruptionBudget": {"enabled": False},
        "serviceAccount": {"create": False},
        "topologySpreadConstraints": [],
        "strategy": {"type": "Recreate", "rollingUpdate": None},
    },
    "everything": {
        "image": {"repository": "registry.example.com/hookstream", "digest": f"sha256:{'a' * 64}"},
        "settings": {
            "kafka": {"bootstrap_servers": ["kafka-1:9093", "kafka-2:9093", "kafka-3"]},
            "delivery": {"shutdown_grace": "90s", "concurrency": 2000},
            "panel": {"tokens": TOKENS},
        },
        "hooks": HOOKS,
        "secrets": {"existingSecret": "s", "files": [{"name": "t", "existingSecret": "t"}]},
        "extraEnv": [
            {"name": "KEY", "valueFrom": {"secretKeyRef": {"name": "keys", "key": "key"}}}
        ],
        "reload": "signal",
        "autoscaling": {"enabled": True},
        "podAnnotations": {"example.com/a": "b"},
        "podLabels": {"team": "crm", "app.kubernetes.io/component": "other"},
        "nodeSelector": {"kubernetes.io/arch": "arm64"},
        "tolerations": [{"key": "events", "operator": "Exists"}],
        "affinity": {"nodeAffinity": {}},
        "priorityClassName": "high",
        "serviceAccount": {"annotations": {"example.com/role": "r"}},
        "podDisruptionBudget": {"maxUnavailable": "25%"},
        "networkPolicy": {
            "brokers": [{"podSelector": {"matchLabels": {"app": "kafka"}}}],
            "extraEgress": [{"ports": [{"port": 8080}], "to": [{"podSelector": {}}]}],
            "metricsFrom": [{"podSelector": {"matchLabels": {"app": "prometheus"}}}],
            "panelFrom": [{"namespaceSelector": {}}],
        },
        "monitoring": MONITORING,
        "panel": {
            **PANEL,
            "podAnnotations": {"example.com/a": "b"},
            "podLabels": {"team": "crm"},
            "service": {"type": "LoadBalancer", "port": 8080, "annotations": {"a": "b"}},
            "ingress": {"enabled": True, "host": "panel.example.com"},
        },
    },
}


def pods(chart: Rendered) -> Iterator[dict[str, Any]]:
    """The pod templates of a variant."""
    for document in chart.documents:
        if document["kind"] == "Deployment":
            yield document["spec"]["template"]


def daemon(chart: Rendered) -> dict[str, Any]:
    """The daemon's Deployment."""
    found = chart.find("Deployment", "hookstream")
    assert found["spec"]["template"]["spec"]["containers"][0]["args"][0] == "run"
    return found
