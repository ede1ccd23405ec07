"""`${env:}` and `${file:}`: what may be read, what they become, and what is never shown."""

import os
from pathlib import Path

import pytest

from consumer.errors import InvalidValue
from consumer.hooks.secrets import MAX_SECRET_BYTES, SecretReader, expand
from consumer.settings import HooksSettings


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("plain $ {x} $x", "plain $ {x} $x"),
        ("Bearer ${env:T}", "Bearer <env:T>"),
        ("${env:A}${file:/b}-", "<env:A><file:/b>-"),
        ("$${env:T}", "${env:T}"),
        ("$$${env:T}", "$${env:T}"),
        ("$${", "${"),
        ("${file:/a:b}", "<file:/a:b>"),
    ],
)
def test_references_are_replaced_wherever_they_stand(text: str, expected: str) -> None:
    """References are replaced anywhere in a text, several of them too, and a doubled dollar writes
    the characters themselves.
    """
    assert expand(text, lambda kind, name: f"<{kind}:{name}>") == expected


@pytest.mark.parametrize("text", ["${T}", "${env:}", "${ENV:T}", "${env:T", "${", "${vault:x}"])
def test_a_reference_that_is_none_is_refused(text: str) -> None:
    """A misspelt reference is refused, so that it is not sent as text."""
    with pytest.raises(InvalidValue, match="begins no reference"):
        expand(text, lambda _kind, _name: "x")


def test_a_secret_that_looks_like_a_reference_is_left_alone() -> None:
    """A secret's own text is not searched for references."""
    assert expand("${env:A}", lambda _kind, _name: "${env:B}") == "${env:B}"


@pytest.mark.parametrize(
    ("raw", "text"), [(b"k\n", "k"), (b"k\r\n", "k"), (b" k ", " k "), ("ş".encode(), "ş")]
)
def test_a_files_line_end_is_no_part_of_the_secret(tmp_path: Path, raw: bytes, text: str) -> None:
    """The line end of a secret file is no part of the secret, and blanks are."""
    (tmp_path / "k").write_bytes(raw)
    assert SecretReader({}, [str(tmp_path)])("file", f"{tmp_path}/k") == text


def test_names_and_patterns_open_the_environment() -> None:
    """`hooks.secrets` allows environment variables by name and pattern."""
    read = SecretReader({"CRM_KEY": "a", "OTHER": "b", "XCRM_KEY": "c"}, ["CRM_*", "/run"])
    assert read("env", "CRM_KEY") == "a"
    for name in ("OTHER", "XCRM_KEY"):
        with pytest.raises(InvalidValue, match="is not allowed"):
            read("env", name)


@pytest.mark.parametrize("allowed", [[], ["*"], ["HOOKSTREAM_*"]])
def test_own_settings_are_never_secrets_of_hooks(allowed: list[str]) -> None:
    """The daemon's own settings are never secrets of hooks, so no definition can send the Kafka
    password away.
    """
    read = SecretReader({"HOOKSTREAM_KAFKA__SASL_PASSWORD": "canary"}, allowed)
    with pytest.raises(InvalidValue, match="own settings"):
        read("env", "HOOKSTREAM_KAFKA__SASL_PASSWORD")


def test_own_files_are_never_secrets_of_hooks(tmp_path: Path) -> None:
    """The settings file and `/proc` are never secret files of hooks."""
    settings, link = tmp_path / "hookstream.yaml", tmp_path / "link"
    settings.write_text("canary")
    link.symlink_to(settings)
    (tmp_path / "k").write_text("good")
    read = SecretReader({}, ["/"], [link])
    assert read("file", f"{tmp_path}/k") == "good"
    own = f"/proc/{os.getpid()}"
    for path in (settings, link, "/proc/self/environ", f"{own}/environ", f"{own}/task/../cmdline"):
        with pytest.raises(InvalidValue, match="hookstream's own") as caught:
            read("file", str(path))
        assert "canary" not in caught.value.message


def test_without_a_list_nothing_is_allowed(tmp_path: Path) -> None:
    """Without `hooks.secrets` no secret is allowed, and the hint is the entry that is missing."""
    (tmp_path / "k").write_text("canary")
    read = SecretReader({"A": "canary"}, HooksSettings().secrets)
    for kind, name, entry in (("env", "A", "A"), ("file", f"{tmp_path}/k", tmp_path)):
        with pytest.raises(InvalidValue) as caught:
            read(kind, name)
        assert caught.value.hint == f"add {entry} to hooks.secrets in the settings"
        assert "canary" not in caught.value.message


