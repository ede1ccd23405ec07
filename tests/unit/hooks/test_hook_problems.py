"""Bad definitions: each problem has file, line, hook, field and a hint."""

from pathlib import Path
from textwrap import dedent

import pytest

from consumer.errors import ConfigError, Diagnostic
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import load_hooks
from consumer.hooks.secrets import SecretReader

GOOD = "id: h\ntrigger: event\nuri: https://example.com/\n"
BRACE = "id: h\ntrigger: event\nuri: https://x.example/{a}\n"
READER = SecretReader({"KEY": "canary", "LINES": "canary\ncanary"}, ["*", "/"])


def diagnostics(folder: Path) -> tuple[Diagnostic, ...]:
    """What `load_hooks` has to say."""
    with pytest.raises(ConfigError) as caught:
        load_hooks(folder, LoadContext(READER))
    assert "canary" not in str(caught.value)
    return caught.value.diagnostics


@pytest.mark.parametrize(
    ("text", "line", "field", "message", "hint"),
    [
        # What every definition needs.
        ("trigger: event\nuri: https://x.example", 1, "id", "is missing", "add"),
        ("id: H\ntrigger: event\nuri: https://x.example", 1, "id", "not a hook id", "a to z"),
        ("id: h\nuri: https://x.example", 1, "trigger", "is missing", "add"),
        ("id: h\ntrigger:\nuri: https://x.example", 2, "trigger", "is missing", "add"),
        ("id: h\ntrigger: click\nuri: https://x.example", 2, "trigger", "words", "`push_click`"),
        ("id: h\ntrigger: event", 1, "uri", "is missing", "add"),
        ("id: h\ntrigger: event\nuri: x", 3, "uri", "not an http or https URI", "https://"),
        ("id: h\ntrigger: event\nuri: [x]", 3, "uri", "is not text", "one text"),
        ("text", 1, "", "is not a mapping", "key: value"),
        ("- [1]", 1, "", "is not a mapping", "key: value"),
        # What it may have.
        (f"{GOOD}heders: []", 4, "heders", "not a known field", "`headers`"),
        (f"{GOOD}<<: {{a: b}}", 4, "<<", "not a known field", "known here"),
        (f"{GOOD}enabled: perhaps", 4, "enabled", "neither true nor false", "true or false"),
        (f"{GOOD}app: ''", 4, "app", "is empty", ""),
        (f"{GOOD}name: {'x' * 201}", 4, "name", "has 201 characters", "at most 200"),
        (f"{GOOD}owner: {'x' * 201}", 4, "owner", "has 201 characters", "at most 200"),
        (f'{GOOD}owner: "a\\nb"', 4, "owner", "a line end or a control", "one line"),
        (f'{GOOD}name: "a\\nb"', 4, "name", "a line end or a control", "one line"),
        (f'{GOOD}name: "a\\u2028b"', 4, "name", "a line end or a control", "one line"),
        (
            f'{BRACE}uri_parameters: {{a: {{label: "a\\tb"}}}}',
            4,
            "uri_parameters.a.label",
            "a line end or a control",
            "one line",
        ),
        (f"{GOOD}app: ${{env:KEY}}", 4, "app", "secrets cannot stand here", "fixed"),
        (f"{GOOD}method: POST", 4, "method", "is not GET, the only value", "write GET"),
        (f"{GOOD}method: get", 4, "method", "is not GET, the only value", "write GET"),
        (f"{GOOD}select: sale", 4, "select", "is not a list", "[one, two]"),
        (f"{GOOD}select: []", 4, "select", "too few", "1"),
        (f"{GOOD}select:\n- a\n-\n", 6, "select[1]", "is not text", ""),
        (f"{GOOD}select: [{{a: b}}]", 4, "select[0]", "is not text", ""),
        (f"{GOOD}timeout: 10", 4, "timeout", "not a duration", "10s"),
        (f"{GOOD}timeout: 1h", 4, "timeout", "out of range", "5m"),
        (f"{GOOD}rate_limit: {{requests: 0}}", 4, "rate_limit.requests", "too small", "1"),
        (f"{GOOD}rate_limit:\n  per: 1s", 4, "rate_limit.requests", "is missing", "add"),
        (f"{GOOD}rate_limit: {{requests: 1, per: 0s}}", 4, "rate_limit.per", "range", "1ms"),
        (f"{GOOD}rate_limit: {{requests: 1, rate: 2}}", 4, "rate_limit.rate", "known", "requests"),
        # Headers.
        (
            f"{GOOD}headers: [{{key: X-A, source: fixed, value: {'a' * 4097}}}]",
            4,
            "headers[0].value",
            "longer than 4096 bytes",
            "shorten",
        ),
        (
            f"{GOOD}headers: [{{key: {'a' * 101}, source: fixed, value: a}}]",
            4,
            "headers[0].key",
            "not a header name",
            "1 to 100",
        ),
        (
            f"{GOOD}headers:\n"
            + "".join(f"- {{key: h{n}, source: fixed, value: a}}\n" for n in range(101)),
            4,
            "headers",
            "too many",
            "100",
        ),
        (f"{GOOD}headers: {{X-A: b}}", 4, "headers", "is not a list", "- for each"),
        (
            f"{GOOD}headers:\n- {{key: 'X A', source: fixed, value: a}}",
            5,
            "headers[0].key",
            "not a header name",
            "hyphens",
        ),
        (
            f"{GOOD}headers: [{{key: Host, source: fixed, value: a}}]",
            4,
            "headers[0].key",
            "Host is a header that",
            "out",
        ),
        (
            f"{GOOD}headers: [{{key: Webhook-Id, source: fixed, value: a}}]",
            4,
            "headers[0].key",
            "Webhook-Id is a header that",
            "out",
        ),
        (
            (
                f"{GOOD}headers:\n- {{key: x-a, source: fixed, value: a}}\n"
                "- {key: X-A, source: fixed, value: b}"
            ),
            6,
            "headers[1].key",
            "already given",
            "keep one",
        ),
        (
            f'{GOOD}headers: [{{key: A, source: fixed, value: "a\\nb"}}]',
            4,
            "headers[0].value",
            "line end",
            "secret",
        ),
        (
            f"{GOOD}headers: [{{key: A, source: fixed, value: a, encode: base64}}]",
            4,
            "headers[0].encode",
            "is not percent, the only value",
            "percent",
        ),
        (
            f"{GOOD}headers:\n- {{key: A, source: fixed, encode: percent, value: {'ş' * 700}}}",
            5,
            "headers[0].value",
            "longer than 4096 bytes",
            "shorten",
        ),
        (
            f"{GOOD}parameters: [{{key: a, source: fixed, value: a, encode: percent}}]",
            4,
            "parameters[0].encode",
            "is for headers only",
            "percent-encoded as they are",
        ),
        (f"{GOOD}encode: percent", 4, "encode", "not a known field", "known here"),
        (f"{GOOD}retry_on: 403", 4, "retry_on", "is not a list", "[one, two]"),
        (f"{GOOD}order: users", 4, "order", "is not user", "write user"),
        (f"{GOOD}retry_on: []", 4, "retry_on", "too few", "at least 1"),
        (f"{GOOD}retry_on: [403, 4xx]", 4, "retry_on[1]", "not an HTTP status", "three digits"),
        (f"{GOOD}retry_on: [200]", 4, "retry_on[0]", "no status of a failure", "from 300 to 599"),
        (f"{GOOD}retry_on:\n- 404\n- 101", 6, "retry_on[1]", "no status of a failure", "300"),
        (f"{GOOD}retry_on: [600]", 4, "retry_on[0]", "no status of a failure", "599"),
        (
            f"{GOOD}headers: [{{key: A, source: fixed, value: ' a'}}]",
            4,
            "headers[0].value",
            "blank",
            "correct",
        ),
        (
            f"{GOOD}headers: [{{key: A, source: fixed, value: '${{env:LINES}}'}}]",
            4,
            "headers[0].value",
            "line end",
            "secret",
        ),
        (
            f"{GOOD}headers: [{{key: A, source: fixed, value: '${{env:NOPE}}'}}]",
            4,
            "headers[0].value",
            "NOPE is not set",
            "set it",
        ),
        (
            f"{GOOD}headers: [{{key: A, source: profile, value: '${{env:KEY}}'}}]",
            4,
            "headers[0].value",
            "secrets cannot stand here",
            "fixed",
        ),
        (
            f"{GOOD}headers: [{{key: A, source: fixd, value: a}}]",
            4,
            "headers[0].source",
            "words",
            "`fixed`",
        ),
        (f"{GOOD}headers: [{{key: A, value: a}}]", 4, "headers[0].source", "is missing", "add"),
        (f"{GOOD}headers: [{{key: A, source: event}}]", 4, "headers[0].value", "missing", "add"),
        (
            f"{GOOD}headers: [{{key: A, source: event, value: a, missing: skip}}]",
            4,
            "headers[0].missing",
            "words",
            "omit",
        ),
        # Parameters.
        (
            f"{GOOD}parameters: [{{key: a, source: event, value: a..b}}]",
            4,
            "parameters[0].value",
            "not a dotted path",
            "data.category",
        ),
        (
            f"{GOOD}parameters: [{{key: a, source: profile, value: ''}}]",
            4,
            "parameters[0].value",
            "is empty",
            "",
        ),
        (
            f"{GOOD}parameters: [{{key: '', source: event, value: a}}]",
            4,
            "parameters[0].key",
            "is empty",
            "",
        ),
        (
            f"{GOOD}parameters:\n- key: a\n  source: event\n  value: a\n  defualt: x",
            8,
            "parameters[0].defualt",
            "not a known field",
            "known here",
        ),
        (
            f"{GOOD}parameters:\n"
            + "".join(f"- {{key: p{n}, source: event, value: a}}\n" for n in range(101)),
            4,
            "parameters",
            "too many",
            "100",
        ),
        # Braces.
        (f"{GOOD}uri_parameters: {{a: {{label: A}}}}", 4, "uri_parameters.a", "no", "{a}"),
        (
            "id: h\ntrigger: event\nuri: https://x.example/{a}",
            3,
            "uri",
            "{a} has no label",
            "`a: {label: ...}`",
        ),
        (
            "id: h\ntrigger: event\nuri: https://x.example/{a}\nuri_parameters: {a: {}}",
            4,
            "uri_parameters.a.label",
            "is missing",
            "add",
        ),
        (
            (
                "id: h\ntrigger: event\nuri: https://x.example/{a}\nuri_parameters:\n"
                "  a:\n    label: A\n    defalt: x"
            ),
            7,
            "uri_parameters.a.defalt",
            "not a known field",
            "`default`",
        ),
        (
            (
                "id: h\ntrigger: event\nuri: https://x.example/{a}\nuri_parameters:\n"
                "  a: {label: A, default: '${env:KEY}'}"
            ),
            5,
            "uri_parameters.a.default",
            "secrets cannot stand here",
            "fixed",
        ),
        (
            (
                f"{BRACE}uri_parameters: {{a: {{label: A}}}}\n"
                "parameters:\n- {key: a, source: fixed, value: b}\n"
                "- {key: a, source: fixed, value: c}"
            ),
            7,
            "parameters[1].key",
            "given twice",
            "keep one",
        ),
        # Signing secrets.
        (f"{GOOD}signing_secrets: whsec_a", 4, "signing_secrets", "is not a list", ""),
        (f"{GOOD}signing_secrets: [whsec_]", 4, "signing_secrets[0]", "Standard Webhooks", "24"),
        (f"{GOOD}signing_secrets: ['ca-_fe']", 4, "signing_secrets[0]", "Standard Webhooks", "24"),
        (f"{GOOD}signing_secrets: [canar]", 4, "signing_secrets[0]", "Standard Webhooks", "24"),
        (
            f"{GOOD}signing_secrets: ['${{file:/nope/x}}']",
            4,
            "signing_secrets[0]",
            "/nope/x cannot be read",
            "mount",
        ),
    ],
)
def test_each_problem_names_its_location_and_hint(  # noqa: PLR0917  # columns of the table
    tmp_path: Path, text: str, line: int, field: str, message: str, hint: str
) -> None:
    """Each error in a definition is one problem with its line and a hint."""
    file = tmp_path / "hook.yaml"
    file.write_text(text)
    [diagnostic] = diagnostics(tmp_path)
    assert (diagnostic.file, diagnostic.line, diagnostic.field) == (str(file), line, field)
    assert message in diagnostic.message
    assert hint in diagnostic.hint
    assert diagnostic.hint


