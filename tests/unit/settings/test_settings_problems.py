"""Bad settings end in one sentence each, with the location."""

from collections.abc import Mapping
from pathlib import Path

import pytest
import trustme

from consumer.errors import ConfigError, Diagnostic
from consumer.settings import load_settings


def diagnostics(path: Path | None, environ: Mapping[str, str]) -> tuple[Diagnostic, ...]:
    """What `load_settings` has to say."""
    with pytest.raises(ConfigError) as caught:
        load_settings(path, environ)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "line", "field", "message", "hint"),
    [
        ("kafka:\n  group: x", 2, "kafka.group", "not a known field", "`group_id`"),
        ("nework: {}", 1, "nework", "not a known field", "`network`"),
        ("Kafka: {}", 1, "Kafka", "not a known field", "`kafka`"),
        ("kafka: x", 1, "kafka", "not a mapping", "key: value"),
        ("kafka: {bootstrap_servers: 'a:b'}", 1, "kafka.bootstrap_servers[0]", "broker", "9092"),
        ("kafka:\n  bootstrap_servers: []", 2, "kafka.bootstrap_servers", "too few", "1"),
        ("kafka: {security_protocol: SASL_SLS}", 1, "kafka.security_protocol", "words", "SASL"),
        (
            "kafka: {security_protocol: SASL_SSL, sasl_username: u}",
            1,
            "kafka.sasl_password",
            "",
            "",
        ),
        ("kafka:\n  sasl_username: u", 2, "kafka.sasl_username", "is not used", "SASL_SSL"),
        ("kafka: {ssl_certfile: FILE}", 1, "kafka.ssl_certfile", "not used", "SSL"),
        ("network: {ca_file: .}", 1, "network.ca_file", "names no file", "path"),
        (
            "kafka:\n  security_protocol: SSL\n  ssl_keyfile: FILE",
            3,
            "kafka.ssl_keyfile",
            "no certificate",
            "ssl_certfile",
        ),
        (
            "kafka:\n  security_protocol: SSL\n  ssl_cafile: no.pem",
            3,
            "kafka.ssl_cafile",
            "file",
            "",
        ),
        (
            "kafka:\n  security_protocol: SSL\n  ssl_cafile: EMPTY",
            3,
            "kafka.ssl_cafile",
            "no certificate",
            "PEM",
        ),
        (
            "kafka:\n  security_protocol: SSL\n  ssl_certfile: FILE",
            3,
            "kafka.ssl_certfile",
            "its key",
            "ssl_keyfile",
        ),
        ("network:\n  ca_file: EMPTY", 2, "network.ca_file", "no certificate", "PEM"),
        ("tracing: {endpoint: 'c:4318'}", 1, "tracing.endpoint", "http", "http://collector"),
        ("schema_registry: {url: 'r:8081'}", 1, "schema_registry.url", "http", "https://registry"),
        (
            "schema_registry: {url: 'http://u:p@r'}",
            1,
            "schema_registry.url",
            "more than a host",
            "schema_registry.username",
        ),
        (
            "schema_registry: {url: 'http://r', username: u}",
            1,
            "schema_registry.password",
            "username is there",
            "add it",
        ),
        (
            "sources: [{topic: t, trigger: event, format: avro}]",
            1,
            "sources[0].format",
            "none is named",
            "set schema_registry.url",
        ),
        (
            "sources: [{topic: t, trigger: event, format: xml}]",
            1,
            "sources[0].format",
            "allowed words",
            "cloudevents",
        ),
        ("tracing: {endpoint: 'http://c:x'}", 1, "tracing.endpoint", "no URL", "http://collector"),
        ("tracing: {endpoint: 'http://u:p@c'}", 1, "tracing.endpoint", "more than", "HEADERS"),
        ("tracing: {sample: 1.5}", 1, "tracing.sample", "", "1"),
        ("sources: {topic: a}", 1, "sources", "not a list", "- for each"),
        ("sources: []", 1, "sources", "too few", "1"),
        ("sources:\n  - topic: a", 2, "sources[0].trigger", "missing", "add"),
        (
            "sources:\n  - topic: a\n    trigger: push_clik",
            3,
            "sources[0].trigger",
            "allowed words",
            "`push_click`",
        ),
        ("sources: [{topic: 'a b', trigger: event}]", 1, "sources[0].topic", "Kafka allows", ""),
        (
            "sources:\n- {topic: a, trigger: event}\n- {topic: a, trigger: geofence}",
            3,
            "sources[1].topic",
            "already a source",
            "keep one",
        ),
        (
            "sources: [{topic: hookstream.retry.10s, trigger: event}]",
            1,
            "sources[0].topic",
            "itself writes",
            "kafka.topic_prefix",
        ),
        (
            "kafka: {topic_prefix: crm}\nsources: [{topic: crm.dead-letter, trigger: event}]",
            2,
            "sources[0].topic",
            "itself writes",
            "",
        ),
        *(
            (
                f"kafka: {{topic_prefix: {prefix}}}",
                1,
                "kafka.topic_prefix",
                "beginning of a topic's name",
                "1 to 200 letters",
            )
            for prefix in ("crm.", "a b", "a/b", "'.'", "ç", "a" * 201)
        ),
        (
            "sources:\n- topic: a\n  trigger: event\n  fields:\n    user: x",
            5,
            "sources[0].fields.user",
            "not a known field",
            "`user_id`",
        ),
        (
            "sources: [{topic: a, trigger: event, start: yesterday}]",
            1,
            "sources[0].start",
            "is no start of a source",
            "2026-11-24T10:00:00Z",
        ),
        (
            "sources: [{topic: a, trigger: event, start: 2026-02-30T00:00:00Z}]",
            1,
            "sources[0].start",
            "is no start of a source",
            "latest",
        ),
        (
            "sources: [{topic: a, trigger: event, start: 2026-11-24T10:00:00}]",
            1,
            "sources[0].start",
            "is no start of a source",
            "with its zone",
        ),
        (
            "sources: [{topic: a, trigger: event, fields: {id: a..b}}]",
            1,
            "sources[0].fields.id",
            "dotted path",
            "",
        ),
        ("hooks: {secrets: ['a b']}", 1, "hooks.secrets[0]", "neither", "starts with /"),
        ('hooks: {path: "a\\0b"}', 1, "hooks.path", "null character", ""),
        ("delivery: {timeout: 10}", 1, "delivery.timeout", "not a duration", "10s"),
        ("delivery: {timeout: [1s]}", 1, "delivery.timeout", "not a duration", "100ms"),
        ("delivery: {timeout: 10m}", 1, "delivery.timeout", "out of range", "5m"),
        ("delivery: {concurrency: 0}", 1, "delivery.concurrency", "too small", "1 or more"),
        ("delivery: {concurrency: many}", 1, "delivery.concurrency", "whole number", "digits"),
        ("delivery: {concurrency: 1.5}", 1, "delivery.concurrency", "whole number", "digits"),
        ("delivery: {transport: crul}", 1, "delivery.transport", "words", "`curl`"),
        (
            "delivery:\n  host_rate_limit: {per: 1s}",
            2,
            "delivery.host_rate_limit.requests",
            "missing",
            "",
        ),
        ("retry: {delays: [10s, 1m, 60s]}", 1, "retry.delays", "do not rise", "sort"),
        ("retry:\n  delays:\n  - 10s\n  - 1x", 4, "retry.delays[1]", "not a duration", ""),
        ("network: {allow: [10.0.0.1/8]}", 1, "network.allow[0]", "behind its prefix", ""),
        ("network: {deny: ['http://x']}", 1, "network.deny[0]", "not a network", ""),
        ("network: {allow: [127.1]}", 1, "network.allow[0]", "unusual spelling", ""),
        ("network: {allow: ['a:65536']}", 1, "network.allow[0]", "port out of range", "65535"),
        ("network: {allow: ['127.1:80']}", 1, "network.allow[0]", "unusual spelling", ""),
        ("network: {deny: ['a:80']}", 1, "network.deny[0]", "not an IPv6 address", ""),
        ("admin: {port: 65536}", 1, "admin.port", "too large", "65535"),
        ("admin: {token: {}}", 1, "admin.token", "not text", ""),
        ("admin: {host: []}", 1, "admin.host", "too few items", "at least 1"),
        ('kafka: {group_id: "a\\n"}', 1, "kafka.group_id", "ends with a line end", "echo"),
        ('kafka: {group_id: "a\\nb"}', 1, "kafka.group_id", "holds a line end", "take it out"),
        ('admin: {token: "a\\0b"}', 1, "admin.token", "null character", "take it out"),
        ("hooks:\n  path: |\n    a\n", 2, "hooks.path", "ends with a line end", "|-"),
        ("log: {level: infoo}", 1, "log.level", "words", "`info`"),
        ("- a", 1, "", "no mapping", ""),
        ("just text", 1, "", "no mapping", ""),
        ("log: {}\n---\nlog: {}", 3, "", "second document", ""),
        ("log: {}\nlog: {}", 2, "", "already given in line 1", ""),
        ("log: [", 2, "", "is not YAML", ""),
    ],
)
def test_each_problem_names_its_line_field_and_hint(  # noqa: PLR0917  # columns of the table
    tmp_path: Path, text: str, line: int, field: str, message: str, hint: str
) -> None:
    """Each problem of the settings file has its line, its field and a hint."""
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "FILE"))
    (tmp_path / "EMPTY").touch()
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    [diagnostic] = diagnostics(file, {})
    assert (diagnostic.file, diagnostic.line, diagnostic.field) == (str(file), line, field)
    assert message in diagnostic.message
    assert hint in diagnostic.hint
    assert diagnostic.hint


