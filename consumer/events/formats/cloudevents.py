"""CloudEvents 1.0 in JSON, in the structured and the binary mode of their Kafka binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md and
.../formats/json-format.md. docs/reference/events.md says what becomes of the parts.
"""

from typing import Any, Final

from consumer.events.formats.format import checked
from consumer.events.formats.json import parse_any_json, parse_json
from consumer.records.record import Headers, UndecodableError

CONTENT_TYPE: Final = "content-type"
"""The header's name."""
ATTRIBUTE_PREFIX: Final = "ce_"
MEDIA_TYPE: Final = "application/cloudevents"
_BATCH: Final = "application/cloudevents-batch"
_STRUCTURED: Final = ("application/cloudevents+json", "application/cloudevents")
_VERSION: Final = "1.0"
_REQUIRED: Final = ("id", "source", "type")
"""Non-empty strings (spec, "REQUIRED Attributes"), beside the version."""
_TYPE: Final = "\0type"
_OTHER: Final = "\0other"
"""In place of an attribute: no name of one begins so."""
_MAX_KNOWN: Final = 1_024
_MAX_KNOWN_CHARACTERS: Final = 64
_known_headers: Final[dict[str, str]] = {}
"""What headers are, by their names as they are written: it costs less than to look at each name."""


def cloud_event(value: bytes | None, headers: Headers) -> dict[str, Any]:
    """The tree of a CloudEvent: the members of its `data`, with `id` and `occurred_at` of its
    attributes, and below `cloudevent` the attributes and `data` as they are.

    Raises:
        UndecodableError: it is none, or its data is no JSON object.
    """
    content_type = ""
    attributes: dict[str, Any] = {}
    for name, header in headers:
        if header is None:
            continue
        attribute = _known_headers.get(name) or _attribute(name)
        if attribute == _OTHER:
            continue
        try:
            text = header.decode()
        except UnicodeDecodeError:
            raise UndecodableError("a CloudEvent's header is not UTF-8") from None
        if attribute == _TYPE:
            content_type = text
        else:
            attributes[attribute] = text
    media_type = essence(content_type) if content_type else ""
    if media_type.startswith(MEDIA_TYPE):
        return _structured(value, media_type)
    if attributes:
        return _binary(value, attributes, content_type)
    return _structured(value, MEDIA_TYPE)


def essence(content_type: str) -> str:
    """A media type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _attribute(name: str) -> str:
    """The attribute in a header, `_TYPE` or `_OTHER`; some producers write names with capitals."""
    small, attribute = name.lower(), _OTHER
    if small == CONTENT_TYPE:
        attribute = _TYPE
    elif small.startswith(ATTRIBUTE_PREFIX):
        attribute = small[len(ATTRIBUTE_PREFIX) :]
    if len(_known_headers) < _MAX_KNOWN and len(name) <= _MAX_KNOWN_CHARACTERS:
        _known_headers[name] = attribute
    return attribute


def _structured(value: bytes | None, media_type: str) -> dict[str, Any]:
    if media_type.startswith(_BATCH):
        raise UndecodableError("a batch of CloudEvents: write each as a record of its own")
    if media_type not in _STRUCTURED:
        raise UndecodableError("a CloudEvent in another event format than JSON")
    attributes = parse_json(value)
    if "data_base64" in attributes:
        raise UndecodableError("the CloudEvent has data_base64: write its data as a JSON object")
    data = attributes.pop("data", None)
    for attribute in attributes.values():
        if attribute is None:
            attributes = {name: each for name, each in attributes.items() if each is not None}
            break
    content_type = attributes.get("datacontenttype", "")
    if type(content_type) is not str:
        raise UndecodableError("the CloudEvent's datacontenttype is no text")
    _check_content_type(content_type)
    return _tree(attributes, data)


def _binary(value: bytes | None, attributes: dict[str, Any], content_type: str) -> dict[str, Any]:
    if content_type:
        attributes["datacontenttype"] = content_type
    _check_content_type(content_type)
    has_data = value is not None and value != b""
    return _tree(attributes, parse_any_json(checked(value)) if has_data else None)


def _tree(attributes: dict[str, Any], data: Any) -> dict[str, Any]:
    if attributes.get("specversion") != _VERSION:
        raise UndecodableError(f"the CloudEvent's specversion is not {_VERSION}")
    for name in _REQUIRED:
        attribute = attributes.get(name)
        if not isinstance(attribute, str) or not attribute:
            raise UndecodableError(f"the CloudEvent has no {name}")
    tree: dict[str, Any] = {}
    if isinstance(data, dict):
        tree = data.copy()
    elif data is not None:
        raise UndecodableError("the CloudEvent's data is not a JSON object")
    tree["id"] = attributes["id"]
    if "time" in attributes:
        tree["occurred_at"] = attributes["time"]
    if data is not None:
        attributes["data"] = data
    tree["cloudevent"] = attributes
    return tree


def _check_content_type(content_type: str) -> None:
    """Raise `UndecodableError` for data that is no JSON; without a type it is (json-format.md)."""
    media_type = essence(content_type) if content_type else ""
    if not media_type or media_type.endswith(("/json", "+json")):
        return
    raise UndecodableError("the CloudEvent's data is not JSON: its datacontenttype is another")
