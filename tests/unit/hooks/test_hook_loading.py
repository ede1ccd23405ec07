"""The loading of definitions: which files are read, and what they compile to."""

import base64
import os
from dataclasses import FrozenInstanceError
from pathlib import Path

import pytest
from standardwebhooks import Webhook

from consumer.errors import ConfigError
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader
from consumer.hooks.table import Header, Hook, Parameter, RateLimit, UriVariable, Value

ROOT = Path(__file__).parents[3]
KEY = base64.b64encode(bytes(range(24))).decode()
CONTRACT = """
id: click-analytics
name: Click analytics
enabled: true
app: shop
method: GET
trigger: push_click
select: [spring-sale, summer-sale]
uri: https://analytics.example.com/collect/{campaign}
uri_parameters:
  campaign: {label: Campaign code, default: none}
headers:
  - {key: X-Api-Key, source: fixed, value: "${env:ANALYTICS_KEY}"}
  - {key: X-City,    source: profile, value: city}
parameters:
  - {key: uid,      source: profile, value: id}
  - {key: category, source: event,   value: data.category, missing: omit}
rate_limit: {requests: 50, per: 1s, burst: 50}
timeout: 10s
signing_secrets: ["${file:SECRET}"]
"""


def load(folder: Path, text: str | None = None, **environ: str) -> FileSource:
    """The table of a folder, with `text` put into it as one file."""
    if text is not None:
        (folder / "hook.yaml").write_text(text)
    return load_hooks(folder, LoadContext(SecretReader(environ, ["*", "/"])))


def hook_of(folder: Path, text: str, **environ: str) -> Hook:
    """The only hook of `text`."""
    [hook] = load(folder, text, **environ).hooks.values()
    return hook


def test_the_contracts_example_compiles_to_this(tmp_path: Path) -> None:
    """A definition with every field of docs/reference/hooks.md is loaded as it is written."""
    (tmp_path / "secret").write_text(f"whsec_{KEY}\n")
    text = CONTRACT.replace("SECRET", str(tmp_path / "secret"))
    assert hook_of(tmp_path, text, ANALYTICS_KEY="canary") == Hook(
        id="click-analytics",
        name="Click analytics",
        enabled=True,
        app="shop",
        trigger="push_click",
        select=frozenset({"spring-sale", "summer-sale"}),
        origin="https://analytics.example.com",
        host_key="analytics.example.com:443",
        template_parts=(
            "/collect/",
            UriVariable("campaign", "Campaign code", None, "none", "reject"),
        ),
        has_query=False,
        headers=(
            Header(
                "X-Api-Key",
                Value("fixed", text="canary", secret=True, reference="${env:ANALYTICS_KEY}"),
            ),
            Header("X-City", Value("profile", path=("city",), reference="city")),
        ),
        parameters=(
            Parameter("uid", Value("profile", path=("id",), reference="id")),
            Parameter(
                "category", Value("event", path=("data", "category"), reference="data.category")
            ),
        ),
        rate_limit=RateLimit(50, 1.0, 50),
        timeout=10.0,
        signing_keys=(bytes(range(24)),),
        needs_composed=False,
        file=str(tmp_path / "hook.yaml"),
        line=2,
        uri_line=9,
    )


def test_the_least_that_a_definition_needs(tmp_path: Path) -> None:
    """The smallest definition has defaults for everything else, and a field that is commented out
    counts as absent.
    """
    text = "id: h\ntrigger: event\nuri: https://x.example\nheaders:\n  # none yet\nselect: ~"
    hook = hook_of(tmp_path, text)
    assert (hook.name, hook.enabled, hook.app, hook.select) == ("h", True, None, None)
    assert (hook.template_parts, hook.headers, hook.parameters) == (("/",), (), ())
    assert (hook.rate_limit, hook.timeout, hook.signing_keys) == (None, None, ())


