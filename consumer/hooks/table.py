"""The compiled form of hook definitions: immutable, shared by reference."""

from dataclasses import dataclass, field
from typing import Literal

from consumer.events.triggers import Trigger
from consumer.hooks.conditions import Conditions
from consumer.hooks.value_sources import Source

Missing = Literal["omit", "empty", "reject"]
Order = Literal["user"]
Encoding = Literal["percent"]
"""How a header's value becomes ASCII: percent-encoded UTF-8, RFC 3986's unreserved as they are."""

MAX_HEADER_VALUE_BYTES = 4 * 1024
"""Bytes of one header's value; receivers commonly accept 8 KiB for all headers."""


@dataclass(frozen=True, slots=True)
class Value:
    """The source of a header's or parameter's value.

    `fixed`: `text` is the value itself (secrets already read). Otherwise `path` is walked:
    from `user.attributes` (profile), `device.attributes` (device) or the event's root (event).
    """

    source: Source
    path: tuple[str, ...] = ()
    text: str = field(default="", repr=False)
    missing: Missing = "omit"
    secret: bool = False
    """True if the text came from `${env:}` or `${file:}`: it is never shown."""
    reference: str = ""
    """The definition's own spelling of the value, for people: `${env:KEY}`, `city`."""


@dataclass(frozen=True, slots=True)
class Header:
    """One configured header; `name` in the author's spelling."""

    name: str
    value: Value
    encode: Encoding | None = None
    """None: the value is sent as UTF-8. A `fixed` value is encoded already."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One query parameter; `name` is already percent-encoded."""

    name: str
    value: Value


@dataclass(frozen=True, slots=True)
class UriVariable:
    """One `{name}` in the URI: composed value, else `entry`, else `default`, else `missing`."""

    name: str
    label: str
    entry: Value | None
    default: str | None
    missing: Missing


@dataclass(frozen=True, slots=True)
class RateLimit:
    """`requests` per `per` seconds on average, at most `burst` at once."""

    requests: int
    per: float
    burst: int


@dataclass(frozen=True, slots=True)
class Hook:
    """One definition, ready for use. Braces occur in path or query only, so `origin` is fixed."""

    id: str
    name: str
    enabled: bool
    app: str | None
    trigger: Trigger
    select: frozenset[str] | None
    """None: every event of the trigger."""
    origin: str
    """`scheme://host[:port]`, ASCII, host lower-case and IDNA-encoded; literal IPv6 in brackets."""
    host_key: str
    """Key of the per-host bounds: `host:port`."""
    template_parts: tuple[str | UriVariable, ...]
    """The request target as a template: literal text (already encoded) and braces, in order.
    The literal text starts with `/`. `?` is part of it if the URI has a query."""
    has_query: bool
    """Whether the template itself has a `?`; decides if parameters start with `?` or `&`."""
    headers: tuple[Header, ...]
    parameters: tuple[Parameter, ...]
    rate_limit: RateLimit | None
    timeout: float | None
    """Seconds for the whole attempt; None: the settings' default."""
    when: Conditions | None = None
    """What an event's values must be; None: there are no conditions."""
    retry_on: frozenset[int] = frozenset()
    """Statuses that are retried besides those that always are."""
    order: Order | None = None
    """What deliveries keep an order for: `user`, each user's; None: they keep none."""
    signing_keys: tuple[bytes, ...] = field(default=(), repr=False)
    """Standard Webhooks keys, decoded; the first signs."""
    needs_composed: bool = False
    """True if a brace has neither entry nor default: it fires only for notifications that were
    composed with this hook."""
    revision: int | None = None
    """Of a live definition."""
    file: str = ""
    line: int = 0
    """The 1-based line in `file` on which the definition begins."""
    uri_line: int = 0
    """The 1-based line of its `uri`."""

    @property
    def request_parts(self) -> tuple[object, ...]:
        """Everything that decides on a request and on the meaning of its answer: definitions with
        equal parts are the same to a receiver.
        """
        return (
            self.origin, self.template_parts, self.headers, self.parameters, self.timeout,
            self.signing_keys, self.retry_on,
        )  # fmt: skip

    @property
    def uri_variables(self) -> tuple[UriVariable, ...]:
        """The URI's braces in order of appearance."""
        return tuple(piece for piece in self.template_parts if isinstance(piece, UriVariable))
