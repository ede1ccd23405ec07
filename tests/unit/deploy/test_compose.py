"""docker-compose.yml is valid by the Compose specification and fits the rest of the project."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import yaml

from consumer.settings import load_settings
from support.find_kafka import IMAGE
from support.jars import POM
from support.project import ROOT

COMPOSE = ROOT / "docker-compose.yml"
SERVICES: dict[str, dict[str, Any]] = yaml.safe_load(COMPOSE.read_text())["services"]


def _validate(file: Path) -> int:
    """Exit code of the check against the specification's schema, which check-jsonschema brings."""
    schema = ["--builtin-schema", "vendor.compose-spec"]
    tool = [sys.executable, "-m", "check_jsonschema", "--quiet", *schema, str(file)]
    return subprocess.run(tool, check=False, capture_output=True).returncode


def test_it_is_valid() -> None:
    """docker-compose.yml passes the schema of the Compose specification."""
    assert _validate(COMPOSE) == 0


def test_the_schema_refuses_nonsense(tmp_path: Path) -> None:
    """The schema check refuses an invalid Compose file."""
    broken = tmp_path / "docker-compose.yml"
    broken.write_text(COMPOSE.read_text().replace("    ports:\n", "    portz:\n"))
    assert _validate(broken) == 1


def test_kafka_needs_no_zookeeper() -> None:
    """The one Kafka node is broker and controller (KRaft), in the version that the tests use."""
    kafka = SERVICES["kafka"]
    assert kafka["environment"]["KAFKA_PROCESS_ROLES"] == "broker,controller"
    assert kafka["image"] == SERVICES["topics"]["image"] == IMAGE
    assert f"<version>{IMAGE.split(':')[1]}</version>" in POM.read_text()


def test_the_hooks_are_mounted_read_only() -> None:
    """The definitions are mounted read-only."""
    volumes = SERVICES["hookstream"]["volumes"]
    assert "./deploy/hooks:/etc/hookstream/hooks:ro" in volumes
    assert all(volume.endswith(":ro") for volume in volumes)


def test_every_mounted_file_exists() -> None:
    """Every file that docker-compose.yml mounts exists, since Docker would create a folder in its
    place.
    """
    sources = {
        volume.split(":")[0]
        for service in SERVICES.values()
        for volume in service.get("volumes", [])
        if volume.startswith("./")
    }
    assert len(sources) == 4
    for source in sources:
        assert (ROOT / source).exists()


def test_settings_fit_the_services() -> None:
    """The settings file loads, and its names and ports are those of the other services."""
    settings = load_settings(ROOT / "deploy/hookstream.yaml", {})
    assert settings.kafka.bootstrap_servers == ("kafka:9092",)
    assert settings.hooks.path == Path("/etc/hookstream/hooks")
    assert settings.network.allow == ("receiver",)
    assert "receiver" in SERVICES
    assert settings.admin.host == ("0.0.0.0",)
    assert SERVICES["hookstream"]["ports"] == [f"127.0.0.1:{settings.admin.port}:9464"]


def test_every_source_topic_is_made() -> None:
    """Each source topic is created before the start, since none is created by use."""
    settings = load_settings(ROOT / "deploy/hookstream.yaml", {})
    script = SERVICES["topics"]["command"][0]
    listed = script.split("for topic in ")[1].split(";")[0].split()
    assert set(listed) == {source.topic for source in settings.sources}


def test_a_stop_leaves_time_to_finish() -> None:
    """Docker's SIGKILL comes after the daemon's own grace has passed."""
    settings = load_settings(ROOT / "deploy/hookstream.yaml", {})
    grace = SERVICES["hookstream"]["stop_grace_period"]
    assert float(grace.removesuffix("s")) > settings.delivery.shutdown_grace


def test_prometheus_scrapes_hookstream() -> None:
    """Prometheus scrapes the service at its admin port and loads the alerts."""
    config = yaml.safe_load((ROOT / "deploy/prometheus.yml").read_text())
    (job,) = config["scrape_configs"]
    assert job["static_configs"] == [{"targets": ["hookstream:9464"]}]
    assert config["rule_files"] == ["alerts.yml"]
