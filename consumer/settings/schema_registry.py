"""Where the schemas of records are, and what a format needs."""

from collections.abc import Mapping
from importlib.util import find_spec
from typing import Annotated, Self

from pydantic import model_validator

from consumer.errors import InvalidValue
from consumer.events.formats.format import FormatName
from consumer.settings.fields import (
    EMPTY_IS_NONE,
    AuthoritiesFile,
    NonEmpty,
    Password,
    RegistryUrl,
)
from consumer.settings.section import Section

LIBRARIES: Mapping[str, str] = {"avro": "fastavro", "protobuf": "google.protobuf"}
"""By format and extra, the module that it needs; `auto` needs both if there is a registry."""


class SchemaRegistrySettings(Section):
    """The registry of the schemas of records, with Confluent's API."""

    url: Annotated[RegistryUrl | None, EMPTY_IS_NONE] = None
    username: NonEmpty | None = None
    password: Password | None = None
    ca_file: AuthoritiesFile | None = None

    @model_validator(mode="after")
    def _credentials_are_whole(self) -> Self:
        for name, other in (("username", "password"), ("password", "username")):
            if getattr(self, name) is None and getattr(self, other) is not None:
                raise InvalidValue(f"is missing, but {other} is there", "add it", path=(name,))
        return self


def require_format(
    name: FormatName, registry: SchemaRegistrySettings, path: tuple[str | int, ...]
) -> None:
    """Raise `InvalidValue`, at `path`, for a format whose registry or library is not there."""
    if name in LIBRARIES and registry.url is None:
        raise InvalidValue(
            f"is {name}, whose schemas are in a registry, and none is named",
            "set schema_registry.url",
            path=path,
        )
    for extra, library in LIBRARIES.items():
        if name in {extra, "auto"} and registry.url and find_spec(library) is None:
            raise InvalidValue(
                f"is {name}, which needs {library}, and it is not installed",
                f"pip install 'hookstream[{extra}]'",
                path=path,
            )