def test_texts_keep_their_authors_spelling(tmp_path: Path) -> None:
    """Texts of a definition keep their spelling, even if YAML 1.1 reads a boolean, a number or a
    date in them.
    """
    text = """
    id: 007
    trigger: event
    uri: https://x.example/{a}
    select: [no, 1, 2026-11-24, 1:30]
    uri_parameters: {a: {label: yes, default: 1.10}}
    parameters: [{key: on, source: fixed, value: 0x10}]
    enabled: no
    """
    hook = hook_of(tmp_path, text)
    assert (hook.id, hook.enabled) == ("007", False)
    assert hook.select == frozenset({"no", "1", "2026-11-24", "1:30"})
    assert (hook.uri_variables[0].label, hook.uri_variables[0].default) == ("yes", "1.10")
    assert (hook.parameters[0].name, hook.parameters[0].value.text) == ("on", "0x10")


def test_a_header_s_fixed_value_may_be_percent_encoded(tmp_path: Path) -> None:
    """A fixed header value is percent-encoded once at load, and an event's value with each
    request.
    """
    text = """
    id: h
    trigger: event
    uri: https://x.example
    headers:
      - {key: X-City, source: fixed, value: İzmir 35~, encode: percent}
      - {key: X-Town, source: profile, value: town, encode: percent}
      - {key: X-Raw, source: fixed, value: İzmir}
    """
    city, town, raw = hook_of(tmp_path, text).headers
    assert (city.value.text, city.value.reference) == ("%C4%B0zmir%2035~", "İzmir 35~")
    assert (city.encode, town.encode, raw.encode) == ("percent", "percent", None)
    assert raw.value.text == "İzmir"


def test_more_statuses_may_be_retried(tmp_path: Path) -> None:
    """`retry_on` takes statuses in any order, and in JSON as numbers."""
    (tmp_path / "a.json").write_text(
        '{"id": "h", "trigger": "event", "uri": "https://x.example", "retry_on": [404, 302, 403]}'
    )
    assert load(tmp_path).hooks["h"].retry_on == frozenset({302, 403, 404})


@pytest.mark.parametrize("number", ["123456789012345678901", "-" + "9" * 500, "1.10", "1e400"])
def test_a_number_in_a_definition_keeps_its_digits(tmp_path: Path, number: str) -> None:
    """A number in a definition keeps its digits in YAML and in JSON, however many they are."""
    (tmp_path / "a.json").write_text(
        '{"id": "a", "trigger": "event", "uri": "https://x.example/{n}", "uri_parameters": '
        f'{{"n": {{"label": "N", "default": {number}}}}}, "select": [{number}]}}'
    )
    (tmp_path / "b.yaml").write_text(
        f"id: b\ntrigger: event\nuri: https://x.example/{{n}}\nselect: [{number}]\n"
        f"uri_parameters:\n  n: {{label: N, default: {number}}}\n"
    )
    for hook in load(tmp_path).hooks.values():
        assert (hook.uri_variables[0].default, hook.select) == (number, frozenset({number}))


def test_json_says_the_same_as_yaml(tmp_path: Path) -> None:
    """A JSON definition loads as its YAML form does, with numbers and booleans as their
    spelling.
    """
    (tmp_path / "a.json").write_text(
        '[{"id": "h", "trigger": "event", "uri": "https://x.example", "enabled": false,'
        ' "select": [1, 1.10, true], "rate_limit": {"requests": 2, "per": "1s"}}]'
    )
    hook = load(tmp_path).hooks["h"]
    assert (hook.enabled, hook.select) == (False, frozenset({"1", "1.10", "true"}))
    assert hook.rate_limit == RateLimit(2, 1.0, 2)


BRACE = """
id: h
trigger: event
uri: https://x.example/{{a}}/{{a}}?q={{b}}
uri_parameters:
  a: {{label: A{described}}}
  b: {{label: B, default: ''}}
parameters:
  - {{key: x, source: fixed, value: y}}
"""
ENTRY = "  - {{key: a, source: event, value: data.a{missing}}}\n"