@pytest.mark.parametrize(
    "name",
    [
        "Connection",
        "Content-Length",
        "EXPECT",
        "host",
        "Keep-Alive",
        "Proxy-Authenticate",
        "Proxy-Authorization",
        "Proxy-Connection",
        "TE",
        "trailer",
        "Transfer-Encoding",
        "upgrade",
        "User-Agent",
        "webhook-id",
        "Webhook-Signature",
        "WEBHOOK-TIMESTAMP",
        "webhook-x",
    ],
)
def test_no_definition_sets_what_the_connection_or_hookstream_sets(
    tmp_path: Path, name: str
) -> None:
    """No definition sets a header of the connection's or of hookstream's, in upper or lower case
    and from any value source.
    """
    for source in ("fixed", "event"):
        entry = f"{{key: {name}, source: {source}, value: a}}"
        (tmp_path / "hook.yaml").write_text(f"{GOOD}headers: [{entry}]")
        [diagnostic] = diagnostics(tmp_path)
        assert f"{name} is a header that hookstream or the connection sets" in diagnostic.message


@pytest.mark.parametrize(
    "name",
    ["HOST ", " Host", "Host:", ":authority", "X A", "X\\tA", "X\\r\\nY", "X\\0", "Ş", "X:Y", ""],
)
def test_no_header_name_is_more_than_a_name(tmp_path: Path, name: str) -> None:
    """A header name that is no token is refused (RFC 9110 section 5.1)."""
    entry = f'{{key: "{name}", source: fixed, value: a}}'
    (tmp_path / "hook.yaml").write_text(f"{GOOD}headers: [{entry}]")
    [diagnostic] = diagnostics(tmp_path)
    assert "is not a header name" in diagnostic.message


