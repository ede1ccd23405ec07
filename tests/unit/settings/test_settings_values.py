"""The sources of settings, and the values that they become."""

from pathlib import Path
from typing import get_type_hints

import pytest
import trustme

from consumer.documents.durations import format_duration
from consumer.errors import ConfigError
from consumer.events.triggers import TRIGGERS
from consumer.factories import start_times
from consumer.settings import (
    FieldPaths,
    RateLimit,
    Settings,
    SourceSettings,
    load_settings,
)

ROOT = Path(__file__).parents[3]


def test_the_default_file_holds_the_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    """The commented example file loads as the defaults."""
    monkeypatch.chdir(ROOT)
    assert load_settings(None, {}) == Settings()


def test_every_example_in_the_default_file_is_accepted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The example file without its # loads, and it shows every setting."""
    monkeypatch.chdir(ROOT)
    lines = (ROOT / "config" / "hookstream.yaml").read_text().splitlines()
    bare = [
        line.replace("# ", "", 1) if line.startswith("  # ") and ":" in line else line
        for line in lines
        if not line.startswith(("  # What definitions", "  # names)"))
    ]
    text = "\n".join(bare).replace("PLAINTEXT  ", "SASL_SSL  ").replace("# - topic", "- topic")
    text = text.replace("sha256: ...", f"sha256: {'0' * 64}")
    certs = tmp_path / "certs"
    certs.mkdir()
    authority = trustme.CA()
    for name in ("kafka-ca.pem", "ca.pem", "registry-ca.pem"):
        authority.cert_pem.write_to_path(str(certs / name))
    client = authority.issue_cert("hookstream.example")
    client.cert_chain_pems[0].write_to_path(str(certs / "client.pem"))
    client.private_key_pem.write_to_path(str(certs / "client.key"))
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    settings = load_settings(file, {})
    for section in settings.model_fields_set - {"sources"}:
        part = getattr(settings, section)
        assert part.model_fields_set == set(type(part).model_fields), section
    assert settings.sources[4].fields.model_fields_set == set(FieldPaths.model_fields)


@pytest.mark.parametrize(
    ("written", "time"),
    [
        ("earliest", -2),
        ("Latest", -1),
        ("2026-11-24T10:00:00Z", 1_795_514_400_000),
        ("2026-11-24t13:00:00.5+03:00", 1_795_514_400_500),
        ("'1970-01-01T00:00:00z'", 0),
    ],
)
def test_a_source_begins_where_its_start_says(tmp_path: Path, written: str, time: int) -> None:
    """A source's `start` becomes a time of Kafka's ListOffsets: -2 for the first record, -1 for the
    end, else milliseconds.
    """
    file = tmp_path / "settings.yaml"
    file.write_text(
        f"sources:\n- {{topic: a, trigger: event}}\n"
        f"- {{topic: b, trigger: event, start: {written}}}"
    )
    assert start_times(load_settings(file, {})) == {"a": -2, "b": time}


