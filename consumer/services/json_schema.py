"""JSON Schemas (2020-12) of hook definitions and settings, made from the models that validate them.

A schema describes the form of a document. `hookstream check` also checks that secrets exist, ids
are unique and URI variables have labels.
"""

from typing import Any

from pydantic import BaseModel

from consumer.documents.durations import format_duration
from consumer.hooks.definition import Definition
from consumer.settings import Settings

_DIALECT = "https://json-schema.org/draft/2020-12/schema"


def hook_schema() -> dict[str, Any]:
    """The schema of one hook definition."""
    return schema_of(Definition, "A hook definition of hookstream")


def settings_schema() -> dict[str, Any]:
    """The schema of the settings file."""
    found = schema_of(Settings, "Settings of hookstream")
    for section in found["$defs"].values():
        for field in section["properties"].values():
            choices = field.get("anyOf", ())
            if any(choice.get("type") == "array" for choice in choices):
                choices.append({"type": "string"})  # comma-separated, as in the environment
    return found


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of documents that `model` validates, in their written form."""
    found = model.model_json_schema()
    definitions = found.pop("$defs", {})
    for part in (found, *definitions.values()):
        part.pop("title", None)
        part.pop("description", None)  # the docstring, which is for developers
        required = part.get("required", ())
        for name, field in part.get("properties", {}).items():
            part["properties"][name] = _as_written(field, required=name in required)
    return {"$schema": _DIALECT, "title": title, **found, "$defs": definitions}


def _as_written(field: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """The schema of a field in its written form: it may be null, and a float is a duration."""
    field.pop("title", None)
    default = _written(field.pop("default", None))
    if "minLength" in field and field.get("type") == "array":
        field["minItems"] = field.pop("minLength")  # pydantic's name for any length
    if required:
        return field
    choices = field["anyOf"] if field.keys() == {"anyOf"} else [field]
    nullable = choices if {"type": "null"} in choices else [*choices, {"type": "null"}]
    return {"anyOf": nullable} | ({} if default is None else {"default": default})


def _written(default: Any) -> Any:
    """A default in its written form; None if there is none to show. All floats are durations."""
    if isinstance(default, dict) or default == []:
        return None
    if isinstance(default, list):
        items = [_written(item) for item in default]
        return None if None in items else items
    return format_duration(default) if isinstance(default, float) else default