def test_all_problems_of_all_files_come_together(tmp_path: Path) -> None:
    """All problems of all files are reported together, those after a broken document and those
    between fields of a refused definition included.
    """
    (tmp_path / "a.yaml").write_text(
        dedent("""\
        id: one
        trigger: push_clik
        uri: https://x.example/{a}
        headers:
          - {key: Host, source: fixed, value: "${env:NOPE}"}
        ---
        id: two
        uri: [
        """)
    )
    (tmp_path / "b.json").write_text(
        '[{"id": "one", "trigger": "event",\n"uri": "https://x.example/"},\n{"id": "two"}]'
    )
    (tmp_path / "c.yml").write_bytes(b"\xff")
    found = [(Path(p.file).name, p.line, p.hook, p.field) for p in diagnostics(tmp_path)]
    assert found == [
        ("a.yaml", 2, "one", "trigger"),
        ("a.yaml", 3, "one", "uri"),
        ("a.yaml", 5, "one", "headers[0].key"),
        ("a.yaml", 5, "one", "headers[0].value"),
        ("a.yaml", 9, "", ""),
        ("b.json", 1, "one", "id"),
        ("b.json", 3, "two", "trigger"),
        ("b.json", 3, "two", "uri"),
        ("c.yml", 1, "", ""),
    ]