@pytest.mark.parametrize(
    ("described", "entry", "expected"),
    [
        ("", None, (None, None, "reject", True)),
        (", default: d", None, (None, "d", "reject", False)),
        (", missing: empty", None, (None, None, "empty", True)),
        ("", "", ("data.a", None, "reject", False)),
        ("", ", missing: omit", ("data.a", None, "omit", False)),
        (", missing: empty", ", missing: omit", ("data.a", None, "empty", False)),
        (", default: d", "", ("data.a", "d", "reject", False)),
    ],
)
def test_where_a_uri_variable_takes_its_value_from(
    tmp_path: Path,
    described: str,
    entry: str | None,
    expected: tuple[str | None, str | None, str, bool],
) -> None:
    """A URI variable takes its value and its `missing` from the composed value, else the entry of
    its key, else its default.
    """
    text = BRACE.format(described=described)
    if entry is not None:
        text += ENTRY.format(missing=entry)
    hook = hook_of(tmp_path, text)
    first, second, query = hook.uri_variables
    reference = first.entry.reference if first.entry else None
    assert (reference, first.default, first.missing, hook.needs_composed) == expected
    assert first is second
    assert query.default == ""  # not the same as none
    assert hook.has_query
    assert [piece for piece in hook.template_parts if isinstance(piece, str)] == ["/", "/", "?q="]
    # The entry of a brace is not repeated in the query.
    assert [parameter.name for parameter in hook.parameters] == ["x"]


def test_parameter_names_are_percent_encoded(tmp_path: Path) -> None:
    """Parameter names are percent-encoded text of any script, and one may repeat."""
    text = """
    id: h
    trigger: event
    uri: https://x.example
    parameters:
      - {key: 'a b&=/', source: event, value: a}
      - {key: şehir, source: event, value: a}
      - {key: şehir, source: event, value: b}
      - {key: 'x[0]', source: device, value: a.b}
    """
    hook = hook_of(tmp_path, text)
    names = [parameter.name for parameter in hook.parameters]
    assert names == ["a%20b%26%3D%2F", "%C5%9Fehir", "%C5%9Fehir", "x%5B0%5D"]
    assert hook.parameters[3].value.path == ("a", "b")
    assert hook.parameters[3].value.reference == "a.b"


def test_secrets_are_not_shown(tmp_path: Path) -> None:
    """A table's repr holds no secret, and `reference` says where the secret came from."""
    (tmp_path / "secret").write_text(f"whsec_{KEY}")
    text = CONTRACT.replace("SECRET", str(tmp_path / "secret"))
    table = load(tmp_path, text, ANALYTICS_KEY="canary")
    shown = f"{table!r} {table}"
    assert "canary" not in shown
    assert KEY not in shown
    assert repr(bytes(range(24))) not in shown
    assert "${env:ANALYTICS_KEY}" in shown


def test_a_doubled_dollar_is_no_secret(tmp_path: Path) -> None:
    """A doubled dollar writes a literal one, and the text is no secret."""
    text = """
    id: h
    trigger: event
    uri: https://x.example
    parameters: [{key: a, source: fixed, value: "$${env:A} $5"}]
    """
    value = hook_of(tmp_path, text).parameters[0].value
    assert (value.text, value.secret) == ("${env:A} $5", False)


@pytest.mark.parametrize(
    "secret", [f"whsec_{KEY}", KEY, base64.b64encode(b"k" * 31).decode().rstrip("="), "aw=="]
)
def test_signing_keys_are_those_of_the_standards_library(tmp_path: Path, secret: str) -> None:
    """Signing keys are those of the Standard Webhooks library, with or without prefix and padding,
    of any length that receivers take.
    """
    text = f"id: h\ntrigger: event\nuri: https://x.example\nsigning_secrets: ['{secret}']"
    [key] = hook_of(tmp_path, text).signing_keys
    assert key == Webhook(secret)._whsecret


