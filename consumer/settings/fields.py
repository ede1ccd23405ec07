"""Types of settings fields. The file and the environment both bring text; the field decides."""

import json
import re
import ssl
from datetime import datetime
from ipaddress import ip_network
from pathlib import Path
from typing import Annotated, Any, TypeVar
from urllib.parse import urlsplit

from pydantic import AfterValidator, BeforeValidator, Field, SecretStr

from consumer.documents.files import files
from consumer.documents.hosts import MAX_PORT, normalise_host
from consumer.documents.reader import is_regular_file
from consumer.documents.validation import Text
from consumer.errors import InvalidValue

Item = TypeVar("Item")

_SERVER = re.compile(r"(?P<host>\[[^\]]*\]|[^:\s]+)(:(?P<port>[0-9]{1,5}))?")
_TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)")
"""RFC 3339 in capitals."""
_ENVIRONMENT_NAMES = re.compile(r"[A-Za-z_*?][A-Za-z0-9_*?]*")
_NEVER_MEANT = re.compile(r"[\n\r\0]")  # SASL PLAIN parts user and password by a null
_TOPIC = re.compile(r"(?!\.{1,2}$)[a-zA-Z0-9._-]{1,249}")
_MAX_PREFIX = 200
"""Characters: what is appended, as `.retry.86400000ms`, fits into the 249 of a topic's name."""


def _listed(value: Any) -> Any:
    """A list that was written as one text: JSON if it begins with `[`, else with commas."""
    if not isinstance(value, str):
        return value
    if value.lstrip().startswith("["):
        return _json(value)
    return [item.strip() for item in value.split(",") if item.strip()]


def _mapped(value: Any) -> Any:
    """A mapping that was written as one text of JSON."""
    return _json(value) if isinstance(value, str) else value


def _json(text: str) -> Any:
    try:
        return json.loads(text, parse_int=str, parse_float=str)
    except (ValueError, RecursionError):
        raise InvalidValue("is not JSON", "check its quotes, commas and brackets") from None


def _server(value: str) -> str:
    match = _SERVER.fullmatch(value)
    if match is None or (match["port"] and not 1 <= int(match["port"]) <= MAX_PORT):
        raise InvalidValue("is not a broker's address", "write host:port, such as kafka-1:9092")
    return value


def _topic(value: str) -> str:
    if not _TOPIC.fullmatch(value):
        raise InvalidValue(
            "is not a name that Kafka allows",
            "use 1 to 249 letters, digits, dots, hyphens and underscores",
        )
    return value


def _topic_prefix(value: str) -> str:
    if not _TOPIC.fullmatch(value) or len(value) > _MAX_PREFIX or value.endswith("."):
        raise InvalidValue(
            "is not the beginning of a topic's name",
            f"use 1 to {_MAX_PREFIX} letters, digits, dots, hyphens and underscores, "
            "without a dot at the end: hookstream.retry.10s begins with hookstream",
        )
    return value


def _start(value: str) -> str:
    """`earliest`, `latest`, or a time that `datetime.fromisoformat` reads."""
    if value.lower() in ("earliest", "latest"):
        return value.lower()
    time = value.upper()
    try:
        if _TIME.fullmatch(time) and datetime.fromisoformat(time).timestamp() >= 0:
            return time
    except (ValueError, OverflowError):
        pass  # no such day, or hour
    raise InvalidValue(
        "is no start of a source",
        "write earliest, latest, or a time with its zone: 2026-11-24T10:00:00Z",
    )


def _dotted_path(value: str) -> str:
    if not all(value.split(".")):
        raise InvalidValue("is not a dotted path", "write names joined by single dots: user.id")
    return value


def _network(value: str) -> str:
    """A CIDR in canonical form, or a host name in lower-case ASCII."""
    if "/" not in value and not value.startswith("["):
        value = f"[{value}]" if ":" in value else value
        return normalise_host(value).strip("[]").rstrip(".")
    try:
        return str(ip_network(value))
    except ValueError:
        raise InvalidValue(
            "is not a network, or has bits set behind its prefix",
            "write the network's first address and its prefix, such as 10.0.0.0/8 or fd00::/8",
        ) from None