@pytest.mark.parametrize(
    ("environ", "message", "hint"),
    [
        ({"HOOKSTREAM_KAFKA__GROUP": "x"}, "not a known field", "`group_id`"),
        ({"HOOKSTREAM_KAFK__GROUP_ID": "x"}, "not a known field", "`kafka`"),
        ({"HOOKSTREAM_ADMIN__PORT": "x"}, "not a whole number", "digits"),
        ({"HOOKSTREAM_RETRY__DELAYS": "1m,10s"}, "do not rise", "sort"),
        ({"HOOKSTREAM_RETRY__DELAYS": "[1m"}, "not JSON", "quotes"),
        ({"HOOKSTREAM_SOURCES": '[{"topic": "a"}]'}, "missing", "add"),
        ({"HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__PER": "1s"}, "missing", "add"),
        ({"HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT": '{"requests": 0}'}, "too small", "1"),
        ({"HOOKSTREAM_KAFKA_GROUP_ID": "x"}, "one underscore", "HOOKSTREAM_KAFKA__GROUP_ID"),
        ({"HOOKSTREAM_LOG__LEVEL__X": "1"}, "not one of the allowed words", "info"),
    ],
)
def test_a_problem_of_the_environment_names_its_variable(
    environ: dict[str, str], message: str, hint: str
) -> None:
    """A problem of the environment names its variable and has no line."""
    [diagnostic] = diagnostics(None, environ)
    assert (diagnostic.file, diagnostic.line) == (next(iter(environ)), 0)
    assert message in diagnostic.message
    assert hint in diagnostic.hint


