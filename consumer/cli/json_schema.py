"""JSON Schemas (2020-12) of what people write, made of the models that validate it.

A schema says what a document may look like. Whether secrets exist, ids are unique and a brace has
its label, `hookstream check` says.
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
                choices.append({"type": "string"})  # one text with commas, as in the environment
    return found


def schema_of(model: type[BaseModel], title: str) -> dict[str, Any]:
    """The schema of documents that `model` validates, as people write them."""
    found = model.model_json_schema()
    definitions = found.pop("$defs", {})
    for part in (found, *definitions.values()):
        part.pop("title", None)
        part.pop("description", None)  # a docstring, for developers
        required = part.get("required", ())
        for name, field in part.get("properties", {}).items():
            part["properties"][name] = _as_written(field, required=name in required)
    return {"$schema": _DIALECT, "title": title, **found, "$defs": definitions}


def _as_written(field: dict[str, Any], *, required: bool) -> dict[str, Any]:
    """A member in its file's spelling: null stands for an absent one, a default is a duration."""
    field.pop("title", None)
    default = _written(field.pop("default", None))
    if "minLength" in field and field.get("type") == "array":
        field["minItems"] = field.pop("minLength")  # pydantic's word for a length of any kind
    if required:
        return field
    choices = field["anyOf"] if field.keys() == {"anyOf"} else [field]
    nullable = choices if {"type": "null"} in choices else [*choices, {"type": "null"}]
    return {"anyOf": nullable} | ({} if default is None else {"default": default})


def _written(default: Any) -> Any:
    """A default in its file's spelling; None if there is none to show. Of floats the models have
    only durations.
    """
    if isinstance(default, dict) or default == []:
        return None
    if isinstance(default, list):
        items = [_written(item) for item in default]
        return None if None in items else items
    return format_duration(default) if isinstance(default, float) else default