def _allow_entry(value: str) -> str:
    """A text for `_network`, or one port of a host: `name:9000`, `10.0.0.5:9000`, `[::1]:9000`."""
    match = _SERVER.fullmatch(value)
    if match is None or not match["port"]:
        return _network(value)
    if not 1 <= int(match["port"]) <= MAX_PORT:
        raise InvalidValue("has a port out of range", "write a port from 1 to 65535, or none")
    return f"{normalise_host(match['host']).rstrip('.')}:{int(match['port'])}"


def _url(hint: str, credentials_hint: str) -> AfterValidator:
    """A URL with no more than a host, a port and a path."""

    def check(value: str) -> str:
        try:
            url = urlsplit(value)
            _ = url.port
        except ValueError:
            raise InvalidValue("is no URL", hint) from None
        if url.scheme not in {"http", "https"} or not url.hostname:
            raise InvalidValue("is no URL of http or https", hint)
        if url.username is not None or url.query or url.fragment:
            raise InvalidValue("has more than a host and a path", credentials_hint)
        return value

    return AfterValidator(check)


def _secret_source(value: str) -> str:
    if "\0" in value or (not value.startswith("/") and not _ENVIRONMENT_NAMES.fullmatch(value)):
        raise InvalidValue(
            "is neither an environment name nor a directory",
            "write a name (* and ? stand for any letters), or a path that starts with /",
        )
    return value


def _plain_text(value: str) -> str:
    # A secret that was made with `echo`, an environment file, a YAML block: a text with a line end
    # is another text, and Kafka or a group's other members only say that it differs.
    if value.endswith(("\n", "\r")):
        raise InvalidValue(
            "ends with a line end",
            "take it out; if `echo` made it, `printf %s` makes none, and in YAML `|-` keeps none",
        )
    if _NEVER_MEANT.search(value):
        raise InvalidValue("holds a line end or a null character", "take it out")
    return value


def _path(value: Path) -> Path:
    _plain_text(str(value))
    return value


def _existing_file(value: Path) -> Path:
    files().watch(_path(value))  # so that a change of it is noticed
    if not is_regular_file(value):
        raise InvalidValue(
            f"names no file: {value}", "check the path and that this user may read it"
        )
    return value


def _authorities(value: Path) -> Path:
    # Judged here, so that `check` tells it and no connection is the first to find out.
    try:
        ssl.create_default_context(cafile=files().resolve(value))
    except OSError:  # ssl.SSLError is one
        raise InvalidValue(
            f"names {value}, which holds no certificate that can be read",
            "write the authorities into it, in PEM",
        ) from None
    return value


def _plain_secret(value: SecretStr) -> SecretStr:
    _plain_text(value.get_secret_value())
    return value


def _empty_is_none(value: Any) -> Any:
    return None if value == "" else value


def _upper(value: Any) -> Any:
    return value.upper() if isinstance(value, str) else value


def _lower(value: Any) -> Any:
    return value.lower() if isinstance(value, str) else value


Listed = Annotated[tuple[Item, ...], BeforeValidator(_listed)]
MAPPED = BeforeValidator(_mapped)
EMPTY_IS_NONE = BeforeValidator(_empty_is_none)
UPPER = BeforeValidator(_upper)
LOWER = BeforeValidator(_lower)
NonEmpty = Annotated[Text, Field(min_length=1), AfterValidator(_plain_text)]
Password = Annotated[SecretStr, Field(min_length=1), AfterValidator(_plain_secret)]
Server = Annotated[Text, AfterValidator(_server)]
Topic = Annotated[Text, AfterValidator(_topic)]
TopicPrefix = Annotated[Text, AfterValidator(_topic_prefix)]
Start = Annotated[Text, AfterValidator(_start)]
DottedPath = Annotated[Text, AfterValidator(_dotted_path)]
Network = Annotated[Text, AfterValidator(_network)]
CollectorUrl = Annotated[
    NonEmpty,
    _url(
        "write the collector's URL, such as http://collector:4318",
        "give the collector's keys in OTEL_EXPORTER_OTLP_HEADERS",
    ),
]
RegistryUrl = Annotated[
    NonEmpty,
    _url(
        "write the registry's URL, such as https://registry.example.com",
        "write credentials into schema_registry.username and schema_registry.password",
    ),
]
AllowEntry = Annotated[Text, AfterValidator(_allow_entry)]
SecretSource = Annotated[Text, AfterValidator(_secret_source)]
Folder = Annotated[Path, AfterValidator(_path)]
ExistingFile = Annotated[Path, AfterValidator(_existing_file)]
AuthoritiesFile = Annotated[ExistingFile, AfterValidator(_authorities)]
