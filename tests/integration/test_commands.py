"""Commands as their users run them: exit codes, and what a person reads."""

import json
import re
import socket
from pathlib import Path
from typing import Any

import orjson
import pytest
import trustme

from consumer import __version__
from support.broker import free_port
from support.command import CLICK, EVENT, SECRETS, Done, call_command, run_command, write_config


def _errors(done: Done) -> list[str]:
    """The sentences, and nothing that only a developer wants to see."""
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr, "no colours where there is no terminal"
    return [line for line in done.stderr.splitlines() if line.startswith("error: ")]


def _in_one_line(text: str) -> str:
    """A usage error without its box and its line ends."""
    return " ".join(re.sub(r"[│╭╮╰╯─]", " ", text).split())


def test_version(tmp_path: Path) -> None:
    """`--version` prints program and version."""
    done = run_command("--version", folder=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"hookstream {__version__}\n")


def test_help_names_every_command(tmp_path: Path) -> None:
    """The help names every command, and the program without arguments prints it."""
    done = call_command("--help", folder=tmp_path)
    assert done.returncode == 0
    for command in ("run", "check", "sample", "send", "demo"):
        assert re.search(rf"^│ {command} ", done.stdout, re.MULTILINE)
    assert re.search(r"│ check ", call_command(folder=tmp_path).stdout)


def test_an_unknown_command_is_wrong_usage(tmp_path: Path) -> None:
    """An unknown command ends with exit code 2."""
    assert call_command("chekc", folder=tmp_path).returncode == 2


def test_check_shows_the_hooks(tmp_path: Path) -> None:
    """`check` prints a line for each hook with its URI variables and without its secrets."""
    limited = {**CLICK, "id": "limited", "app": "shop", "rate_limit": {"requests": 20, "per": "1s"}}
    write_config(tmp_path, CLICK, limited)
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert (done.returncode, _errors(done)) == (0, [])
    assert "https://analytics.example.com/collect/{campaign}" in done.stdout
    assert "spring-sale" in done.stdout
    assert "20 / 1s" in done.stdout
    assert "in app shop" in done.stdout
    assert "ok 2 hooks" in done.stdout
    assert "canary" not in done.stdout + done.stderr


def test_check_notes_a_hook_that_never_fires(tmp_path: Path) -> None:
    """`check` notes a valid hook whose trigger no source has."""
    source = {"topic": "fences", "trigger": "geofence"}
    write_config(tmp_path, CLICK, sources=[source])
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 0
    assert "note: hook click-analytics never fires" in done.stderr


def test_check_says_where_an_order_holds(tmp_path: Path) -> None:
    """`check` says in one line that an order holds within a source partition."""
    write_config(tmp_path, {**CLICK, "order": "user"})
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 0
    assert "order: user holds within a partition of the source topic" in done.stderr
    assert "(click-analytics)" in done.stderr


def test_check_refuses_secrets_that_are_not_allowed(tmp_path: Path) -> None:
    """`check` refuses secrets that the settings do not allow and says which entry is missing."""
    write_config(tmp_path, CLICK, hooks={})
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 2
    for name in SECRETS:
        assert f"{name} is not allowed (add {name} to hooks.secrets in the settings)" in done.stderr
    assert "canary" not in done.stdout + done.stderr


def test_check_tells_every_problem_at_once(tmp_path: Path) -> None:
    """`check` prints every problem of settings and hooks in a line each, with location and hint,
    and ends with exit code 2.
    """
    bad = {**CLICK, "trigger": "push_clik", "uri": "ftp://x"}
    write_config(tmp_path, bad, delivery={"timeout": 10}, kafka={"bootstrap_servers": "a:b"})
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    errors = _errors(done)
    assert done.returncode == 2
    assert {error.split(": ")[2] for error in errors[:2]} == {
        "delivery.timeout",
        "kafka.bootstrap_servers[0]",
    }
    assert ["hook click-analytics" in error for error in errors] == [False, False, True, True]
    assert "4 problems" in done.stderr


@pytest.mark.parametrize("hooks", ["x", ["x"], {"path": 5, "colour": "red"}, {"secrets": ["a b"]}])
def test_hooks_that_cannot_be_found_are_not_looked_for(tmp_path: Path, hooks: object) -> None:
    """If the settings' section `hooks` is at fault, only that is reported."""
    write_config(tmp_path, {**CLICK, "trigger": "push_clik"}, hooks=hooks)
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 2
    assert all("config/hookstream.yaml:1: hooks" in error for error in _errors(done))
    assert _errors(done)


