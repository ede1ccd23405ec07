"""CloudEvents 1.0 in JSON, in the structured and the binary mode of their Kafka binding.

https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/bindings/kafka-protocol-binding.md and
.../formats/json-format.md. docs/reference/events.md says what becomes of the parts.
"""

from typing import Any, Final

from consumer.events.formats.format import checked
from consumer.events.formats.json import parse_any_json, parse_json
from consumer.records.record import Headers, UndecodableError

CONTENT_TYPE: Final = "content-type"
"""The header's name; some producers write it with capitals."""
ATTRIBUTE_PREFIX: Final = "ce_"
MEDIA_TYPE: Final = "application/cloudevents"
_BATCH: Final = "application/cloudevents-batch"
_STRUCTURED: Final = ("application/cloudevents+json", "application/cloudevents")
_VERSION: Final = "1.0"
_REQUIRED: Final = ("id", "source", "type")
"""Non-empty strings (spec, "REQUIRED Attributes"), beside the version."""


def cloud_event(value: bytes | None, headers: Headers) -> dict[str, Any]:
    """The tree of a CloudEvent: the members of its `data`, with `id` and `occurred_at` of its
    attributes, and below `cloudevent` the attributes and `data` as they are.

    Raises:
        UndecodableError: it is none, or its data is no JSON object.
    """
    texts = _texts(headers)
    content_type = texts.get(CONTENT_TYPE, "")
    media_type = essence(content_type)
    if media_type.startswith(MEDIA_TYPE):
        return _structured(value, media_type)
    if any(name.startswith(ATTRIBUTE_PREFIX) for name in texts):
        return _binary(value, texts, content_type)
    return _structured(value, MEDIA_TYPE)


def essence(content_type: str) -> str:
    """A media type in lower case, without its parameters."""
    return content_type.partition(";")[0].strip().lower()


def _structured(value: bytes | None, media_type: str) -> dict[str, Any]:
    if media_type.startswith(_BATCH):
        raise UndecodableError("a batch of CloudEvents: write each as a record of its own")
    if media_type not in _STRUCTURED:
        raise UndecodableError("a CloudEvent in another event format than JSON")
    attributes = parse_json(value)
    if "data_base64" in attributes:
        raise UndecodableError("the CloudEvent has data_base64: write its data as a JSON object")
    data = attributes.pop("data", None)
    if None in attributes.values():
        attributes = {name: each for name, each in attributes.items() if each is not None}
    content_type = attributes.get("datacontenttype", "")
    if type(content_type) is not str:
        raise UndecodableError("the CloudEvent's datacontenttype is no text")
    _check_content_type(content_type)
    return _tree(attributes, data)


def _binary(value: bytes | None, texts: dict[str, str], content_type: str) -> dict[str, Any]:
    start = len(ATTRIBUTE_PREFIX)
    attributes: dict[str, Any] = {
        name[start:]: text for name, text in texts.items() if name.startswith(ATTRIBUTE_PREFIX)
    }
    if content_type:
        attributes["datacontenttype"] = content_type
    _check_content_type(content_type)
    has_data = value is not None and value != b""
    return _tree(attributes, parse_any_json(checked(value)) if has_data else None)


def _tree(attributes: dict[str, Any], data: Any) -> dict[str, Any]:
    if attributes.get("specversion") != _VERSION:
        raise UndecodableError(f"the CloudEvent's specversion is not {_VERSION}")
    for name in _REQUIRED:
        if type(attributes.get(name)) is not str or not attributes[name]:
            raise UndecodableError(f"the CloudEvent has no {name}")
    if data is not None and type(data) is not dict:
        raise UndecodableError("the CloudEvent's data is not a JSON object")
    tree: dict[str, Any] = dict(data) if data is not None else {}
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


def _texts(headers: Headers) -> dict[str, str]:
    """The content type and the attributes in headers, the last of each name, in lower case."""
    texts: dict[str, str] = {}
    for name, value in headers:
        if value is None:
            continue
        small = name.lower()
        if small == CONTENT_TYPE or small.startswith(ATTRIBUTE_PREFIX):
            try:
                texts[small] = value.decode()
            except UnicodeDecodeError:
                raise UndecodableError("a CloudEvent's header is not UTF-8") from None
    return texts
