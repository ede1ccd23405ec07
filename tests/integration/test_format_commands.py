"""Event files in other formats than JSON, and what `check` says of formats."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from consumer.settings import schema_registry as settings_module
from support.command import call_command, environment, run_command, write_config
from support.project import ROOT
from support.schema_registry import SchemaRegistryDouble, schema_registry

HOOK = {
    "id": "paid", "trigger": "event", "uri": "https://receiver.example/x",
    "when": {"data.price": {"at_least": 10}},
}  # fmt: skip
PAGE = (ROOT / "docs/reference/events.md").read_text()


@pytest.fixture
def registry() -> Iterator[SchemaRegistryDouble]:
    """A registry that listens."""
    with schema_registry() as double:
        yield double


def _example(heading: str, language: str) -> str:
    """The first code block of a section of the page."""
    section = PAGE.split(f"\n### {heading}\n")[1]
    found = re.search(rf"```{language}\n(.*?)```", section, re.DOTALL)
    assert found is not None
    return found[1]


def _write(folder: Path, format: str, registry: SchemaRegistryDouble, **fields: str) -> None:
    source = {"topic": "t", "trigger": "event", "format": format, "fields": fields}
    write_config(folder, HOOK, sources=[source], schema_registry={"url": registry.url})


def _explain(folder: Path, value: bytes) -> Any:
    (folder / "event").write_bytes(value)
    return call_command("explain", "--event", "event", folder=folder)


def test_the_page_s_avro_example(registry: SchemaRegistryDouble, tmp_path: Path) -> None:
    """A file with an Avro record of the schema in the reference is explained, sampled, and tested
    by conditions as the event in JSON is; its schema comes from the registry.
    """
    schema = _example("Avro", "json")
    _write(tmp_path, "avro", registry)
    number = registry.add("t-value", schema)
    head = b"\0" + number.to_bytes(4, "big") + b"\x04e1" + b"\xf6\x93\xbd\xae\xc1\x68" + b"\x04u1"
    for price, fires in ((b"\x04\x04\xe2", True), (b"\x02\x64", False)):
        done = _explain(tmp_path, head + b"\x02k" + price)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout)["fires"] == fires
    done = call_command("sample", "paid", "--event", "event", folder=tmp_path)
    assert done.returncode == 1
    assert "data.price" in done.stderr


def test_the_page_s_cloudevent(registry: SchemaRegistryDouble, tmp_path: Path) -> None:
    """The CloudEvent of the reference is explained as its source reads it."""
    _write(tmp_path, "cloudevents", registry)
    done = _explain(tmp_path, _example("CloudEvents", "json").encode())
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout)["fires"]


def test_a_registry_that_does_not_help(registry: SchemaRegistryDouble, tmp_path: Path) -> None:
    """A file whose schema the registry does not have, or that it does not give, is told in one
    sentence.
    """
    _write(tmp_path, "auto", registry)
    done = _explain(tmp_path, b"\0\0\0\0\x63\x00")
    assert done.returncode == 2
    assert "schema 99 is not in the registry" in " ".join(done.stderr.split())
    registry.status = 503
    done = _explain(tmp_path, b"\0\0\0\0\x63\x00")
    assert (done.returncode, done.stderr.strip()) == (1, "error: the schema registry answers 503")


@pytest.mark.parametrize("format", ["avro", "protobuf", "auto"])
def test_check_names_what_a_format_lacks(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`check` refuses a format without its registry or its library, and says how to get it."""
    write_config(tmp_path, HOOK, sources=[{"topic": "t", "trigger": "event", "format": format}])
    done = call_command("check", folder=tmp_path)
    if format == "auto":  # of records with schemas it says so when they come
        assert done.returncode == 0
    else:
        assert done.returncode == 2
        assert "(set schema_registry.url)" in done.stderr
    monkeypatch.setattr(settings_module, "find_spec", lambda _name: None)
    environ = {"HOOKSTREAM_SCHEMA_REGISTRY__URL": "http://127.0.0.1:1"}
    done = call_command("check", folder=tmp_path, environ=environ)
    wanted = "avro" if format == "auto" else format
    assert done.returncode == 2
    assert f"pip install 'hookstream[{wanted}]'" in done.stderr


def test_without_the_libraries_of_other_formats(tmp_path: Path) -> None:
    """The daemon's modules and commands do not import the libraries of Avro and Protobuf, nor the
    registry's client, as long as no source needs them.
    """
    (tmp_path / "sitecustomize.py").write_text(
        "import sys\n"
        "for name in ('fastavro', 'google.protobuf', 'consumer.registry.client'):\n"
        "    sys.modules[name] = None\n"
    )
    write_config(tmp_path, HOOK)
    (tmp_path / "event.json").write_text('{"id": "e1", "data": {"event_key": "k", "price": 10}}')
    environ = {"PYTHONPATH": f"{tmp_path}:{ROOT}"}
    for command in (("check",), ("explain", "--event", "event.json")):
        done = run_command(*command, folder=tmp_path, environ=environ)
        assert done.returncode == 0, done.stderr
    modules = "consumer.app, consumer.services.events, consumer.panel.server"
    subprocess.run(
        [sys.executable, "-c", f"import {modules}"], env=environment(environ), check=True
    )


def test_an_event_as_the_panel_shows_it(registry: SchemaRegistryDouble, tmp_path: Path) -> None:
    """For a source in another format a file may hold the event as JSON."""
    _write(tmp_path, "protobuf", registry, subject="data.kind")
    done = _explain(tmp_path, b'{"id": "e1", "data": {"kind": "k", "event_key": "k", "price": 10}}')
    assert (done.returncode, registry.asked) == (0, []), done.stderr