def test_a_secret_is_read_once_a_load_and_anew_at_the_next(tmp_path: Path) -> None:
    """A secret file is read once for each load, and again at the next, so that a reload sees a
    rotated one.
    """
    seen: list[tuple[str, str]] = []

    def read(kind: str, name: str) -> str:
        seen.append((kind, name))
        return f"v{len(seen)}"

    entry = '{key: a, source: fixed, value: "${env:A}"}'
    for name in "ab":
        (tmp_path / f"{name}.yaml").write_text(f"{minimal(name)}parameters: [{entry}]")
    for expected in ("v1", "v2"):
        table = load_hooks(tmp_path, LoadContext(read))
        values = {hook.parameters[0].value.text for hook in table.hooks.values()}
        assert values == {expected}


def minimal(id: str) -> str:
    """The shortest definition."""
    return f"id: {id}\ntrigger: event\nuri: https://x.example\n"


def test_which_files_are_read(tmp_path: Path) -> None:
    """Files with three endings in any case are read in all folders below, without hidden files and
    editors' leftovers.
    """
    (tmp_path / "sub" / "deep").mkdir(parents=True)
    (tmp_path / ".hidden").mkdir()
    for name in ("b.yaml", "a.YML", "sub/c.yml", "sub/deep/d.yaml"):
        (tmp_path / name).write_text(minimal(Path(name).stem))
    for name in (".e.yaml", ".hidden/f.yaml", "g.yaml~", "h.yaml.bak", "#i.yaml#", ".j.yaml.swp"):
        (tmp_path / name).write_text("not: a hook")
    (tmp_path / "README.md").write_text("text")
    assert list(load(tmp_path).hooks) == ["a", "b", "c", "d"]


def test_a_kubernetes_mount_is_read_once(tmp_path: Path) -> None:
    """Each file of a Kubernetes mount is read once, though it is reachable through `..data` too."""
    real = tmp_path / "..2026_11_24"
    (real / "team").mkdir(parents=True)
    (real / "a.yaml").write_text(minimal("a"))
    (real / "team" / "b.yaml").write_text(minimal("b"))
    (tmp_path / "..data").symlink_to(real.name)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")
    (tmp_path / "team").symlink_to("..data/team")
    table = load(tmp_path)
    assert list(table.hooks) == ["a", "b"]
    assert table.hooks["a"].file == str(tmp_path / "a.yaml")


def test_links_in_a_circle_end(tmp_path: Path) -> None:
    """Links in a circle end, and each folder and file counts once under whatever names."""
    (tmp_path / "z.yaml").write_text(minimal("z"))
    (tmp_path / "again.yaml").symlink_to("z.yaml")
    (tmp_path / "a-link").symlink_to(".")
    hooks = load(tmp_path).hooks
    assert [hook.file for hook in hooks.values()] == [str(tmp_path / "again.yaml")]


def test_files_that_cannot_be_read_are_problems(tmp_path: Path) -> None:
    """A file that cannot be read is a problem, and a pipe does not block the load."""
    (tmp_path / "a.yaml").symlink_to("nowhere")
    (tmp_path / "b.yaml").symlink_to("b.yaml")
    os.mkfifo(tmp_path / "c.yaml")
    with pytest.raises(ConfigError) as caught:
        load(tmp_path)
    assert [Path(diagnostic.file).name for diagnostic in caught.value.diagnostics] == [
        "a.yaml", "b.yaml", "c.yaml",
    ]  # fmt: skip


def test_a_table_does_not_change(tmp_path: Path) -> None:
    """A hook table and its hooks are immutable."""
    table = load(tmp_path, minimal("h"))
    with pytest.raises(TypeError):
        table.hooks["x"] = table.hooks["h"]  # type: ignore[index]
    with pytest.raises(FrozenInstanceError):
        table.hooks["h"].enabled = False  # type: ignore[misc]


def test_the_examples_load() -> None:
    """The example definitions load, one for each trigger, without a secret that a first start would
    lack.
    """
    table = load(ROOT / "config" / "hooks")
    assert {hook.trigger for hook in table.hooks.values()} == {
        "push_click", "message_log", "geofence", "event",
    }  # fmt: skip
    assert {Path(hook.file).name for hook in table.hooks.values()} == {
        "push-click.yaml", "message-log.yaml", "geofence.yaml", "event.yaml",
    }  # fmt: skip
