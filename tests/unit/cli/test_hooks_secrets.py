"""Secrets in the commands of live definitions: sealed, referred to, never shown."""

from pathlib import Path

import pytest
import yaml

from consumer.control.sealed import seal
from support.command import CLICK, SECRETS, call_command, write_config
from support.live_command import (
    CANARY,
    HOOKS,
    PING,
    PRIVATE,
    PUBLIC,
    apply,
    define,
    hooks,
    lines,
    sealed_hook,
)
from support.live_topics import LiveTopicsHarness


def test_seal_reads_the_secret_from_standard_input(folder: Path) -> None:
    """`seal --new-key` prints two settings, and `seal --uri` a value for the URI's origin that the
    daemon opens; the secret comes from standard input, without its line end.
    """
    keys = yaml.safe_load(hooks(folder, "seal", "--new-key").stdout)["hooks"]
    write_config(folder, hooks={**HOOKS, **keys})
    uri = "https://A.example.com:443/collect/{campaign}"
    done = hooks(folder, "seal", "--uri", uri, stdin=f"{CANARY}\n".encode())
    sealed = done.stdout.strip()
    assert CANARY not in done.stdout + done.stderr
    write_config(
        folder, sealed_hook("a", "https://a.example.com", sealed), hooks={**keys, "live": False}
    )
    revealed = call_command("sample", "a", "--reveal", folder=folder)
    assert f"X-Key: {CANARY}'" in revealed.stdout


@pytest.mark.parametrize(
    ("words", "stdin", "code", "sentence"),
    [
        (("--uri", "ftp://x"), b"x", 2, "is not an http or https URI"),
        (("--uri", "https://x"), b"", 1, "the secret is empty or too long"),
        (("--uri", "https://x"), b"\xff", 1, "the secret is not UTF-8"),
        ((), b"x", 2, "give one of --uri and --new-key"),
        (("--uri", "https://x", "--new-key"), b"x", 2, "give one of --uri and --new-key"),
    ],
)
def test_what_cannot_be_sealed_is_told(
    folder: Path, words: tuple[str, ...], stdin: bytes, code: int, sentence: str
) -> None:
    """What cannot be sealed is told with an exit code, without the secret."""
    write_config(folder, hooks={**HOOKS, "seal_public_key": PUBLIC})
    done = hooks(folder, "seal", *words, stdin=stdin)
    assert (done.returncode, done.stdout) == (code, "")
    assert sentence in " ".join(done.stderr.replace("│", " ").split())


@pytest.mark.parametrize("key", [None, PRIVATE, "abc"], ids=["none", "private", "other"])
def test_seal_wants_a_public_key(folder: Path, key: str | None) -> None:
    """Without a public key in the settings `seal` names the setting and the command that makes
    one, and repeats no key.
    """
    more = {"seal_public_key": key} if key else {}
    write_config(folder, hooks={**HOOKS, **more})
    done = hooks(folder, "seal", "--uri", "https://x", stdin=b"x")
    assert done.returncode == 2
    assert "hooks.seal_public_key" in done.stderr
    assert "hookstream hooks seal --new-key" in done.stderr
    assert not key or key not in done.stderr


def test_a_moved_seal_is_refused(topics: LiveTopicsHarness, folder: Path) -> None:
    """With the private key `apply` refuses a sealed value that was moved to another origin, with a
    hint; without it what is no sealed value at all.
    """
    sealed = seal(CANARY, "https://a.example.com", PUBLIC)
    define(folder, sealed_hook("moved", "https://b.example.com", sealed))
    assert len(lines(apply(folder, "--dry-run"))) == 1
    write_config(folder, hooks={**HOOKS, "seal_private_key": PRIVATE})
    done = apply(folder, "--yes")
    assert done.returncode == 2
    assert "is sealed for https://a.example.com, and the URI has the origin https://b" in (
        done.stderr
    )
    write_config(folder, hooks=HOOKS)
    define(folder, sealed_hook("cut", "https://a.example.com", "${sealed:abc}"))
    assert apply(folder, "--yes").returncode == 2
    assert not topics.written["hookstream.hooks"]


