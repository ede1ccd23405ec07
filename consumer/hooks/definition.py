"""A hook definition as its author writes it (docs/reference/hooks.md), checked field by field."""

import base64
import binascii
import re
from dataclasses import replace
from functools import cached_property
from typing import Annotated, Any, Literal, assert_never, cast
from urllib.parse import quote

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationInfo,
    ValidatorFunctionWrapHandler,
    WithJsonSchema,
    WrapValidator,
)

from consumer.documents.durations import duration
from consumer.documents.validation import Scalar
from consumer.errors import InvalidValue
from consumer.events.triggers import Trigger
from consumer.hooks.condition_form import parse_conditions
from consumer.hooks.condition_schema import conditions_schema
from consumer.hooks.conditions import Conditions
from consumer.hooks.load_context import LoadContext
from consumer.hooks.secrets import expand, has_reference
from consumer.hooks.table import (
    MAX_HEADER_VALUE_BYTES,
    Encoding,
    Header,
    Missing,
    Order,
    Parameter,
    Value,
)
from consumer.hooks.template import Template, parse_template
from consumer.hooks.texts import (
    HOOK_ID,
    LineText,
    PlainText,
    is_hook_id,
    plain,
    text_of,
    without_secrets,
)
from consumer.hooks.value_sources import Source
from consumer.settings import RateLimit

# RFC 9110 section 5.6.2.
_TOKEN = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")
# RFC 9110 section 5.5: no control character but the tab, no blank at either end.
_BAD_FIELD_VALUE = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]|^[ \t]|[ \t]\Z")
# Of the message's framing, of the connection (RFC 9110 section 7.6.1), or written by hookstream.
_RESERVED_HEADERS = frozenset(
    {
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate",
        "proxy-authorization", "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
        "user-agent",
    }
)  # fmt: skip
_STATUS = re.compile(r"[1-9][0-9]{2}")
_RETRIABLE = range(300, 600)
_SIGNING_PREFIX = "whsec_"
MAX_HEADERS = 100
"""Headers of one hook; servers commonly accept that many in all."""
MAX_SIGNING_SECRETS = 100
MAX_PARAMETERS = 100
"""Parameters of one hook; each is a value to be read for each request."""


def _hook_id(raw: Any, info: ValidationInfo) -> str:
    _load_context(info).origin = ""  # of the definition before this one
    text = text_of(raw)
    if not is_hook_id(text):
        raise InvalidValue("is not a hook id", "use 1 to 64 of a to z, 0 to 9 and hyphen")
    return text


def _template(raw: Any, info: ValidationInfo) -> Template:
    template = parse_template(text_of(raw))
    _load_context(info).origin = template.origin  # sealed secrets, which come later, ask for it
    return template


def _load_context(info: ValidationInfo) -> LoadContext:
    return cast("LoadContext", info.context)


def _shared(raw: Any, validate: ValidatorFunctionWrapHandler, info: ValidationInfo) -> Any:
    return _load_context(info).intern(info.field_name, raw, validate)


_SHARED = WrapValidator(_shared)


def _value(raw: Any, info: ValidationInfo) -> Value:
    text = text_of(raw)
    source: Source = info.data.get("source", "event")
    missing: Missing = info.data.get("missing") or "omit"
    match source:
        case "fixed":
            return Value(
                source,
                text=expand(text, _load_context(info).read_secret),
                missing=missing,
                secret=has_reference(text),
                reference=text,
            )
        case "event" if not all(text.split(".")) and plain(text):
            raise InvalidValue(
                "is not a dotted path", "write names joined by single dots: data.category"
            )
        case "event" | "profile" | "device":
            path = tuple(plain(text).split("."))
            return Value(source, path=path, missing=missing, reference=text)
        case _:
            assert_never(source)


def _header_name(raw: Any) -> str:
    name = text_of(raw)
    lower = name.lower()
    if not _TOKEN.fullmatch(name):
        raise InvalidValue("is not a header name", "use 1 to 100 letters, digits and hyphens")
    if lower in _RESERVED_HEADERS or lower.startswith("webhook-"):
        raise InvalidValue(
            f"{name} is a header that hookstream or the connection sets", "take this entry out"
        )
    return name


def _header_value(value: Value, info: ValidationInfo) -> Value:
    if _BAD_FIELD_VALUE.search(value.text):  # empty unless fixed
        raise InvalidValue(
            "holds a line end, a control character, or a blank at an end",
            "correct the value, or the secret that it refers to",
        )
    if info.data.get("encode") == "percent":
        value = replace(value, text=quote(value.text, safe=""))
    if len(value.text.encode()) > MAX_HEADER_VALUE_BYTES:
        raise InvalidValue(
            f"is longer than {MAX_HEADER_VALUE_BYTES} bytes",
            "shorten the value, or the secret that it refers to",
        )
    return value


def _no_encoding(_raw: Any) -> None:
    raise InvalidValue(
        "is for headers only", "take it out: values in a URI are percent-encoded as they are"
    )


