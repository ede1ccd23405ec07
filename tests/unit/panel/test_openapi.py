"""The OpenAPI document, judged by a validator that is not ours."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator
from openapi_spec_validator import OpenAPIV31SpecValidator

from consumer.clock import SystemClock
from consumer.configuration import read_settings
from consumer.panel.panel import Panel
from consumer.panel.routes import Route
from support.command import CLICK, write_config


@pytest.fixture
async def panel(tmp_path: Path) -> Panel:
    """A panel that does not serve."""
    await asyncio.sleep(0)
    write_config(tmp_path)
    return Panel(*read_settings(tmp_path / "config" / "hookstream.yaml"), SystemClock())


def _operation(panel: Panel, route: Route) -> dict[str, Any]:
    found: dict[str, Any] = panel.document["paths"][route.url][route.method.lower()]
    return found


def test_the_document_is_valid(panel: Panel) -> None:
    """The document is OpenAPI 3.1, says the community's validator."""
    assert panel.document["openapi"] == "3.1.0"
    assert list(OpenAPIV31SpecValidator(panel.document).iter_errors()) == []


def test_it_has_every_route_once(panel: Panel) -> None:
    """Each route is in the document with its parameters, its body and its errors, and no other."""
    operations = [(path, method) for path, its in panel.document["paths"].items() for method in its]
    assert sorted(operations) == sorted(
        (route.url, route.method.lower()) for route in panel.routes.all
    )
    names = [_operation(panel, route)["operationId"] for route in panel.routes.all]
    assert len(set(names)) == len(names)
    for route in panel.routes.all:
        operation = _operation(panel, route)
        given = {one["name"] for one in operation["parameters"] if one["in"] == "query"}
        assert given == (set(route.query.model_fields) if route.query is not None else set())
        assert ("requestBody" in operation) == (route.body is not None)
        answers = {int(status) for status in operation["responses"]}
        assert {*map(int, route.answers), *map(int, route.fails), 503} <= answers
        assert (401 in answers) or route.role is None


def test_a_definition_fits_its_schema(panel: Panel) -> None:
    """The document's schema of a definition takes a hook with every kind of entry, and refuses one
    without a URI.
    """
    components = panel.document["components"]
    schema = {"$ref": "#/components/schemas/Definition", "components": components}
    validator = Draft202012Validator(schema)
    assert validator.is_valid(CLICK)
    assert not validator.is_valid({**CLICK, "uri": None})