def test_a_setting_given_whole_and_in_part_is_refused() -> None:
    """A setting that is given whole and in part is refused, since one of the two would be lost."""
    environ = {
        "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT": '{"requests": 1}',
        "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__PER": "1s",
    }
    [diagnostic] = diagnostics(None, environ)
    assert diagnostic.file == "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__PER"
    assert "also set whole" in diagnostic.message


def test_all_problems_of_both_places_come_together(tmp_path: Path) -> None:
    """All problems of file and environment are reported together."""
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {group: x}\nadmin: {port: x}\n")
    environ = {"HOOKSTREAM_LOG__FORMAT": "xml", "HOOKSTREAM_LOG_LEVEL": "info"}
    assert {(diagnostic.file, diagnostic.line) for diagnostic in diagnostics(file, environ)} == {
        (str(file), 1),
        (str(file), 2),
        ("HOOKSTREAM_LOG__FORMAT", 0),
        ("HOOKSTREAM_LOG_LEVEL", 0),
    }


def test_an_explicit_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    """A settings file that is named and does not exist is refused."""
    [diagnostic] = diagnostics(tmp_path / "no.yaml", {})
    assert (diagnostic.file, diagnostic.message) == (
        str(tmp_path / "no.yaml"),
        "no such file or directory",
    )


def test_a_file_in_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    """A settings file that is not UTF-8 is refused with the line."""
    file = tmp_path / "settings.yaml"
    file.write_bytes("log: {}\n# ş\nkafka: {}".encode("iso-8859-9"))
    [diagnostic] = diagnostics(file, {})
    assert (diagnostic.line, diagnostic.message) == (2, "is not UTF-8")


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("kafka: {sasl_password: [canary]}", {}),
        ("kafka: {sasl_password: {canary-key: canary}}", {}),
        ("kafka: {sasl_password: canary}", {}),
        ("admin: {token: canary, port: canary}", {}),
        ("log: {level: canary}", {}),
        ("log: {}", {"HOOKSTREAM_KAFKA__SASL_PASSWORD": "canary"}),
        ("log: {}", {"HOOKSTREAM_SOURCES": "[canary"}),
    ],
)
def test_no_problem_repeats_a_value(tmp_path: Path, text: str, environ: dict[str, str]) -> None:
    """No problem of the settings repeats a value, since a password may stand in any of them."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_settings(file, environ)
    assert "canary" not in str(caught.value)
    assert caught.value.__cause__ is None