def test_check_tells_where_no_request_may_go(tmp_path: Path) -> None:
    """`check` reports a URI that the guard is sure to refuse with file, line, hook, field, reason
    and hint.
    """
    definitions = tmp_path / "config" / "hooks" / "hooks.yaml"
    write_config(tmp_path, network={"deny": ["denied.example"]})
    definitions.write_text(
        "id: private\ntrigger: event\nuri: http://10.0.0.5:8080/x\n---\n"
        "id: metadata\nuri: http://169.254.169.254/latest/{a}\ntrigger: event\n"
        "uri_parameters: {a: {label: A, default: b}}\n---\n"
        "id: denied\nuri: https://denied.example/x\ntrigger: event\n---\n"
        "id: fine\nuri: https://fine.example/x\ntrigger: event\n"
    )
    done = call_command("check", folder=tmp_path)
    assert (done.returncode, done.stdout) == (2, "")
    private, metadata, denied = _errors(done)
    assert private == (
        "error: config/hooks/hooks.yaml:3: hook private: uri: no request may go there: "
        "10.0.0.5 is private (RFC 1918) "
        "(write another host, or add 10.0.0.5:8080 to network.allow, if you mean it)"
    )
    assert metadata.startswith("error: config/hooks/hooks.yaml:6: hook metadata: uri: ")
    assert "the metadata service of most clouds" in metadata
    assert "denied.example is in network.deny" in denied
    assert "take this one out of network.deny" in denied
    corrected = {"HOOKSTREAM_NETWORK__ALLOW": "10.0.0.5/32,169.254.169.254"}
    corrected |= {"HOOKSTREAM_NETWORK__DENY": "[]"}
    done = call_command("check", folder=tmp_path, environ=corrected)
    assert (done.returncode, _errors(done)) == (0, [])


def test_a_settings_file_that_is_not_there(tmp_path: Path) -> None:
    """A settings file that is named with --config must exist."""
    done = call_command("check", "--config", "no.yaml", folder=tmp_path)
    assert done.returncode == 2
    (error,) = _errors(done)
    assert error.startswith("error: no.yaml: no such file or directory (check that ")


@pytest.mark.parametrize("command", ["run", "check"])
def test_a_missing_secret(tmp_path: Path, command: str) -> None:
    """A missing secret is one sentence for each use of it, and no other secret is printed."""
    write_config(tmp_path, CLICK)
    rest = {"CLICK_SECRET": SECRETS["CLICK_SECRET"]}
    done = call_command(command, folder=tmp_path, environ=rest)
    assert done.returncode == 2
    errors = _errors(done)
    assert len(errors) == 2
    assert all("ANALYTICS_KEY is not set" in error for error in errors)
    assert SECRETS["CLICK_SECRET"] not in done.stderr


def test_the_settings_are_no_secret_of_a_hook(tmp_path: Path) -> None:
    """The author of hooks cannot send the Kafka password away in one of them."""
    certificate, key = tmp_path / "own.pem", tmp_path / "key.pem"
    own = trustme.CA().issue_cert("client")
    own.private_key_and_cert_chain_pem.write_to_path(certificate)
    own.private_key_pem.write_to_path(key)
    kafka = {"security_protocol": "SSL", "ssl_certfile": str(certificate), "ssl_keyfile": str(key)}
    settings = tmp_path / "config" / "hookstream.yaml"
    for file in (settings, certificate, key, "/proc/self/environ"):
        header = {"key": "X-A", "source": "fixed", "value": f"${{file:{file}}}"}
        write_config(tmp_path, {**CLICK, "headers": [header]}, kafka=kafka)
        done = call_command("check", folder=tmp_path, environ=SECRETS)
        assert done.returncode == 2
        assert "is the system's or one of hookstream's own" in done.stderr