def test_directories_open_the_files_in_them(tmp_path: Path) -> None:
    """An allowed folder opens the files whose real path is in it: neither `..` nor a link leads
    out, and a link may lead in.
    """
    inside, outside = tmp_path / "in", tmp_path / "in-side"
    inside.mkdir()
    outside.mkdir()
    (inside / "k").write_text("good")
    (outside / "k").write_text("canary")
    (inside / "link").symlink_to(outside / "k")
    (outside / "link").symlink_to(inside / "k")
    read = SecretReader({}, [str(inside)])
    assert read("file", f"{inside}/k") == "good"
    assert read("file", f"{outside}/link") == "good"
    for path in (f"{inside}/../in-side/k", f"{inside}/link", f"{outside}/k"):
        with pytest.raises(InvalidValue, match="in no allowed directory") as caught:
            read("file", path)
        folder = Path(caught.value.hint.split()[1])
        assert SecretReader({}, [str(folder)])("file", path) == "canary"  # the hint helps


def test_a_kubernetes_secret_mount_is_one_directory(tmp_path: Path) -> None:
    """An allowed Kubernetes secret mount opens its files, which are links through `..data`."""
    (tmp_path / "..2026_01").mkdir()
    (tmp_path / "..2026_01" / "click").write_text("good")
    (tmp_path / "..data").symlink_to("..2026_01")
    (tmp_path / "click").symlink_to("..data/click")
    assert SecretReader({}, [str(tmp_path)])("file", f"{tmp_path}/click") == "good"
    with pytest.raises(InvalidValue) as caught:
        SecretReader({}, [])("file", f"{tmp_path}/click")
    assert caught.value.hint == f"add {tmp_path} to hooks.secrets in the settings"


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("env", "NOPE", "NOPE is not set"),
        ("env", "EMPTY", "env:EMPTY is empty"),
        ("env", "ECHOED", "ECHOED ends with a line end"),
        ("file", "nope", "relative path"),
        ("file", "/no\0pe", "cannot be read"),
        ("file", "/" + "x" * 5000, "cannot be read"),
        ("file", "{folder}/nope", "no such file"),
        ("file", "{folder}", "no regular file"),
        ("file", "{folder}/pipe", "no regular file"),
        ("file", "{folder}/big", "no regular file"),
        ("file", "{folder}/latin", "not UTF-8"),
        ("file", "{folder}/circle", "circle|too many levels"),
        ("file", "{folder}/blank", "is empty"),
    ],
)
def test_what_cannot_be_read_is_named(tmp_path: Path, kind: str, name: str, message: str) -> None:
    """A secret that cannot be read is named without its value, and a pipe does not block."""
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "big").write_bytes(b"canary" * MAX_SECRET_BYTES)
    (tmp_path / "latin").write_bytes(b"canary\xff")
    (tmp_path / "circle").symlink_to("circle")
    (tmp_path / "blank").write_text("\n")
    name = name.format(folder=tmp_path)
    with pytest.raises(InvalidValue, match=message) as caught:
        SecretReader({"EMPTY": "", "OTHER": "canary", "ECHOED": "canary\n"}, ["*", "/"])(kind, name)
    assert name in caught.value.message
    assert "canary" not in caught.value.message + caught.value.hint


@pytest.mark.parametrize(
    ("kind", "name", "message"),
    [
        ("env", "OTHER", "is not allowed"),
        ("env", "HOOKSTREAM_X", "own settings"),
        ("file", "run/k", "relative path"),
        ("file", "/etc/k", "in no allowed directory"),
        ("file", "/run/secrets/../k", "in no allowed directory"),
    ],
)
def test_a_writer_checks_names_without_reading(kind: str, name: str, message: str) -> None:
    """A writer on another machine than the daemon's may name the secrets that `hooks.secrets`
    allows, whether or not they are there, and no others.
    """
    reader = SecretReader({}, ["CRM_*", "/run/secrets"])
    reader.check("env", "CRM_KEY")
    reader.check("file", "/run/secrets/k")
    with pytest.raises(InvalidValue, match=message):
        reader.check(kind, name)
