"""Tokens, sessions and CSRF tokens, as pure functions of the settings, the time and chance.

A session is signed with a key that is made of its token's hash, so every panel with the same tokens
takes it, and it ends with its token. Its role is the token's role now.
"""

import base64
import binascii
import hashlib
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final, Literal

import orjson

from consumer.settings import ROLES, PanelToken, RoleName

TOKEN_PREFIX: Final = "hookstream-panel-"  # noqa: S105  # the beginning of all of them
TOKEN_BYTES: Final = 32
MAX_TOKEN_CHARACTERS: Final = 200
SESSION_SECONDS: Final = 12 * 3600.0
"""From the log-in to the end of a session."""
_MAX_COOKIE_CHARACTERS: Final = 1024
_SESSION_PURPOSE: Final = b"hookstream panel session 1"
_CSRF_PURPOSE: Final = b"hookstream panel csrf 1"
_NO_KEY: Final = bytes(32)
"""Compared with for a name that no token has, so that it takes as long."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who makes a request."""

    name: str
    role: RoleName
    how: Literal["token", "session", "proxy"]
    csrf: str = ""
    """Of a session: what its writes must repeat."""

    def may(self, role: RoleName) -> bool:
        """Whether this user may do what `role` may."""
        return ROLES.index(self.role) >= ROLES.index(role)

    def refusal(self, role: RoleName) -> str:
        """What a user is told who may not do what `role` may."""
        return (
            f"this needs the role {role}, and {self.name} has the role {self.role}: ask an "
            "administrator of hookstream, who gives roles (panel.tokens, or the log-in proxy)"
        )


@dataclass(frozen=True, slots=True)
class Credential:
    """Somebody who may log in."""

    name: str
    role: RoleName
    digest: bytes
    """SHA-256 of the token."""


class Credentials:
    """All who may log in, by name."""

    def __init__(self, known: Iterable[Credential]) -> None:
        self._known: Mapping[str, Credential] = {one.name: one for one in known}

    @classmethod
    def of(cls, tokens: Iterable[PanelToken]) -> "Credentials":
        """Those of the settings."""
        return cls(
            Credential(token.name, token.role, bytes.fromhex(token.sha256.get_secret_value()))
            for token in tokens
        )

    def by_token(self, token: str) -> Credential | None:
        """Whose token this is; None: it is not known. Each is compared in constant time."""
        if len(token) > MAX_TOKEN_CHARACTERS:
            return None
        digest, found = hash_token(token), None
        for one in self._known.values():
            if hmac.compare_digest(one.digest, digest):
                found = one
        return found

    def begin_session(self, credential: Credential, now: float, nonce: str) -> tuple[str, Identity]:
        """A session that begins at `now` (epoch seconds): its cookie's value, and who it is."""
        payload = orjson.dumps({"n": credential.name, "e": int(now + SESSION_SECONDS), "s": nonce})
        mac = _mac(_key(credential.digest, _SESSION_PURPOSE), payload)
        return f"{_encode(payload)}.{_encode(mac)}", _identity(credential, payload)

    def by_session(self, cookie: str, now: float) -> Identity | None:
        """Whose session this is; None if it is over, or not signed."""
        payload, _, mac = cookie.partition(".")
        raw, given = _decode(payload), _decode(mac)
        if len(cookie) > _MAX_COOKIE_CHARACTERS or not raw or not given:
            return None
        name, end = _claims(raw)
        credential = self._known.get(name)
        digest = credential.digest if credential is not None else _NO_KEY
        is_signed = hmac.compare_digest(_mac(_key(digest, _SESSION_PURPOSE), raw), given)
        if credential is None or not is_signed or end <= now:
            return None
        return _identity(credential, raw)


def hash_token(token: str) -> bytes:
    """The SHA-256 of a token, as the settings have it in hexadecimal digits. Tokens are 32 random
    bytes, so a hash that is slow to compute would protect nothing.
    """
    return hashlib.sha256(token.encode(errors="replace")).digest()


def make_token(random: bytes) -> str:
    """A token of `TOKEN_BYTES` random bytes."""
    return TOKEN_PREFIX + _encode(random)


def is_csrf_token(identity: Identity, given: str) -> bool:
    """Whether a write repeats its session's CSRF token."""
    return bool(identity.csrf) and hmac.compare_digest(
        identity.csrf.encode(), given.encode(errors="replace")
    )


def _identity(credential: Credential, payload: bytes) -> Identity:
    csrf = _encode(_mac(_key(credential.digest, _CSRF_PURPOSE), payload))
    return Identity(credential.name, credential.role, "session", csrf)


def _claims(raw: bytes) -> tuple[str, int]:
    """The name and the end that a session claims; without these no name, and 0."""
    try:
        fields = orjson.loads(raw)
        name, end = fields["n"], fields["e"]
    except (KeyError, TypeError, ValueError):
        return "", 0
    return (name, end) if isinstance(name, str) and isinstance(end, int) else ("", 0)


def _key(digest: bytes, purpose: bytes) -> bytes:
    return hmac.digest(digest, purpose, "sha256")


def _mac(key: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, payload, "sha256")


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).decode().rstrip("=")


def _decode(text: str) -> bytes:
    """The bytes of a text in canonical base64url; empty if it is none."""
    try:
        raw = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (ValueError, binascii.Error):
        return b""
    return raw if _encode(raw) == text else b""
