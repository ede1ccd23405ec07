"""Credentials that were made with `echo`, which ends them with a line end."""

from pathlib import Path

import pytest

from support.command import CLICK, SECRETS, call_command, run_command, write_config

CANARY = "canary-of-a-password"


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("place", ["environment", "file"])
@pytest.mark.parametrize("name", ["sasl_username", "sasl_password"])
def test_a_user_or_password_with_a_line_end_is_named(
    tmp_path: Path, name: str, place: str, end: str
) -> None:
    """`check` names a user or password of Kafka that ends with a line end, without its value and
    with how to make one that does not, wherever it comes from.
    """
    given = {"sasl_username": "u", "sasl_password": "p", name: CANARY + end}
    kafka = {"security_protocol": "SASL_SSL", "sasl_mechanism": "SCRAM-SHA-512"}
    if place == "file":
        write_config(tmp_path, CLICK, kafka={**kafka, **given})
        environ = SECRETS
    else:
        write_config(tmp_path, CLICK, kafka=kafka)
        environ = SECRETS | {f"HOOKSTREAM_KAFKA__{k.upper()}": v for k, v in given.items()}
    done = call_command("check", folder=tmp_path, environ=environ)
    assert done.returncode == 2
    [error] = [line for line in done.stderr.splitlines() if line.startswith("error")]
    assert f"kafka.{name}: ends with a line end" in error
    assert "printf %s" in error
    assert (f"HOOKSTREAM_KAFKA__{name.upper()}" in error) == (place == "environment")
    assert CANARY not in done.stdout + done.stderr


def test_the_daemon_does_not_start_with_one(tmp_path: Path) -> None:
    """`run` says the same as `check`, and asks no broker."""
    kafka = {"security_protocol": "SASL_SSL", "sasl_username": "u"}
    write_config(tmp_path, CLICK, kafka=kafka)
    environ = SECRETS | {"HOOKSTREAM_KAFKA__SASL_PASSWORD": f"{CANARY}\n"}
    done = run_command("run", folder=tmp_path, environ=environ)
    assert done.returncode == 2
    assert "kafka.sasl_password: ends with a line end" in done.stderr
    assert CANARY not in done.stdout + done.stderr


def test_a_hooks_secret_with_a_line_end_is_named(tmp_path: Path) -> None:
    """`check` names an environment variable of a hook that ends with a line end, without its
    value: in a parameter it would be another key, and in a header none.
    """
    write_config(tmp_path, CLICK)
    environ = SECRETS | {"ANALYTICS_KEY": f"{CANARY}\n"}
    done = call_command("check", folder=tmp_path, environ=environ)
    assert done.returncode == 2
    assert done.stderr.count("ANALYTICS_KEY ends with a line end") == 2
    assert CANARY not in done.stdout + done.stderr
