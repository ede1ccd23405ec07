"""Whatever people write: it loads, or it is refused with a place; nothing else happens."""

import json
from pathlib import Path
from typing import Any, get_args

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from uritemplate import URITemplate

from consumer.documents.durations import format_duration, parse_duration
from consumer.documents.hosts import normalise_host
from consumer.documents.json_reader import read_json
from consumer.documents.tree import Document, DocumentPath
from consumer.documents.yaml_reader import read_yaml
from consumer.errors import ConfigError, InvalidValue
from consumer.hooks.definition import Definition
from consumer.hooks.load_context import LoadContext
from consumer.hooks.loader import FileSource, load_hooks
from consumer.hooks.secrets import SecretReader, expand
from consumer.hooks.template import parse_template
from consumer.hooks.value_sources import Source
from consumer.settings import Settings, load_settings

# A deadline measures how busy the machine is; that no input takes for ever, pytest-timeout holds.
# The folder is one for all examples, each of which cleans up behind itself.
quietly = settings(
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
texts = st.text(st.characters(codec="utf-8"), max_size=20)
scalars = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | texts
)
values = st.recursive(
    scalars, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4)
)

entries = st.fixed_dictionaries(
    {},
    optional={
        "key": st.sampled_from(["a", "X-A", "Host", ""]) | texts,
        "source": st.sampled_from(get_args(Source)) | scalars,
        "value": st.sampled_from(["${env:KEY}", "${env:NO}", "data.a", "$${"]) | values,
        "missing": st.sampled_from(["omit", "empty", "reject", None]) | scalars,
    },
)
uris = st.sampled_from(["https://x.example/{a}?b={b}", "http://[::1]:8/", "https://u@h/"]) | texts
definitions = st.fixed_dictionaries(
    {
        "id": st.sampled_from(["a", "b", "A"]) | values,
        "trigger": st.sampled_from(["event", "geofence", "click"]) | values,
        "uri": uris | values,
    },
    optional={
        "uri_parameters": st.dictionaries(
            st.sampled_from("abc"), st.fixed_dictionaries({}, optional={"label": values})
        )
        | values,
        "headers": st.lists(entries, max_size=3) | values,
        "parameters": st.lists(entries, max_size=3) | values,
        "select": st.lists(scalars, max_size=2) | values,
        "rate_limit": st.dictionaries(st.sampled_from(["requests", "per", "x"]), scalars) | values,
        "when": st.dictionaries(
            st.sampled_from(["data.a", "any", "a..b"]),
            values | st.dictionaries(st.sampled_from(["below", "not", "any_of", "x"]), values),
        )
        | values,
        "retry_on": st.lists(st.sampled_from(["403", "599", "200", "x"]), max_size=3) | values,
        "signing_secrets": st.lists(texts, max_size=2) | values,
        "timeout": st.sampled_from(["1s", "1", "9h"]) | values,
        "enabled": values,
        "owner": texts | values,
        "order": st.just("user") | texts | values,
        "method": st.just("GET") | values,
        "extra": values,
    },
)