def test_control_characters_do_not_reach_the_terminal(tmp_path: Path) -> None:
    """A definition cannot move the cursor of the terminal in which it is checked."""
    write_config(tmp_path, {**CLICK, "\x1b[2Jid": "x"})
    done = call_command("check", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 2
    assert _errors(done)


def test_run_without_a_broker(tmp_path: Path) -> None:
    """`run` without a broker ends with one sentence that names the address, and exit code 1."""
    write_config(tmp_path, CLICK, kafka={"bootstrap_servers": f"127.0.0.1:{free_port()}"})
    done = run_command("run", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 1
    (error,) = _errors(done)
    assert "no Kafka broker answers at 127.0.0.1" in error


def test_run_with_a_port_in_use(tmp_path: Path) -> None:
    """`run` reports a port in use before it asks Kafka."""
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        write_config(tmp_path, CLICK, admin={"port": port})
        done = run_command("run", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 1
    (error,) = _errors(done)
    assert f"127.0.0.1:{port}" in error
    assert "admin.port" in error


def test_an_unknown_hook(tmp_path: Path) -> None:
    """An unknown hook ends with exit code 2 and the name that was probably meant."""
    write_config(tmp_path, CLICK)
    done = call_command("sample", "click-analytcs", folder=tmp_path, environ=SECRETS)
    assert done.returncode == 2
    assert "did you mean click-analytics?" in _in_one_line(done.stderr)
    done = call_command("sample", "nothing-like-it", folder=tmp_path, environ=SECRETS)
    assert "there are: click-analytics" in _in_one_line(done.stderr)


@pytest.mark.parametrize("command", ["sample", "send"])
@pytest.mark.parametrize(
    ("text", "words"), [("{", "not JSON"), ("[]", "not an object"), ('{"id": []}', "event's id")]
)
def test_an_event_that_is_none(tmp_path: Path, command: str, text: str, words: str) -> None:
    """A file that holds no event ends with exit code 2, file and reason."""
    write_config(tmp_path, CLICK)
    (tmp_path / "e.json").write_text(text)
    arguments = (command, "click-analytics", "--event", "e.json")
    done = call_command(*arguments, folder=tmp_path, environ=SECRETS)
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    assert words in _in_one_line(done.stderr)
    assert "e.json" in done.stderr


def _sample(folder: Path, event: dict[str, Any], *options: str) -> Done:
    return call_command(
        "sample", "click-analytics", "--event", "-", *options,
        folder=folder, environ=SECRETS, stdin=json.dumps(event).encode(),
    )  # fmt: skip


def test_sample_if_the_hook_would_not_fire(tmp_path: Path) -> None:
    """`sample` prints the command and the reason if the hook would not fire, and its exit code says
    so.
    """
    write_config(tmp_path, CLICK)
    done = _sample(tmp_path, {**EVENT, "notification": {"id": "other"}})
    assert done.returncode == 1
    assert done.stdout.startswith("curl ")
    (error,) = _errors(done)
    assert "would not send" in error
    assert "the subject other" in error


def test_sample_of_a_rejected_event(tmp_path: Path) -> None:
    """`sample` of an event that no request can be made of prints the reason."""
    strict = {**CLICK, "parameters": [
        {"key": "uid", "source": "profile", "value": "id", "missing": "reject"}
    ]}  # fmt: skip
    write_config(tmp_path, strict)
    done = _sample(tmp_path, {**EVENT, "user": {}})
    assert (done.returncode, done.stdout) == (1, "")
    (error,) = _errors(done)
    assert "parameter uid has no value" in error


def test_sample_hides_secrets_unless_asked(tmp_path: Path) -> None:
    """`sample` shows a secret's placeholder, and the secret itself only with --reveal."""
    write_config(tmp_path, CLICK)
    hidden = _sample(tmp_path, EVENT)
    assert hidden.returncode == 0
    assert "canary" not in hidden.stdout + hidden.stderr
    assert "X-Api-Key: Bearer ${env:ANALYTICS_KEY}" in hidden.stdout
    assert "key=${env:ANALYTICS_KEY}" in hidden.stdout
    assert "webhook-signature: <webhook-signature>" in hidden.stdout
    shown = _sample(tmp_path, EVENT, "--reveal").stdout
    assert "X-Api-Key: Bearer canary-of-a-key" in shown
    assert "webhook-signature: v1," in shown


def test_explain_says_what_stops_each_hook(tmp_path: Path) -> None:
    """`explain` prints a line of JSON for each hook in a pipe, those that fire first, and for one
    hook only its own.
    """
    others = [
        {**CLICK, "id": "by-fence", "trigger": "geofence"},
        {**CLICK, "id": "off", "enabled": False},
    ]
    write_config(tmp_path, CLICK, *others)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    done = run_command("explain", "--event", "event.json", folder=tmp_path, environ=SECRETS)
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [(line["hook"], line["fires"], line["stop"]) for line in lines] == [
        ("click-analytics", True, None),
        ("by-fence", False, "trigger"),
        ("off", False, "disabled"),
    ]
    one = run_command("explain", "off", "--event", "event.json", folder=tmp_path, environ=SECRETS)
    assert [json.loads(line) for line in one.stdout.splitlines()] == [lines[2]]
    assert (done.returncode, one.returncode) == (0, 0)


def test_an_event_with_a_number_beyond_doubles_is_told_by_its_fields(tmp_path: Path) -> None:
    """Without `--trigger` the fields of an event tell what it is, and an envelope of CloudEvents is
    one, also if the event has a number that no double can hold.
    """
    click = {**CLICK, "uri": "https://analytics.example.com/x", "uri_parameters": {}}
    source = {"topic": "t", "trigger": "push_click", "format": "cloudevents"}
    write_config(tmp_path, click, sources=[source])
    event = orjson.dumps({**EVENT, "data": {"n": orjson.Fragment("1e400")}})
    envelope = {"specversion": "1.0", "id": "c1", "source": "/s", "type": "t"}
    wrapped = orjson.dumps({**envelope, "data": orjson.Fragment(event)})
    for value in (event, wrapped):
        (tmp_path / "event.json").write_bytes(value)
        done = call_command("explain", "--event", "event.json", folder=tmp_path, environ=SECRETS)
        assert orjson.loads(done.stdout)["fires"], (value, done)


def test_explain_says_where_each_value_comes_from(tmp_path: Path) -> None:
    """`explain` of one hook that fires tells each value of its request, its origin and what follows
    if it is missing; fixed values and secrets are never shown, in a pipe and on a terminal.
    """
    parameters = [*CLICK["parameters"], {"key": "mdl", "source": "device", "value": "mdl"}]
    fixed = {"key": "X-Fixed", "source": "fixed", "value": "canary-of-a-text"}
    hook = {**CLICK, "headers": [*CLICK["headers"], fixed], "parameters": parameters}
    write_config(tmp_path, hook)
    (tmp_path / "event.json").write_text(json.dumps(EVENT))
    words = ("explain", "click-analytics", "--event", "event.json")
    done = run_command(*words, folder=tmp_path, environ=SECRETS)
    [line] = [json.loads(line) for line in done.stdout.splitlines()]
    told = [(one["name"], one["origin"], one["text"], one["missing"]) for one in line["values"]]
    assert told == [
        ("campaign", "default", "none", None),
        ("uid", "profile", "u 42", None),
        ("key", "secret", None, None),
        ("mdl", "nowhere", None, "omit"),
        ("X-Api-Key", "secret", None, None),
        ("X-City", "profile", "İstanbul", None),
        ("X-Fixed", "fixed", None, None),
    ]
    assert line["rejection"] is None
    terminal = {**SECRETS, "FORCE_COLOR": "1"}
    shown = re.sub(
        r"\x1b\[[0-9;]*m", "", call_command(*words, folder=tmp_path, environ=terminal).stdout
    )
    rows = [" ".join(row.split()) for row in shown.splitlines()]
    assert "header X-City İstanbul profile city" in rows
    assert "parameter mdl missing: left out nothing in device mdl" in rows
    assert "header X-Api-Key not shown secret" in rows
    assert "canary" not in done.stdout + shown


def test_a_missing_demo_extra_says_how_to_get_it(tmp_path: Path) -> None:
    """`demo` without confluent-kafka ends with one sentence that holds the command to install
    it.
    """
    site = tmp_path / "site"
    site.mkdir()
    (site / "sitecustomize.py").write_text(
        "import importlib.util as u\n"
        "real = u.find_spec\n"
        "u.find_spec = lambda name, *a: None if name == 'confluent_kafka' else real(name, *a)\n"
    )
    done = run_command("demo", folder=tmp_path, environ={"PYTHONPATH": str(site)})
    assert done.returncode == 1
    (error,) = _errors(done)
    assert "pip install 'hookstream[demo]'" in error