def test_an_id_used_twice_names_both_locations(tmp_path: Path) -> None:
    """An id that is used twice is a problem that names both locations."""
    (tmp_path / "a.yaml").write_text(f"# first\n{GOOD}")
    (tmp_path / "b.yaml").write_text(GOOD)
    [diagnostic] = diagnostics(tmp_path)
    assert (diagnostic.file, diagnostic.line, diagnostic.field) == (
        str(tmp_path / "b.yaml"),
        1,
        "id",
    )
    assert f"{tmp_path / 'a.yaml'}:2" in diagnostic.message


@pytest.mark.parametrize(
    "text",
    [
        f"{GOOD}headers: [{{key: A, source: fixed, value: 'canary ${{env:NOPE}}'}}]",
        f"{GOOD}signing_secrets: ['canary canary', '${{env:KEY}} ']",
        f"{GOOD}headers: [{{key: A, source: canary, value: canary, missing: canary}}]",
        "id: h\ntrigger: canary\nuri: https://canary:canary@x.example/",
        f"{GOOD}select: {{canary-key: canary}}".replace("canary-key", "a"),
    ],
)
def test_no_problem_repeats_a_value(tmp_path: Path, text: str) -> None:
    """No problem repeats a value of the definition, since a secret may stand in any field."""
    (tmp_path / "hook.yaml").write_text(text)
    assert diagnostics(tmp_path)


@pytest.mark.parametrize("name", ["missing", "file.yaml"])
def test_a_folder_that_is_none_is_refused(tmp_path: Path, name: str) -> None:
    """A path that is no folder is refused in one sentence."""
    (tmp_path / "file.yaml").touch()
    [diagnostic] = diagnostics(tmp_path / name)
    assert diagnostic.file == str(tmp_path / name)


@pytest.mark.parametrize("text", [None, "", "# nothing\n---\n"])
def test_a_folder_without_a_hook_is_refused(tmp_path: Path, text: str | None) -> None:
    """A folder without a hook is refused, since a mount may have failed."""
    if text is not None:
        (tmp_path / "a.yaml").write_text(text)
    [diagnostic] = diagnostics(tmp_path)
    assert diagnostic.message == "holds no hook"