def spelt(value: Any) -> Any:
    """What the readers make of a value: numbers as their author wrote them."""
    if isinstance(value, dict):
        return {key: spelt(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [spelt(inner) for inner in value]
    if isinstance(value, bool) or value is None:
        return value
    return json.dumps(value) if isinstance(value, int | float) else value


def documents_of(value: Any) -> list[Any]:
    """A list stands for its items; YAML passes over null."""
    return value if isinstance(value, list) else [value]


def places_of(value: Any, place: DocumentPath = ()) -> list[DocumentPath]:
    """Every place in a value."""
    pairs: list[tuple[str | int, Any]] = []
    if isinstance(value, dict):
        pairs = list(value.items())
    elif isinstance(value, list):
        pairs = list(enumerate(value))
    return [place] + [below for step, inner in pairs for below in places_of(inner, (*place, step))]


def check_lines(document: Document, last: int) -> None:
    """Lines lie within the text, and never before those of the values around."""
    for place in places_of(document.data):
        line = document.locate(place)
        assert 1 <= line <= last
        assert not place or document.locate(place[:-1]) <= line
        assert document.locate((*place, "no such key")) == line


@quietly
@given(value=values, indent=st.none() | st.integers(0, 3))
def test_json_is_read_like_the_standard_library(value: Any, indent: int | None) -> None:
    """JSON of any layout has the standard library's values, each with a line inside the text."""
    text = json.dumps(value, indent=indent)
    found = list(read_json(text))
    assert [document.data for document in found] == documents_of(spelt(value))
    for document in found:
        check_lines(document, text.count("\n") + 1)


@quietly
@given(value=st.dictionaries(texts, values, max_size=4), flow=st.booleans())
def test_yaml_is_read_as_it_was_written(value: dict[str, Any], flow: bool) -> None:
    """A document that PyYAML writes is read with the same structure, and texts stay texts."""
    text = yaml.safe_dump(value, default_flow_style=flow, allow_unicode=True)
    [document] = read_yaml(text)
    plain = yaml.load(text, yaml.BaseLoader)  # noqa: S506  # makes texts of every scalar
    assert names_and_shape(document.data) == names_and_shape(plain)
    check_lines(document, len(text.splitlines()) + 1)


def names_and_shape(value: Any) -> Any:
    """Keys, lengths and texts; null is the empty text, as for BaseLoader, or its word."""
    if isinstance(value, dict):
        return {key: names_and_shape(inner) for key, inner in value.items()}
    if isinstance(value, list):
        return [names_and_shape(inner) for inner in value]
    return None if value in {"", "null", "~"} else value


@quietly
@given(text=st.text(st.sampled_from("ab:-[]{},&*!?|>'\"#%@ \n\t~\0\x85"), max_size=60))
def test_any_text_is_read_or_refused_with_a_line(text: str) -> None:
    """Any text is read or refused with an `InvalidValue` whose line lies inside the text."""
    for read in (read_yaml, read_json):
        try:
            for document in read(text):
                check_lines(document, text.count("\n") + text.count("\x85") + 1)
        except InvalidValue as invalid:
            assert 1 <= invalid.line <= text.count("\n") + text.count("\x85") + 2  # noqa: PT017


def load(folder: Path, name: str, content: bytes) -> FileSource:
    """The table of a folder that holds one file."""
    (folder / name).write_bytes(content)
    try:
        return load_hooks(folder, LoadContext(SecretReader({"KEY": "canary"}, ["KEY"])))
    finally:
        (folder / name).unlink()


@quietly
@given(found=st.lists(definitions, max_size=3), name=st.sampled_from(["a.json", "a.yaml"]))
def test_any_definition_is_loaded_or_refused_with_a_line(
    tmp_path: Path, found: list[Any], name: str
) -> None:
    """Any definition becomes a table, or problems that each have a location and a hint."""
    text = json.dumps(found, indent=1) if name == "a.json" else yaml.safe_dump(found)
    try:
        table = load(tmp_path, name, text.encode())
    except ConfigError as error:
        for problem in error.diagnostics:
            assert problem.file in {str(tmp_path / name), str(tmp_path)}
            assert problem.line or problem.message == "holds no hook"
            assert problem.message
            assert problem.hint
            assert "canary" not in str(problem)
    else:
        assert len(table.hooks) == len(found)
        assert "canary" not in repr(table)


@quietly
@given(content=st.binary(max_size=200), name=st.sampled_from(["a.json", "a.yaml"]))
def test_any_bytes_are_loaded_or_refused(tmp_path: Path, content: bytes, name: str) -> None:
    """A file of arbitrary bytes ends in a problem, never in a traceback."""
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, name, content)
    assert caught.value.diagnostics


sections = st.sampled_from([*Settings.model_fields, "other"])
keys = st.sampled_from(
    sorted({key for part in vars(Settings()).values() for key in getattr(part, "__dict__", {})})
)


@quietly
@given(
    file=st.dictionaries(sections, st.dictionaries(keys, values, max_size=3) | values, max_size=4),
    variables=st.dictionaries(st.tuples(sections, keys | texts), texts, max_size=3),
)
def test_any_settings_are_loaded_or_refused(
    tmp_path: Path, file: dict[str, Any], variables: dict[tuple[str, str], str]
) -> None:
    """Every problem of arbitrary settings names a line of the file or a variable."""
    path = tmp_path / "settings.json"
    path.write_text(json.dumps(file))
    environ = {f"HOOKSTREAM_{section}__{key}".upper(): v for (section, key), v in variables.items()}
    try:
        loaded = load_settings(path, environ)
    except ConfigError as error:
        for problem in error.diagnostics:
            assert problem.file in environ or (problem.file == str(path) and problem.line)
            assert problem.hint
    else:
        assert isinstance(loaded, Settings)


@quietly
@given(milliseconds=st.integers(0, 10**10))
def test_durations_survive_the_round_trip(milliseconds: int) -> None:
    """A duration that hookstream writes is read back as the same."""
    text = format_duration(milliseconds / 1000)
    assert parse_duration(text) == milliseconds / 1000
    assert format_duration(parse_duration(text)) == text


names = st.from_regex(r"[A-Za-z0-9_]{1,5}(\.[A-Za-z0-9_]{1,3})?", fullmatch=True)
literals = st.text(st.sampled_from("abcXYZ019-_~!$&'()*+,;=:@/%"), max_size=8).map(
    lambda text: text.replace("%", "%2F")
)


@quietly
@given(parts=st.lists(st.tuples(literals, names), max_size=5), end=literals)
def test_templates_equal_the_reference_library(parts: list[tuple[str, str]], end: str) -> None:
    """URI templates have the variable names and the RFC 6570 level 1 expansion of the reference
    library.
    """
    target = "/" + "".join(f"{literal}{{{name}}}" for literal, name in parts) + end
    template = parse_template(f"https://x.example{target}")
    reference = URITemplate(target)
    assert list(dict.fromkeys(template.names)) == list(reference.variable_names)
    values: dict[str, Any] = {name: f"v{index}" for index, name in enumerate(template.names)}
    expanded = "".join(
        values[part] if index % 2 else part for index, part in enumerate(template.parts)
    )
    assert expanded == reference.expand(values)


@quietly
@given(uri=st.text(st.sampled_from("https:/{}[]@#?%\\.ab0x1 \n"), max_size=30) | texts)
def test_a_uri_is_refused_or_safe(uri: str) -> None:
    """An accepted URI is ASCII, names one host only, and reads the same again."""
    for candidate in (uri, f"https://{uri}", f"https://x.example/{uri}"):
        try:
            template = parse_template(candidate)
        except InvalidValue:
            continue
        literal = "".join(template.parts[::2])
        whole = template.origin + "{x}".join(template.parts[::2])
        assert whole.isascii()
        assert literal.startswith("/")
        assert not set('\\ #{}"<>\n\r\t') & set(literal)
        assert "@" not in template.origin
        assert parse_template(whole).origin == template.origin
        assert parse_template(whole).parts[::2] == template.parts[::2]


@quietly
@given(host=st.from_regex(r"[a-zA-Z0-9\-._ßüİ。]{1,20}", fullmatch=True) | texts)
def test_a_normal_host_stays_as_it_is(host: str) -> None:
    """Normalising a host twice gives the same as normalising it once."""
    try:
        normal = normalise_host(host)
    except InvalidValue:
        return
    assert normalise_host(normal) == normal
    assert normal.isascii()
    assert normal == normal.lower()


@quietly
@given(text=texts)
def test_text_without_a_dollar_brace_is_left_alone(text: str) -> None:
    """Text without `${` is left unchanged, and a doubled dollar writes a literal one."""
    plain = text.replace("${", "")
    assert expand(plain, lambda _kind, _name: "!") == plain
    doubled = text.replace("$", "").replace("{", "$${")
    assert expand(doubled, lambda _kind, _name: "!") == text.replace("$", "").replace("{", "${")


def test_the_definitions_above_cover_every_field() -> None:
    """The generated definitions cover every field, so that a new one is tested with odd values
    too.
    """
    fields = {"id", "trigger", "uri", "uri_parameters", "headers", "parameters", "select", "when"}
    fields |= {"rate_limit", "retry_on", "signing_secrets", "timeout", "enabled", "method", "owner"}
    fields.add("order")
    assert set(Definition.model_fields) == fields | {"name", "app"}
