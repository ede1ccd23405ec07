"""The reference pages say what the code does: each table is compared with what it describes."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any, get_args

import pytest
import typer
from prometheus_client import CollectorRegistry
from pydantic import BaseModel

from consumer import __main__ as entry
from consumer.cli.commands import commands
from consumer.clock import SystemClock
from consumer.documents.durations import format_duration
from consumer.events.triggers import TRIGGERS
from consumer.hooks.definition import Definition, HeaderEntry
from consumer.hooks.load_context import LoadContext
from consumer.hooks.secrets import SecretReader
from consumer.hooks.value_sources import Source
from consumer.metrics import Metrics
from consumer.panel.panel import Panel
from consumer.reasons import Reason
from consumer.records.headers import OWN_HEADERS
from consumer.reload import FIXED_SECTIONS, FIXED_SETTINGS
from consumer.settings import Settings
from consumer.settings.model import DEFAULT_SOURCES, FieldPaths, SourceSettings, TransportName
from support.filled_metrics import fill_stream
from support.project import ROOT

PAGES = ROOT / "docs" / "reference"


def rows(page: str, heading: str = "") -> Iterator[list[str]]:
    """The cells of every table row of a page, or of its section under `heading`."""
    text = (PAGES / page).read_text()
    if heading:
        text = re.split(rf"^## {re.escape(heading)}$", text, flags=re.MULTILINE)[1]
        text = re.split(r"^## ", text, flags=re.MULTILINE)[0]
    for line in text.splitlines():
        if line.startswith("| ") and not line.startswith("| ---"):
            yield [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip("|"))]


def names(page: str, heading: str = "") -> list[str]:
    """What stands in backticks in the first cells, in order."""
    return [name for row in rows(page, heading) for name in re.findall(r"`([^`]+)`", row[0])]


def _section(annotation: Any) -> type[BaseModel] | None:
    """The model of a section; None for a setting, and for what is written as one mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    return None


def _written(default: Any, annotation: Any) -> str:
    """A default as people write it."""
    if default is None or default == ():
        return "none"
    if isinstance(default, bool):
        return str(default).lower()
    if isinstance(default, tuple):
        return ", ".join(_written(item, annotation) for item in default)
    if isinstance(default, float):
        return format_duration(default)
    return str(default)


def settings_in_code() -> dict[str, str]:
    """By dotted name, the default of every setting."""
    found = {}
    for section, field in Settings.model_fields.items():
        model = _section(field.annotation)
        if model is None:
            continue  # `sources`, a list of its own
        for key, inner in model.model_fields.items():
            found[f"{section}.{key}"] = _written(inner.default, inner.annotation)
    for key, inner in SourceSettings.model_fields.items():
        needed = inner.is_required()
        found[f"sources[].{key}"] = "needed" if needed else _written(inner.default, None)
    return found


def test_settings_page_lists_every_setting_with_its_default() -> None:
    """Every setting of the models is on the page with its default, and no other."""
    page = {
        row[0].strip("`"): row[1].replace("`", "")
        for row in rows("settings.md")
        if re.fullmatch(r"`[a-z_]+(\[\])?\.[a-z_]+`", row[0])
    }
    code = settings_in_code()
    code["hooks.path"] = "hooks beside the settings file"
    code["sources[].fields"] = "none"
    code["delivery_log.successes"] = "0.01"  # these two numbers are no times
    code["tracing.sample"] = "0"
    assert page == code


def test_settings_page_says_what_a_reload_takes() -> None:
    """A setting has "restart" in its reload column exactly if a reload with a change of it is
    refused.
    """
    column = {
        row[0].strip("`"): row[2]
        for row in rows("settings.md")
        if re.fullmatch(r"`[a-z_]+(\[\])?\.[a-z_]+`", row[0])
    }
    fixed = {
        name
        for name in column
        if name.partition(".")[0].removesuffix("[]") in FIXED_SECTIONS
        or tuple(name.split(".")) in FIXED_SETTINGS
    }
    assert {name for name, reload in column.items() if reload == "restart"} == fixed
    assert {name for name, reload in column.items() if reload == "yes"} == set(column) - fixed


def test_hooks_page_lists_every_field() -> None:
    """Every field of a definition and of its entries is on the page, and no other."""
    assert names("hooks.md", "Fields") == list(Definition.model_fields)
    assert set(names("hooks.md", "Entries of headers and parameters")) == set(
        HeaderEntry.model_fields
    )


def test_hooks_page_lists_every_source() -> None:
    """The page says what each source of a value is, and names no other."""
    (row,) = (row for row in rows("hooks.md") if row[0] == "`source`")
    assert re.findall(r"`(\w+)`:", row[1]) == list(get_args(Source))


def test_settings_page_lists_every_transport() -> None:
    """The page names each value that `delivery.transport` may have."""
    (row,) = (row for row in rows("settings.md") if row[0] == "`delivery.transport`")
    assert re.findall(r"`(\w+)`", row[3]) == list(get_args(TransportName))