def _retried_status(raw: Any) -> int:
    text = text_of(raw)
    if not _STATUS.fullmatch(text):
        raise InvalidValue("is not an HTTP status", "write three digits, such as 403")
    status = int(text)
    if status not in _RETRIABLE:
        raise InvalidValue(
            "is no status of a failure", f"write one from {_RETRIABLE[0]} to {_RETRIABLE[-1]}"
        )
    return status


def _signing_key(raw: Any, info: ValidationInfo) -> bytes:
    """The key's bytes. Any length passes, since receivers' libraries take any; the standard
    recommends 24 to 64. Text that they would decode differently (other characters, an empty key)
    is refused: its signatures would never verify.
    """
    text = expand(text_of(raw), _load_context(info).read_secret).removeprefix(_SIGNING_PREFIX)
    try:
        key = base64.b64decode(text + "=" * (-len(text) % 4), validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if not key:
        raise InvalidValue(
            "is not a Standard Webhooks secret",
            "write whsec_ and the key's 24 to 64 bytes in base64",
        )
    return key


_HookId = Annotated[str, Field(pattern=f"^{HOOK_ID}$")]
_HeaderName = Annotated[str, Field(pattern=f"^{_TOKEN.pattern}$")]
_RetriedStatus = Annotated[
    int,
    PlainValidator(
        _retried_status,
        json_schema_input_type=Annotated[int, Field(ge=_RETRIABLE[0], le=_RETRIABLE[-1])],
    ),
]


class Form(BaseModel):
    """A part of a definition: immutable, closed to names it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class Entry(Form):
    """One header or parameter. The order of the fields is the order of their validation."""

    key: PlainText
    source: Source
    missing: Missing | None = None
    encode: Annotated[None, PlainValidator(_no_encoding, json_schema_input_type=None)] = None
    value: Annotated[Value, PlainValidator(_value, json_schema_input_type=Scalar)]

    @cached_property
    def parameter(self) -> Parameter:
        """Its compiled form in the query."""
        return Parameter(quote(self.key, safe=""), self.value)


class HeaderEntry(Entry):
    """A header: its name and value must be ones that HTTP can carry."""

    key: Annotated[str, PlainValidator(_header_name, json_schema_input_type=_HeaderName)]
    encode: Encoding | None = None  # type: ignore[assignment]  # of a header it may be more
    value: Annotated[
        Value,
        PlainValidator(_value, json_schema_input_type=Scalar),
        AfterValidator(_header_value),
    ]

    @cached_property
    def header(self) -> Header:
        """Its compiled form."""
        return Header(self.key, self.value, self.encode)


def _distinct(headers: tuple[HeaderEntry, ...]) -> tuple[HeaderEntry, ...]:
    seen: set[str] = set()
    for index, header in enumerate(headers):
        if header.key.lower() in seen:
            raise InvalidValue(
                f"the header {header.key} is already given", "keep one", path=(index, "key")
            )
        seen.add(header.key.lower())
    return headers


class UriParameter(Form):
    """One brace name: its label for people, and the substitute for a missing value."""

    label: LineText
    default: (
        Annotated[str, PlainValidator(without_secrets, json_schema_input_type=Scalar)] | None
    ) = None
    missing: Missing | None = None


class Definition(Form):
    """One document. Validated with a `LoadContext` as context, so secrets are read here too."""

    id: Annotated[str, PlainValidator(_hook_id, json_schema_input_type=_HookId)]
    name: LineText | None = None
    enabled: bool = True
    app: PlainText | None = None
    owner: LineText | None = None
    method: Literal["GET"] = "GET"
    trigger: Trigger
    select: Annotated[tuple[PlainText, ...], Field(min_length=1)] | None = None
    uri: Annotated[Template, PlainValidator(_template, json_schema_input_type=str)]
    uri_parameters: dict[str, Annotated[UriParameter, _SHARED]] = Field(default_factory=dict)
    headers: Annotated[
        tuple[Annotated[HeaderEntry, _SHARED], ...],
        Field(max_length=MAX_HEADERS),
        AfterValidator(_distinct),
    ] = ()
    parameters: Annotated[
        tuple[Annotated[Entry, _SHARED], ...], Field(max_length=MAX_PARAMETERS)
    ] = ()
    when: (
        Annotated[Conditions, PlainValidator(parse_conditions), WithJsonSchema(conditions_schema())]
        | None
    ) = None
    order: Order | None = None
    rate_limit: Annotated[RateLimit, _SHARED] | None = None
    retry_on: Annotated[tuple[_RetriedStatus, ...], Field(min_length=1)] = ()
    timeout: Annotated[float, duration("100ms", "5m")] | None = None
    signing_secrets: tuple[
        Annotated[bytes, PlainValidator(_signing_key, json_schema_input_type=str)], ...
    ] = Field(default=(), repr=False, max_length=MAX_SIGNING_SECRETS)
