"""The OpenAPI 3.1 document, made of the routes and models that serve."""

from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from consumer import __version__
from consumer.panel.problems import CONTENT_TYPE, ProblemDetails
from consumer.panel.routes import Route
from consumer.panel.transfer import NDJSON
from consumer.services.json_schema import hook_schema

_JSON: Final = "application/json"
_REF: Final = "#/components/schemas/"
_DEFINITION: Final = "Definition"
_ALWAYS: Final = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.MISDIRECTED_REQUEST,
    HTTPStatus.UNPROCESSABLE_ENTITY,
    HTTPStatus.TOO_MANY_REQUESTS,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
"""Errors that every route may answer with."""
_OF_BODIES: Final = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)


def openapi_document(routes: Iterable[Route]) -> dict[str, Any]:
    """The document of these routes."""
    known = list(routes)
    paths: dict[str, dict[str, Any]] = {}
    for route in known:
        paths.setdefault(route.url, {})[route.method.lower()] = _operation(route)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "hookstream",
            "version": __version__,
            "description": "Webhooks of one installation: definitions, tests and what happened.",
        },
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": _schemas(known),
            "securitySchemes": {
                "token": {"type": "http", "scheme": "bearer"},
                "session": {"type": "apiKey", "in": "cookie", "name": "hookstream_panel"},
            },
        },
    }


def _operation(route: Route) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(route),
        "summary": route.summary,
        "parameters": [*_path_parameters(route), *_query_parameters(route), *_headers(route)],
        "responses": {**_answers(route), **_errors(route)},
        "security": [] if route.role is None else [{"token": []}, {"session": []}],
    }
    if route.role is not None:
        operation["description"] = f"For the role `{route.role}` and those above it."
    if route.body is not None:
        name = _DEFINITION if route.body == "definition" else route.body.__name__
        operation["requestBody"] = {"required": True, "content": _content(_JSON, name)}
    return operation


def _operation_id(route: Route) -> str:
    words = route.path.replace("{", " ").replace("}", " ").replace("/", " ").replace(":", " ")
    return "_".join([route.method.lower(), *words.replace("-", " ").replace(".", " ").split()])


def _path_parameters(route: Route) -> list[dict[str, Any]]:
    return [
        {
            "name": name,
            "in": "path",
            "required": True,
            "description": description,
            "schema": {"type": "string", "pattern": f"^{pattern}$"},
        }
        for name, pattern, description in route.parameters
    ]


def _query_parameters(route: Route) -> list[dict[str, Any]]:
    if route.query is None:
        return []
    schema = route.query.model_json_schema(ref_template=f"{_REF}{{model}}")
    needed = schema.get("required", ())
    return [
        {
            "name": name,
            "in": "query",
            "required": name in needed,
            "schema": _without_null(field),
            **({"description": field["description"]} if "description" in field else {}),
        }
        for name, field in schema.get("properties", {}).items()
    ]


def _without_null(field: Mapping[str, Any]) -> dict[str, Any]:
    """The schema of a parameter, which is there or not, but never null."""
    bare = {key: value for key, value in field.items() if key not in {"title", "description"}}
    choices = [one for one in bare.pop("anyOf", ()) if one != {"type": "null"}]
    if bare.get("default", "") is None:
        del bare["default"]
    return bare | choices[0] if choices else bare


def _headers(route: Route) -> list[dict[str, Any]]:
    if route.if_match is None:
        return []
    return [
        {
            "name": "If-Match",
            "in": "header",
            "required": route.if_match == "required",
            "description": "The ETag that was seen: the revision in quotes.",
            "schema": {"type": "string", "pattern": r'^("(0|[1-9][0-9]{0,17})"|\*)$'},
        }
    ]


def _answers(route: Route) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for status, model in route.answers.items():
        answer: dict[str, Any] = {"description": status.phrase}
        if model is not None:
            answer["content"] = _content(_JSON, model.__name__)
        if route.line is not None:
            answer["content"] |= _content(NDJSON, route.line.__name__)
        if route.has_etag:
            schema = {"type": "string"}
            answer["headers"] = {"ETag": {"description": "The revision.", "schema": schema}}
        found[str(int(status))] = answer
    return found


def _errors(route: Route) -> dict[str, Any]:
    fails = {*_ALWAYS, *route.fails}
    if route.role is not None:
        fails.add(HTTPStatus.UNAUTHORIZED)
    if route.body is not None:
        fails.update(_OF_BODIES)
    return {
        str(int(status)): {
            "description": status.phrase,
            "content": _content(CONTENT_TYPE, ProblemDetails.__name__),
        }
        for status in sorted(fails)
    }


def _content(kind: str, name: str) -> dict[str, Any]:
    return {kind: {"schema": {"$ref": f"{_REF}{name}"}}}


def _schemas(routes: Iterable[Route]) -> dict[str, Any]:
    taken: set[type[BaseModel]] = set()
    given: set[type[BaseModel]] = {ProblemDetails}
    for route in routes:
        taken |= {model for model in (route.query,) if model is not None}
        if route.body is not None and route.body != "definition":
            taken.add(route.body)
        given |= {model for model in (*route.answers.values(), route.line) if model is not None}
    modes = [(model, "validation") for model in _sorted(taken)]
    modes += [(model, "serialization") for model in _sorted(given)]
    _, found = models_json_schema(modes, ref_template=f"{_REF}{{model}}")  # type: ignore[arg-type]
    return {**found["$defs"], **_definition_schemas()}


def _sorted(models: Iterable[type[BaseModel]]) -> list[type[BaseModel]]:
    return sorted(models, key=lambda model: model.__name__)


def _definition_schemas() -> dict[str, Any]:
    """The schema of a definition, its parts beside it under names of their own."""
    schema = hook_schema()
    schema.pop("$schema")
    parts = schema.pop("$defs")
    named = {_DEFINITION: schema, **{f"{_DEFINITION}{name}": part for name, part in parts.items()}}
    moved: dict[str, Any] = _moved(named)
    return moved


def _moved(value: Any) -> Any:
    """A schema whose references lead to the components."""
    if isinstance(value, dict):
        return {
            key: item.replace("#/$defs/", f"{_REF}{_DEFINITION}")
            if key == "$ref" and isinstance(item, str)
            else _moved(item)
            for key, item in value.items()
        }
    return [_moved(item) for item in value] if isinstance(value, list) else value
