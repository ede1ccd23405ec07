"""The URI of a hook: an RFC 6570 level 1 template whose braces stand in path or query only."""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import quote

from consumer.documents.hosts import MAX_PORT, normalise_host
from consumer.errors import InvalidValue

MAX_URI_BYTES = 8 * 1024
"""Bytes of a whole URI, values included; receivers commonly accept no more."""
MAX_URI_VARIABLES = 100
"""Braces of one URI; each is a value to be read for each request."""
_MAX_SHOWN_NAME = 60
"""Characters of a brace's name in a message: a URI that is garbled may have one brace of 8 KiB."""
_DEFAULT_PORTS = {"http": 80, "https": 443}
_URI = re.compile(
    r"(?P<scheme>[a-z]+)://(?P<authority>[^/?#]*)(?P<target>.*)", re.IGNORECASE | re.DOTALL
)
_AUTHORITY = re.compile(r"(?P<host>\[[^\[\]]*\]|[^:\[\]]+)(:(?P<port>[0-9]{1,5}))?")
_REFUSED = re.compile(r"[\x00-\x20\x7f\\]")
_VARIABLE = re.compile(r"\{([^{}]*)\}")
# RFC 6570 section 2.3.
_NAME = re.compile(r"(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2})(?:\.?(?:[A-Za-z0-9_]|%[0-9A-Fa-f]{2}))*")
# RFC 3986 section 2.2 and 2.3, and the % of what is encoded already: copied as it stands.
_ENCODED = re.compile(r"[^A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=%]+")
_LONE_PERCENT = re.compile(r"%(?![0-9A-Fa-f]{2})")


@dataclass(frozen=True, slots=True)
class Template:
    """One parsed URI."""

    origin: str
    """`scheme://host[:port]`, normalised; with the port if it is not the scheme's default."""
    host_key: str
    """`host:port`, always with the port and without a trailing dot."""
    parts: tuple[str, ...]
    """The request target: literal, brace name, literal, ..., literal. Literals are encoded as
    RFC 6570 section 3.1 says; the first starts with `/`, others may be empty."""

    @property
    def names(self) -> tuple[str, ...]:
        """The brace names in order, each as often as the URI has it."""
        return self.parts[1::2]

    @property
    def has_query(self) -> bool:
        """Whether a `?` is part of the template itself."""
        return any("?" in literal for literal in self.parts[::2])


def parse_template(uri: str) -> Template:
    """Parse `uri`.

    Raises:
        InvalidValue: it is not an http or https URI, or could be read as two different ones.
    """
    if len(uri) > MAX_URI_BYTES:
        raise InvalidValue(f"is longer than {MAX_URI_BYTES} bytes", "shorten it")
    if _REFUSED.search(uri):
        raise InvalidValue(
            "holds a blank, a backslash or a control character",
            "percent-encode it, such as %20 for a blank",
        )
    match = _URI.fullmatch(uri)
    if match is None or (scheme := match["scheme"].lower()) not in _DEFAULT_PORTS:
        raise InvalidValue("is not an http or https URI", "begin it with https:// or http://")
    origin, host = _origin(scheme, match["authority"])
    return Template(origin, host, _parts(match["target"]))


@lru_cache(4096)  # many hooks go to few hosts
def _origin(scheme: str, authority: str) -> tuple[str, str]:
    if "@" in authority:
        raise InvalidValue(
            "holds a user name or password", "take it out and add an Authorization header"
        )
    if "{" in authority or "}" in authority:
        raise InvalidValue(
            "has a brace before its path", "write scheme, host and port in full; one hook for each"
        )
    match = _AUTHORITY.fullmatch(authority)
    if match is None:
        raise InvalidValue("has no valid host and port", "write https://host or https://host:port")
    host = normalise_host(match["host"])
    port = int(match["port"] or _DEFAULT_PORTS[scheme])
    if not 1 <= port <= MAX_PORT:
        raise InvalidValue("has a port out of range", "write a port from 1 to 65535, or none")
    suffix = "" if port == _DEFAULT_PORTS[scheme] else f":{port}"
    return f"{scheme}://{host}{suffix}", f"{host.rstrip('.')}:{port}"


def _parts(target: str) -> tuple[str, ...]:
    target = target if target.startswith("/") else f"/{target}"
    parts = _VARIABLE.split(target)
    if len(parts) > 2 * MAX_URI_VARIABLES + 1:
        raise InvalidValue(f"has more than {MAX_URI_VARIABLES} braces", "use fewer")
    for name in parts[1::2]:
        _check_name(name)
    for literal in parts[::2]:
        _check_literal(literal)
    _refuse_dot_segments(target)
    parts[::2] = [_ENCODED.sub(lambda run: quote(run[0], safe=""), text) for text in parts[::2]]
    return tuple(parts)


def shown_name(name: str) -> str:
    """A brace with its name for a message, cut if it is long."""
    is_long = len(name) > _MAX_SHOWN_NAME
    return f"{{{name[:_MAX_SHOWN_NAME]}…}}" if is_long else f"{{{name}}}"


def _check_name(name: str) -> None:
    if name.startswith(("env:", "file:", "sealed:")):
        raise InvalidValue(
            "refers to a secret", "put ${...} into a header or parameter with `source: fixed`"
        )
    if not _NAME.fullmatch(name):
        raise InvalidValue(
            f"has a brace that is not a plain name: {shown_name(name)}",
            "write {name} of letters, digits and underscores; operators, lists and lengths "
            "(RFC 6570 levels 2 to 4) are not used here",
        )


def _check_literal(literal: str) -> None:
    if "{" in literal or "}" in literal:
        raise InvalidValue(
            "has a brace without its partner", "close each { with }, or write %7B and %7D"
        )
    if "#" in literal:
        raise InvalidValue("has a fragment", "take out # and what follows, or write %23")
    if _LONE_PERCENT.search(literal):
        raise InvalidValue("has a % without two hex digits", "write %25 for a percent sign")


def _refuse_dot_segments(target: str) -> None:
    # Clients remove them (RFC 3986 section 5.2.4), so the signed target would not be the sent one.
    path = target.partition("?")[0].lower().replace("%2e", ".")
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise InvalidValue("has a . or .. segment in its path", "write the path that it leads to")