def test_nothing_at_all_means_the_defaults(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without file and variables the settings are four topics on a local broker."""
    monkeypatch.chdir(tmp_path)
    settings = load_settings(None, {"PATH": "/bin", "HOOKSTREAM_PORT": "tcp://10.0.0.1:9464"})
    assert settings == Settings()
    assert settings.kafka.bootstrap_servers == ("localhost:9092",)
    assert settings.kafka.group_id == "hookstream"
    assert [(source.topic, source.trigger) for source in settings.sources] == [
        ("push-click", "push_click"),
        ("message-log", "message_log"),
        ("geofence", "geofence"),
        ("event", "event"),
    ]
    assert settings.hooks.path == Path("config/hooks")
    assert settings.hooks.secrets == ()
    assert [format_duration(delay) for delay in settings.retry.delays] == [
        "10s", "1m", "10m", "1h", "6h",
    ]  # fmt: skip
    assert (settings.admin.host, settings.admin.port) == (("127.0.0.1",), 9464)
    assert settings.delivery.shutdown_grace == 25.0


def test_the_environment_has_the_last_word(tmp_path: Path) -> None:
    """An environment variable overrides its setting and leaves the rest of the section to the
    file.
    """
    file = tmp_path / "settings.yaml"
    file.write_text("kafka: {group_id: file, bootstrap_servers: 'a:1'}\nretry: {delays: [5s]}")
    environ = {
        "HOOKSTREAM_KAFKA__GROUP_ID": "variable",
        "HOOKSTREAM_RETRY__DELAYS": "1s, 2s",
        "HOOKSTREAM_ADMIN__TOKEN": "",
    }
    settings = load_settings(file, environ)
    assert settings.kafka.group_id == "variable"
    assert settings.kafka.bootstrap_servers == ("a:1",)
    assert settings.retry.delays == (1.0, 2.0)
    assert settings.admin.token is None


@pytest.mark.parametrize("text", ["a:1,b", "a:1 , b", '["a:1", "b"]'])
def test_a_list_in_the_environment(text: str) -> None:
    """A list in the environment is separated by commas or JSON."""
    settings = load_settings(None, {"HOOKSTREAM_KAFKA__BOOTSTRAP_SERVERS": text})
    assert settings.kafka.bootstrap_servers == ("a:1", "b")


def test_lists_and_mappings_as_json_in_the_environment() -> None:
    """Lists and mappings in the environment are JSON, and a mapping's parts can have variables of
    their own.
    """
    environ = {
        "HOOKSTREAM_SOURCES": '[{"topic": "x", "trigger": "event", "fields": {"id": "meta.id"}}]',
        "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT": '{"requests": 5, "per": "1m"}',
        "HOOKSTREAM_NETWORK__ALLOW": "[]",
    }
    settings = load_settings(None, environ)
    assert settings.sources == (
        SourceSettings(topic="x", trigger="event", fields=FieldPaths(id="meta.id")),
    )
    assert settings.delivery.host_rate_limit == RateLimit(requests=5, per="1m", burst=5)
    parts = {
        "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__REQUESTS": "5",
        "HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__PER": "1m",
    }
    assert load_settings(None, parts).delivery.host_rate_limit == settings.delivery.host_rate_limit


def test_relative_paths_start_where_they_are_written(tmp_path: Path) -> None:
    """A relative path of the file starts at its folder, one of the environment at the working
    directory.
    """
    trustme.CA().cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    file = tmp_path / "settings.yaml"
    file.write_text("hooks: {path: my-hooks}\nnetwork: {ca_file: ca.pem}")
    settings = load_settings(file, {})
    assert settings.hooks.path == tmp_path / "my-hooks"
    assert settings.network.ca_file == tmp_path / "ca.pem"
    moved = load_settings(file, {"HOOKSTREAM_HOOKS__PATH": "elsewhere"})
    assert moved.hooks.path == Path("elsewhere")


@pytest.mark.parametrize("text", ["", "hooks:\n", "log: {}", "hooks: {path: ~}"])
def test_hooks_are_beside_the_settings_file(tmp_path: Path, text: str) -> None:
    """The default folder of hooks is beside the settings file, even if the section is empty or
    commented out.
    """
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    assert load_settings(file, {}).hooks.path == tmp_path / "hooks"


@pytest.mark.parametrize("text", ["hooks: {live: true, path: ''}", "hooks: {live: yes, path: }"])
def test_live_definitions_need_no_folder(tmp_path: Path, text: str) -> None:
    """With live definitions the folder may be an empty text; without them that is refused."""
    file = tmp_path / "settings.yaml"
    file.write_text(text)
    path = load_settings(file, {}).hooks.path
    assert path == (None if "''" in text else tmp_path / "hooks")
    file.write_text("hooks: {path: ''}")
    with pytest.raises(ConfigError, match=r"hooks.path: is empty.*set hooks.live to true"):
        load_settings(file, {})


def test_keys_of_sealed_secrets_are_one_text_or_a_list(tmp_path: Path) -> None:
    """While keys are exchanged a daemon has several private ones, from the file or the
    environment, and none of them is shown.
    """
    file = tmp_path / "settings.yaml"
    file.write_text("hooks: {seal_public_key: public, seal_private_key: [canary-a, canary-b]}")
    hooks = load_settings(file, {}).hooks
    assert [key.get_secret_value() for key in hooks.seal_private_key] == ["canary-a", "canary-b"]
    assert "canary" not in repr(hooks)
    one = load_settings(file, {"HOOKSTREAM_HOOKS__SEAL_PRIVATE_KEY": "canary-c"}).hooks
    assert [key.get_secret_value() for key in one.seal_private_key] == ["canary-c"]


def test_a_topic_for_each_of_many_sources_of_one_trigger(tmp_path: Path) -> None:
    """Several source topics may have the same trigger."""
    file = tmp_path / "settings.json"
    file.write_text(
        '{"sources": [{"topic": "a", "trigger": "event"}, {"topic": "b", "trigger": "event"}]}'
    )
    assert [source.topic for source in load_settings(file, {}).sources] == ["a", "b"]


def test_words_are_taken_in_either_case(tmp_path: Path) -> None:
    """Words of the settings are taken in upper and lower case."""
    file = tmp_path / "settings.yaml"
    file.write_text("log: {level: INFO}\nkafka: {security_protocol: ssl}")
    settings = load_settings(file, {})
    assert (settings.log.level, settings.kafka.security_protocol) == ("info", "SSL")


def test_networks_have_one_spelling(tmp_path: Path) -> None:
    """Networks of the settings have one spelling."""
    file = tmp_path / "settings.yaml"
    file.write_text("network: {allow: [10.0.0.0/8, '::1', 'FD00::/8', LocalHost, 127.0.0.1]}")
    assert load_settings(file, {}).network.allow == (
        "10.0.0.0/8", "::1", "fd00::/8", "localhost", "127.0.0.1",
    )  # fmt: skip
    file.write_text("network: {allow: ['LocalHost:080', '10.0.0.5:80', '[FD00::0]:80']}")
    assert load_settings(file, {}).network.allow == ("localhost:80", "10.0.0.5:80", "[fd00::]:80")


@pytest.mark.parametrize("name", ["settings.yaml", "settings.json"])
def test_a_byte_order_mark_is_no_part_of_the_file(tmp_path: Path, name: str) -> None:
    """A byte order mark is no part of the settings file."""
    (tmp_path / name).write_bytes(b'\xef\xbb\xbf{"log": {"level": "debug"}}')
    assert load_settings(tmp_path / name, {}).log.level == "debug"


def test_plain_settings_read_no_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """Settings that are built directly read no environment variable."""
    monkeypatch.setenv("log", '{"level": "debug"}')
    assert Settings().log.level == "info"
    assert load_settings(None, {}).log.level == "info"


def test_secrets_are_not_shown() -> None:
    """Neither repr nor str of the settings shows a secret."""
    environ = {
        "HOOKSTREAM_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "HOOKSTREAM_KAFKA__SASL_USERNAME": "u",
        "HOOKSTREAM_KAFKA__SASL_PASSWORD": "canary",
        "HOOKSTREAM_ADMIN__TOKEN": "canary",
        "HOOKSTREAM_SCHEMA_REGISTRY__URL": "https://registry.example.com/",
        "HOOKSTREAM_SCHEMA_REGISTRY__USERNAME": "u",
        "HOOKSTREAM_SCHEMA_REGISTRY__PASSWORD": "canary",
    }
    settings = load_settings(None, environ)
    assert "canary" not in f"{settings!r} {settings}"
    assert settings.kafka.sasl_password is not None
    assert settings.kafka.sasl_password.get_secret_value() == "canary"


def test_settings_do_not_change() -> None:
    """Settings are immutable."""
    with pytest.raises(ValueError, match="frozen"):
        load_settings(None, {}).kafka.__setattr__("group_id", "other")


def test_the_documented_settings_all_exist() -> None:
    """Each section has the documented settings, and no other."""
    contract = {
        "kafka": "bootstrap_servers group_id topic_prefix security_protocol sasl_mechanism "
        "sasl_username sasl_password ssl_cafile ssl_certfile ssl_keyfile",
        "hooks": "path live secrets seal_public_key seal_private_key",
        "delivery": "transport concurrency per_host_concurrency per_hook_concurrency "
        "host_rate_limit timeout connect_timeout quick_attempts expire_after shutdown_grace",
        "retry": "delays max_attempts",
        "delivery_log": "failures successes retention user_key",
        "network": "allow deny ca_file",
        "admin": "host port token",
        "panel": "host port tokens trusted_proxies user_header role_header",
        "schema_registry": "url username password ca_file",
        "tracing": "endpoint sample",
        "log": "format level",
    }
    models = get_type_hints(Settings)
    assert {name: set(models[name].model_fields) for name in contract} == {
        name: set(keys.split()) for name, keys in contract.items()
    }
    assert set(Settings.model_fields) == {*contract, "sources"}
    assert set(SourceSettings.model_fields) == {"topic", "trigger", "fields", "format", "start"}
    assert tuple(TRIGGERS) == ("push_click", "message_log", "geofence", "event")


def test_a_variable_of_a_part_leaves_the_files_other_parts(tmp_path: Path) -> None:
    """A variable that sets one part of a nested setting leaves the parts that the file sets."""
    file = tmp_path / "settings.yaml"
    file.write_text("delivery: {host_rate_limit: {requests: 5, per: 2s}}")
    settings = load_settings(file, {"HOOKSTREAM_DELIVERY__HOST_RATE_LIMIT__REQUESTS": "7"})
    assert settings.delivery.host_rate_limit == RateLimit(requests=7, per="2s", burst=7)
