"""Any format: a record's headers and first byte tell which."""

from typing import Any

from consumer.events.formats.cloudevents import (
    ATTRIBUTE_PREFIX,
    CONTENT_TYPE,
    MEDIA_TYPE,
    cloud_event,
    essence,
)
from consumer.events.formats.json import parse_json
from consumer.events.formats.schemas import Schemas
from consumer.events.formats.wire import GUID_MAGIC, ID_HEADER, ID_MAGIC, RegisteredFormat
from consumer.records.record import Headers

_MAGIC = (ID_MAGIC, GUID_MAGIC)
"""No JSON begins with one of these bytes."""


class AutoFormat:
    """A CloudEvent by its headers, a value with a schema's id by that, else JSON."""

    def __init__(self, schemas: Schemas) -> None:
        self._registered = RegisteredFormat(schemas, None)

    def __call__(self, value: bytes | None, headers: Headers) -> dict[str, Any]:
        """See `Format`. Raises `SchemaWantedError` too."""
        for name, header in headers:
            if name == ID_HEADER:
                return self._registered(value, headers)
            if _is_cloud_event(name.lower(), header):
                return cloud_event(value, headers)
        if value and value[0] in _MAGIC:
            return self._registered(value, ())
        return parse_json(value)


def _is_cloud_event(name: str, header: bytes | None) -> bool:
    if name == CONTENT_TYPE and header is not None:
        return essence(header.decode(errors="replace")).startswith(MEDIA_TYPE)
    return name == f"{ATTRIBUTE_PREFIX}specversion"
