"""Samples show a request quoted for a shell and without secrets."""

import shlex
from dataclasses import replace
from pathlib import Path

import pytest

from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Hook
from consumer.services.samples import Sample, event_sample, template_sample
from consumer.settings import Settings
from support.command import CLICK, EVENT, SECRETS, write_config
from support.fakes import make_event

SETTINGS = Settings()


def _hook(folder: Path, **changes: object) -> Hook:
    write_config(folder, {**CLICK, **changes})
    table = load_hooks(
        folder / "config" / "hooks", LoadContext(SecretReader(SECRETS, list(SECRETS)))
    )
    return table.hooks["click-analytics"]


def test_the_template_of_a_request(tmp_path: Path) -> None:
    """The sample of a hook shows its URI with placeholders, every header, and the sources of values
    in words.
    """
    sample = template_sample(_hook(tmp_path), SETTINGS, reveal=False)
    assert sample.url == "${hook.url}?uid=<profile id>&key=${env:ANALYTICS_KEY}"
    assert sample.headers[1:] == (
        "webhook-id: <webhook-id>",
        "webhook-timestamp: <webhook-timestamp>",
        "webhook-signature: <webhook-signature>",
        "X-Api-Key: Bearer ${env:ANALYTICS_KEY}",
        "X-City: <profile city>",
    )
    assert sample.headers[0].startswith("user-agent: hookstream/")


def test_a_percent_encoded_header(tmp_path: Path) -> None:
    """A percent-encoded header is marked in the sample, and a value that is known stands
    encoded.
    """
    headers = [
        {"key": "X-City", "source": "profile", "value": "city", "encode": "percent"},
        {"key": "X-Shop", "source": "fixed", "value": "Köy 1", "encode": "percent"},
    ]
    hook = _hook(tmp_path, headers=headers)
    lines = template_sample(hook, SETTINGS, reveal=False).headers
    assert lines[-2:] == ("X-City: <profile city, percent-encoded>", "X-Shop: K%C3%B6y%201")
    event = make_event(EVENT, trigger="push_click")
    lines = event_sample(hook, event, SETTINGS, 1_800_000_000.9, reveal=False).headers
    assert lines[-2:] == ("X-City: %C4%B0stanbul", "X-Shop: K%C3%B6y%201")


def test_a_uri_with_a_query_goes_on_with_it(tmp_path: Path) -> None:
    """Parameters are appended with `&` if the URI itself has a `?`."""
    hook = _hook(tmp_path, uri="https://a.example/x?y=1", uri_parameters={})
    assert template_sample(hook, SETTINGS, reveal=False).url.startswith("${hook.url}&uid=")


def test_the_template_reveals_fixed_secrets_only_when_asked(tmp_path: Path) -> None:
    """A fixed secret is shown as it goes over the wire only with `reveal`."""
    sample = template_sample(_hook(tmp_path), SETTINGS, reveal=True)
    assert "X-Api-Key: Bearer canary-of-a-key" in sample.headers
    assert "X-City: <profile city>" in sample.headers


@pytest.mark.parametrize("reveal", [False, True])
def test_an_event_s_request(tmp_path: Path, reveal: bool) -> None:
    """The sample of an event is its request, with secrets as the definition writes them."""
    event = make_event(EVENT, trigger="push_click")
    sample = event_sample(_hook(tmp_path), event, SETTINGS, 1_800_000_000.9, reveal=reveal)
    key = "canary-of-a-key" if reveal else "${env:ANALYTICS_KEY}"
    assert sample.url == f"https://analytics.example.com/collect/none?uid=u%2042&key={key}"
    headers = dict(line.split(": ", 1) for line in sample.headers)
    assert headers["webhook-timestamp"] == "1800000000"
    assert headers["webhook-id"] == "click%2E1:click-analytics"
    assert headers["X-Api-Key"] == f"Bearer {key}"
    assert headers["X-City"] == "İstanbul"
    assert headers["webhook-signature"].startswith("v1," if reveal else "<webhook-signature>")


def test_a_secret_in_a_uri_variable(tmp_path: Path) -> None:
    """A secret in a URI variable is hidden, even if it comes from a parameter's value."""
    parameters = [{"key": "campaign", "source": "fixed", "value": "${env:ANALYTICS_KEY}"}]
    hook = _hook(tmp_path, parameters=parameters)
    event = make_event(EVENT, trigger="push_click")
    sample = event_sample(hook, event, SETTINGS, 0, reveal=False)
    assert sample.url == "https://analytics.example.com/collect/${env:ANALYTICS_KEY}"


def test_the_command_s_words_are_the_sample_s(tmp_path: Path) -> None:
    """A shell splits the command into curl, its options, the URL and one -H for each header."""
    (tmp_path / "ca.pem").touch()
    network = SETTINGS.network.model_copy(update={"ca_file": tmp_path / "ca.pem"})
    settings = SETTINGS.model_copy(update={"network": network})
    headers = ("x-a: it's", "x-empty: ", 'x-odd: a: b: $(id) `id` \\ "', "x-ğ: ğ")
    command = Sample("http://h/?a='b'&c", headers).curl(settings)
    words = shlex.split(command.replace(" \\\n", " "))  # which shlex does not know
    assert words[:2] == ["curl", "-q"], "-q counts in the first place only"
    assert words[words.index("--cacert") + 1] == str(tmp_path / "ca.pem")
    assert words[words.index("-H") - 1] == "http://h/?a='b'&c"
    assert words[words.index("-H") :: 2] == ["-H"] * len(headers)
    assert words[words.index("-H") + 1 :: 2] == [headers[0], "x-empty;", *headers[2:]]


def test_only_secrets_are_hidden(tmp_path: Path) -> None:
    """A secret that is also the text of something else is hidden only at its own position."""
    hook = _hook(tmp_path)
    (key, city) = hook.headers
    plain = replace(city, value=replace(key.value, secret=False))
    event = make_event(EVENT, trigger="push_click")
    sample = event_sample(replace(hook, headers=(key, plain)), event, SETTINGS, 0, reveal=False)
    assert sample.headers[-2:] == (
        "X-Api-Key: Bearer ${env:ANALYTICS_KEY}",
        "X-City: Bearer canary-of-a-key",
    )