@pytest.mark.usefixtures("topics")
def test_no_command_shows_a_secret(folder: Path) -> None:
    """No command shows a sealed or referred secret: neither on standard output nor on standard
    error, also if the settings have the key and the machine the variables; `sample --live` shows
    the reference.
    """
    sealed = seal(CANARY, "https://a.example.com", PUBLIC)
    write_config(folder, hooks={**HOOKS, "seal_private_key": [PRIVATE], "seal_public_key": PUBLIC})
    define(folder, sealed_hook("sealed", "https://a.example.com", sealed), CLICK)
    shown = ""
    for words in (
        ("apply", "-f", "new", "--yes"),
        ("list",),
        ("show", "sealed"),
        ("export",),
        ("history", "sealed"),
        ("delete", "sealed", "--yes"),
        ("rollback", "sealed", "--to", "1", "--yes"),
        ("list", "--replicas"),
    ):
        done = call_command("hooks", *words, folder=folder, environ=SECRETS)
        assert done.returncode == 0, done.stderr
        shown += done.stdout + done.stderr
    for words in (("sample", "sealed", "--live"), ("sample", "click-analytics", "--live")):
        done = call_command(*words, folder=folder, environ=SECRETS)
        assert done.returncode == 0, done.stderr
        shown += done.stdout + done.stderr
    assert sealed in shown
    assert "${env:ANALYTICS_KEY}" in shown
    for canary in (CANARY, PRIVATE, *SECRETS.values()):
        assert canary not in shown


def test_sample_reveals_a_sealed_secret_where_the_key_is(
    topics: LiveTopicsHarness, folder: Path
) -> None:
    """`sample --live --reveal` opens a sealed secret with the private key, and is refused with a
    hint without it.
    """
    topics.define(
        sealed_hook("a", "https://a.example.com", seal(CANARY, "https://a.example.com", PUBLIC))
    )
    words = ("sample", "a", "--live", "--reveal")
    done = call_command(*words, folder=folder)
    assert done.returncode == 2
    assert "set hooks.seal_private_key" in done.stderr
    write_config(folder, hooks={**HOOKS, "seal_private_key": PRIVATE})
    assert f"X-Key: {CANARY}" in call_command(*words, folder=folder).stdout


def test_secrets_need_not_be_on_this_machine(topics: LiveTopicsHarness, folder: Path) -> None:
    """A secret that `hooks.secrets` allows is not looked for where the command runs; another one
    is refused as by the daemon.
    """
    define(folder, CLICK)
    assert len(lines(apply(folder, "--yes"))) == 1
    value = topics.table().records["click-analytics"].definition
    assert value is not None
    assert value["headers"][0]["value"] == "Bearer ${env:ANALYTICS_KEY}"
    header = {"key": "X", "source": "fixed", "value": "${env:OTHER}"}
    define(folder, {**PING, "headers": [header]})
    done = apply(folder, "--yes")
    assert done.returncode == 2
    assert "the environment variable OTHER is not allowed" in done.stderr


def test_only_an_export_has_a_signing_secret_in_plain(
    topics: LiveTopicsHarness, folder: Path
) -> None:
    """A signing secret that stands in plain is shown by no command once it was written, and not
    by the plan of a write; an export has it, to be applied.
    """
    canary = "whsec_Y2FuYXJ5LWNhbmFyeS1jYW5hcnktY2FuYXJ5"
    topics.define({**PING, "signing_secrets": ["whsec_b2xkLW9sZC1vbGQtb2xkLW9sZC1vbGQ"]})
    define(folder, {**PING, "signing_secrets": [canary]})
    plan = apply(folder, "--dry-run")
    assert '"signing_secrets"' in plan.stdout
    assert apply(folder, "--yes").returncode == 0
    shown = [plan, *(hooks(folder, name, "ping") for name in ("show", "history"))]
    for done in shown:
        assert done.returncode == 0
        assert canary not in done.stdout + done.stderr
        assert "b2xk" not in done.stdout + done.stderr
        assert "(hidden)" in done.stdout
    assert canary in hooks(folder, "export", "ping").stdout