def test_metrics_page_lists_every_metric() -> None:
    """Every metric is on the page with its type and labels, and no other."""
    metrics = Metrics("0", CollectorRegistry())
    metrics.events("event")
    hook = metrics.hook("h")
    hook.delivered()
    hook.attempt("2xx", 0.1)
    hook.latency(0.1)
    fill_stream(metrics)
    code = {}
    for family in metrics.collect():
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = {label for sample in family.samples for label in sample.labels} - {"le"}
        code[name] = (family.type, labels)
    page = {
        row[0].strip("`"): (row[1], set(re.findall(r"`([^`]+)`", row[2])))
        for row in rows("metrics.md")
        if row[0].startswith("`")
    }
    assert page == code


def test_records_page_lists_every_reason() -> None:
    """Every reason of a dead letter is on the page, and no other."""
    assert names("records.md", "Reasons") == list(Reason)


def test_records_page_lists_every_header() -> None:
    """Every header that hookstream adds to a record is on the page once, and no other."""
    assert sorted(names("records.md", "Records on them")) == sorted(OWN_HEADERS)


def test_events_page_lists_every_trigger_and_mapped_name() -> None:
    """Every trigger with its default topic, and every name that can be mapped, is on the page."""
    table = {row[0].strip("`"): row[1].strip("`") for row in rows("events.md")}
    assert {trigger: table[trigger] for trigger in TRIGGERS} == {
        source.trigger: source.topic for source in DEFAULT_SOURCES
    }
    text = (PAGES / "events.md").read_text()
    mapped = text.split("The names that can be mapped are ")[1].split(".\n")[0]
    assert re.findall(r"`([^`]+)`", mapped) == list(FieldPaths.model_fields)


def _command_names(group: typer.Typer, prefix: str = "") -> Iterator[str]:
    for command in group.registered_commands:
        callback = command.callback
        assert callback is not None
        yield prefix + (command.name or callback.__name__.replace("_", "-"))
    for sub in group.registered_groups:
        assert sub.typer_instance is not None
        name = sub.name or sub.typer_instance.info.name
        own = sub.typer_instance.registered_callback
        if own is not None and own.invoke_without_command is True:  # a command with commands
            yield f"{prefix}{name}"
        yield from _command_names(sub.typer_instance, f"{prefix}{name} ")


def test_command_page_lists_every_command_and_exit_code() -> None:
    """Every command, and the exit codes of the entry point, are on the page."""
    page = {
        re.sub(r" [-A-Z\[].*", "", name).removeprefix("hookstream ")
        for name in names("command-line.md")
        if name.startswith("hookstream ")
    }
    assert page == set(_command_names(commands))
    codes = {row[0] for row in rows("command-line.md", "Exit codes")} - {"code"}
    assert {str(entry.RUN_TIME_FAILURE), str(entry.USAGE_ERROR)} < codes


async def test_api_page_lists_every_route_and_its_role() -> None:
    """Every route of the API is on the page with the least role that may use it, and no other."""
    panel = Panel(Settings(), lambda: LoadContext(SecretReader({}, ())), SystemClock())
    page = {row[0].strip("`"): row[1] for row in rows("api.md", "Routes") if "`" in row[0]}
    assert page == {route.name: route.role or "all" for route in panel.routes.all}


def test_pages_link_to_what_exists() -> None:
    """Every relative link of the documents leads to a file, and its anchor to a heading."""
    for page in sorted((ROOT / "docs").rglob("*.md")):
        for target, anchor in re.findall(r"\]\(([^)#:\s]*)(#[^)\s]+)?\)", page.read_text()):
            file = (page.parent / target) if target else page
            assert file.exists(), f"{page.name}: {target}"
            if anchor and file.suffix == ".md":
                assert anchor[1:] in _anchors(file), f"{page.name}: {target}{anchor}"


@pytest.mark.parametrize("folder", ["consumer", "tests", "benchmarks", "deploy"])
def test_code_names_pages_that_exist(folder: str) -> None:
    """Every page that a comment or docstring names is in docs/, and has the heading that it names;
    none speaks of a section by number of a page that is not part of this project.
    """
    for file in sorted((ROOT / folder).rglob("*.py")):
        text = file.read_text()
        for name, anchor in re.findall(r"\b(docs/[\w/-]+\.md)(#[\w-]+)?", text):
            assert (ROOT / name).exists(), f"{file}: {name}"
            assert not anchor or anchor[1:] in _anchors(ROOT / name), f"{file}: {name}{anchor}"
        numbered = r"contract,? sections? \d|section \d+ of the (contract|design)"
        found = re.search(numbered, text, flags=re.IGNORECASE)
        assert found is None, f"{file}: {found}"


def _anchors(page: Path) -> set[str]:
    headings = re.findall(r"^#+ (.+)$", page.read_text(), flags=re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
