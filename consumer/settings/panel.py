"""The section `panel`: where the panel listens, and who may use it."""

import re
from ipaddress import ip_address, ip_network
from typing import Annotated, Literal, Self, get_args

from pydantic import AfterValidator, Field, SecretStr, model_validator

from consumer.documents.validation import Text
from consumer.errors import InvalidValue
from consumer.settings.fields import LOWER, Listed, NonEmpty
from consumer.settings.section import Section

_SHA256 = re.compile(r"[0-9a-f]{64}")
_HEADER = re.compile(r"[!#$%&'*+\-.^_`|~0-9A-Za-z]{1,100}")  # RFC 9110 section 5.6.2
TOKEN_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._@-]{0,63}")
_LOOPBACK_NAMES = ("localhost", "ip6-localhost")
_OWN = (ip_network("127.0.0.0/8"), ip_network("::1"))


RoleName = Literal["viewer", "editor", "operator"]
"""What a user of the panel may do: see; also change hooks and send tests; also replay, pause and
roll back. Each may do what those before it may."""
ROLES: tuple[RoleName, ...] = get_args(RoleName)


def _sha256(value: SecretStr) -> SecretStr:
    if not _SHA256.fullmatch(value.get_secret_value()):
        raise InvalidValue(
            "is not a SHA-256 in 64 hexadecimal digits",
            "let `hookstream panel token NAME --role ROLE` make a token and its entry",
        )
    return value


def _token_name(value: str) -> str:
    if not TOKEN_NAME.fullmatch(value):
        raise InvalidValue(
            "is not a name of 1 to 64 letters, digits and . _ @ -",
            "write the name of the person or program that has the token",
        )
    return value


def _proxies(value: str) -> str:
    try:
        return str(ip_network(value))
    except ValueError:
        raise InvalidValue(
            "is not a network, or has bits set behind its prefix",
            "write the proxy's address, or a network and its prefix, such as 10.0.0.0/8",
        ) from None


def _header(value: str) -> str:
    if not _HEADER.fullmatch(value):
        raise InvalidValue("is not a header's name", "write a name such as X-Forwarded-User")
    return value


HeaderName = Annotated[Text, AfterValidator(_header)]


class PanelToken(Section):
    """A token that opens the panel, known by its hash only."""

    name: Annotated[Text, AfterValidator(_token_name)]
    """Who has it: the author of this user's changes."""
    role: Annotated[RoleName, LOWER]
    sha256: Annotated[SecretStr, LOWER, AfterValidator(_sha256)]
    """Of the token, in hexadecimal digits. Who knows it can sign sessions."""


class PanelSettings(Section):
    """The HTTP server of the panel and its API."""

    host: NonEmpty = "127.0.0.1"
    port: int = Field(default=8460, ge=0, le=65_535)
    """0: the system picks a free one."""
    tokens: Listed[PanelToken] = ()
    trusted_proxies: Listed[Annotated[Text, AfterValidator(_proxies)]] = ()
    """Networks of proxies that say who a user is."""
    user_header: HeaderName = "X-Forwarded-User"
    role_header: HeaderName = "X-Forwarded-Role"

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach the panel."""
        if self.host.lower() in _LOOPBACK_NAMES:
            return True
        try:
            return ip_address(self.host).is_loopback
        except ValueError:
            return False

    @property
    def trusts_this_machine(self) -> bool:
        """Whether a program of this machine is believed as a proxy, as its users' browsers are."""
        return any(
            ip_network(one).overlaps(own)
            for one in self.trusted_proxies
            for own in _OWN
            if ip_network(one).version == own.version
        )

    @property
    def is_open_by_link(self) -> bool:
        """Whether the link that is printed at the start is the only way to log in."""
        return not self.tokens and not self.trusted_proxies

    @model_validator(mode="after")
    def _others_must_log_in(self) -> Self:
        if self.is_open_by_link and not self.is_loopback:
            raise InvalidValue(
                "lets others reach the panel, and there is neither a token nor a trusted proxy",
                "make a token with `hookstream panel token NAME --role ROLE`, name the networks of "
                "a proxy in panel.trusted_proxies, or set panel.host to 127.0.0.1",
                path=("host",),
            )
        return self

    @model_validator(mode="after")
    def _names_are_distinct(self) -> Self:
        seen: set[str] = set()
        for index, token in enumerate(self.tokens):
            if token.name in seen:
                raise InvalidValue(
                    f"{token.name} has a token already",
                    "give each token a name of its own, so that it can be withdrawn",
                    path=("tokens", index, "name"),
                )
            seen.add(token.name)
        if self.user_header.lower() == self.role_header.lower():
            raise InvalidValue(
                "is also the user's header", "name two headers", path=("role_header",)
            )
        return self
